package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// Options sets what New makes. The zero value is good for one sequence.
type Options struct {
	Slots int // sequences whose states are held at once; 0 is 1
	Seqs  int // most sequences of one pass; 0 is as many as there are slots, but at most DefaultSeqs
	Chunk int // most tokens of one pass; 0 is DefaultChunk

	// Keep lets every sequence be made again after its state is lost, with the device or by an interrupted pass: the engine
	// holds, in the host's memory, the tokens fed to it and a copy of its state that is at most about so many tokens old. 0
	// keeps nothing.
	Keep int

	// Exact makes a token's numbers the same, bit for bit, whatever else is in its pass and however its sequence was cut into
	// passes. On the CPU they always are; bench/README.md says what it costs on a Vulkan device.
	Exact bool

	Progress func(done, all int64) error // bytes of weights loaded; an error ends New or Reopen; may be nil
}

// What Options means by 0.
const (
	DefaultSeqs  = 32
	DefaultChunk = 256
)

// maxOuts bounds how many logits of one pass are kept at once, besides one for each sequence: they are the largest scratch.
const maxOuts = 16

// Engine runs one model on one device. See the package's documentation for what may be called side by side.
type Engine struct {
	Model *model.Model

	dev     *Device
	options Options
	sizes   op.Sizes
	initial []float32 // state of a new sequence

	// turn is held by the one call that uses the device, and with it what follows.
	turn   chan struct{}
	exec   executor
	opened int // see Device.reopen
	batch  op.Batch
	ends   []outEnd
	order  []int  // rows of a pass in the order of its batch
	mark   uint64 // see Seq.mark
	decode decoding
	slots  []int // of a transfer
	due    keeping

	mu      sync.Mutex // guards what follows, and the sequences' handles
	seqs    []*Seq     // by slot; nil where it is free
	held    bool       // a turn is
	broken  error      // what a Reopen failed by; nil where there is an executor
	leaving []int      // slots released in this turn, free at its end
	closed  bool
	stats   Stats
	waited  time.Duration // of stats, for executors before this one
}

// executor is what an engine asks of a device.
type executor = op.Executor

// outEnd says whose logits an out of a pass is.
type outEnd struct{ row, pos int }

// New loads the model's weights to the device. Both must outlive the engine.
func New(m *model.Model, d *Device, o Options) (*Engine, error) {
	o.Slots = max(o.Slots, 1)
	if o.Chunk <= 0 {
		o.Chunk = DefaultChunk
	}
	if o.Seqs <= 0 {
		o.Seqs = min(o.Slots, DefaultSeqs)
	}
	o.Seqs = min(o.Seqs, o.Slots)
	rows := max(o.Chunk, o.Seqs)
	s := op.Sizes{Slots: o.Slots, Rows: rows, Seqs: o.Seqs, Outs: max(o.Seqs, min(rows, maxOuts))}
	e := &Engine{Model: m, dev: d, options: o, sizes: d.fit(m.Program, s), turn: make(chan struct{}, 1), seqs: make([]*Seq, o.Slots)}
	var err error
	if e.initial, err = m.Program.InitialState(); err != nil {
		return nil, err
	}
	e.stats.Slots = o.Slots
	if err := e.load(); err != nil {
		return nil, err
	}
	return e, nil
}

// load makes the executor.
func (e *Engine) load() error {
	exec, opened, err := e.dev.executor(e.Model, e.sizes, e.options.Exact, e.options.Progress)
	var file *weights.Error
	switch {
	case errors.As(err, &file) && file.File != "":
		return file
	case err != nil:
		return fmt.Errorf("%s: %w", e.Model.File.Path, err)
	}
	e.exec, e.opened = exec, opened
	e.mu.Lock()
	defer e.mu.Unlock()
	e.broken, e.waited = nil, e.stats.Waited
	return nil
}

// begin takes the turn on the device, which end gives back, unless ctx is done first.
func (e *Engine) begin(ctx context.Context) error {
	err := e.beginAnyhow(ctx)
	if err == nil && e.broken != nil { // only whoever has the turn changes it
		err = e.broken
		e.end()
	}
	return err
}

// beginAnyhow takes the turn also where there is no executor.
func (e *Engine) beginAnyhow(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case e.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		<-e.turn
		return fmt.Errorf("engine: %w", ErrClosed)
	}
	e.held = true
	return nil
}

// end gives the turn back. Slots released meanwhile are free from now on.
func (e *Engine) end() {
	e.mu.Lock()
	e.held = false
	for _, slot := range e.leaving {
		e.seqs[slot] = nil
	}
	e.leaving = e.leaving[:0]
	e.mu.Unlock()
	<-e.turn
}

// Device names what the engine runs on.
func (e *Engine) Device() string {
	if err := e.begin(context.Background()); err != nil {
		return ""
	}
	defer e.end()
	return e.exec.Device()
}

// Chunk returns the most tokens of one pass.
func (e *Engine) Chunk() int { return e.sizes.Rows }

// Seqs returns the most sequences of one pass.
func (e *Engine) Seqs() int { return e.sizes.Seqs }

// Close waits for its turn and releases what the engine holds on the device. Transfers that were started end first.
func (e *Engine) Close() error {
	e.turn <- struct{}{}
	defer func() { <-e.turn }()
	e.mu.Lock()
	closed := e.closed
	e.closed = true
	e.mu.Unlock()
	if closed || e.broken != nil {
		return nil
	}
	return e.dev.fault(e.exec.Close())
}
