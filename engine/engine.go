package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// Options set what New makes. The zero value is good for one sequence.
type Options struct {
	Slots int // states on the device at once; 0 is 1
	Seqs  int // most sequences of one pass; 0 is as many as there are slots, but at most DefaultSeqs
	Chunk int // most tokens of one pass; 0 is DefaultChunk
	Outs  int // most logits of one pass, at most Chunk; as many as there are Seqs, and 16, are always allowed

	// Keep lets every sequence be made again after its state is lost, with the device or by an interrupted pass. The
	// engine keeps, in the host's memory, the tokens fed to a sequence and a copy of its state that is at most about so
	// many tokens old. 0 keeps nothing. If memory is too short to read states, a sequence is kept until 4 * (Keep + Chunk)
	// tokens were fed since the last copy. After that it fails with ErrStateLost if it is lost, until its state was read
	// again.
	Keep int

	// Exact makes a token's numbers the same, bit for bit, whatever else is in its pass and however its sequence was cut
	// into passes. On the CPU they always are. bench/README.md has the cost on a Vulkan device.
	Exact bool

	// Half lets products of many tokens round what they multiply to float16, once, where a Vulkan device has cooperative
	// matrices. That halves the work of the matrices, or better. With Exact it means nothing.
	Half bool

	Progress func(done, all int64) error // bytes of weights loaded; an error ends New or Reopen; may be nil
}

// The values that 0 stands for in Options.
const (
	DefaultSeqs  = 32
	DefaultChunk = 256
)

// maxOuts is the most logits of one pass that are kept at once without Options.Outs, besides one for each sequence. They
// are the largest scratch.
const maxOuts = 16

// Engine runs one model on one device. The package's documentation says which calls may run side by side.
type Engine struct {
	Model *model.Model

	table  table
	host   host
	keeper keeper
	passes passes
	bursts bursts
}

// Sizes returns the sizes of the executor that New makes.
func Sizes(m *model.Model, d *device.Device, o Options) op.Sizes { return d.Fit(m.Program, o.sizes()) }

// sizes fills in what is not set, and returns the sizes that follow, whatever the device allows.
func (o *Options) sizes() op.Sizes {
	o.Slots = max(o.Slots, 1)
	if o.Chunk <= 0 {
		o.Chunk = DefaultChunk
	}
	if o.Seqs <= 0 {
		o.Seqs = min(o.Slots, DefaultSeqs)
	}
	o.Seqs = min(o.Seqs, o.Slots)
	rows := max(o.Chunk, o.Seqs)
	return op.Sizes{Slots: o.Slots, Rows: rows, Seqs: o.Seqs, Outs: max(o.Seqs, min(rows, max(o.Outs, maxOuts)))}
}

// New loads the model's weights to the device. Both must outlive the engine.
func New(m *model.Model, d *device.Device, o Options) (*Engine, error) {
	s := o.sizes()
	e := &Engine{Model: m, table: newTable(o.Slots), host: host{model: m, dev: d, options: o, sizes: d.Fit(m.Program, s), left: true}}
	h, t, k := &e.host, &e.table, &e.keeper
	e.keeper = keeper{h: h, t: t}
	e.passes, e.bursts = passes{h: h, t: t, k: k}, bursts{h: h, t: t, k: k}
	var err error
	if h.initial, err = m.Program.InitialState(); err != nil {
		return nil, err
	}
	h.use = d.Join(k.leave)
	if err := h.load(); err != nil {
		return nil, errors.Join(err, h.use.Part(func() error { return nil }))
	}
	return e, nil
}

// begin takes the turn, unless ctx is done first; end gives the turn back. No engine reopens the device meanwhile.
func (e *Engine) begin(ctx context.Context) error {
	if err := e.table.begin(ctx); err != nil {
		return err
	}
	if err := e.host.use.Begin(); err != nil {
		e.table.end()
		return err
	}
	return nil
}

func (e *Engine) end() {
	e.host.use.End()
	e.table.end()
}

// host is an engine's executor, and what the executor is made from. Only the holder of the turn may use it.
type host struct {
	model   *model.Model
	dev     *device.Device
	use     *device.User
	options Options
	sizes   op.Sizes
	initial []float32 // state of a new sequence
	exec    op.Executor
	left    bool // reports whether there is no executor, or exec was closed for another one
}

// load makes the executor on the device as it is open now.
func (h *host) load() error {
	exec, err := h.use.Executor(h.model, h.sizes, device.Accuracy{Exact: h.options.Exact, Half: h.options.Half}, h.options.Progress)
	var file *weights.Error
	switch {
	case errors.As(err, &file) && file.File != "":
		return file
	case err != nil:
		return fmt.Errorf("%s: %w", h.model.File.Path, err)
	}
	h.exec, h.left = exec, false
	return nil
}

// passRows returns the most rows of the next pass. They are fewer than fit if the device would be busy with all of them
// for too long.
func (h *host) passRows() int {
	if d, ok := h.exec.(interface{ MostRows() int }); ok {
		return min(h.sizes.Rows, d.MostRows())
	}
	return h.sizes.Rows
}

// Device returns the name of the device that the engine runs on.
func (e *Engine) Device() string {
	if err := e.begin(context.Background()); err != nil {
		return ""
	}
	defer e.end()
	return e.host.exec.Device()
}

// Arithmetic names what the last bits of the numbers depend on if the engine is Exact, besides the model.
func (e *Engine) Arithmetic() string { return e.host.dev.Arithmetic() }

// Chunk returns the most tokens of one pass.
func (e *Engine) Chunk() int { return e.host.sizes.Rows }

// Seqs returns the most sequences of one pass.
func (e *Engine) Seqs() int { return e.host.sizes.Seqs }

// Exact reports whether the engine was made with Options.Exact.
func (e *Engine) Exact() bool { return e.host.options.Exact }

// Close waits for its turn and releases the engine's memory on the device. Transfers that have started end first.
func (e *Engine) Close() error {
	if !e.table.close() {
		return nil
	}
	return e.host.use.Part(func() error {
		if e.host.left {
			return nil
		}
		return e.host.dev.Fault(e.host.exec.Close())
	})
}
