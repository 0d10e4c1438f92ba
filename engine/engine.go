// Package engine runs RWKV models: many sequences, each in a slot that holds its state, on one device.
package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// Options sets what New makes. The zero value is good for one sequence.
type Options struct {
	Slots    int                         // sequences that can be held at once; 0 is 1
	Chunk    int                         // most tokens of one pass; 0 is DefaultChunk
	Progress func(done, all int64) error // bytes of weights loaded; an error ends New; may be nil
}

// DefaultChunk is the most tokens of one pass unless Options says otherwise.
const DefaultChunk = 256

// maxOuts bounds how many logits of one pass are kept at once, besides one for each slot: they are the largest scratch.
const maxOuts = 16

// Engine runs one model on one device. It is not safe for concurrent use.
type Engine struct {
	Model *model.Model

	dev    *Device
	exec   op.Prober
	sizes  op.Sizes
	used   []bool // by slot
	batch  op.Batch
	taken  []int // by input of a Step: tokens already done
	ends   []outEnd
	work   Work
	decode decoding
}

// outEnd says whose logits an out of a pass is.
type outEnd struct{ input, pos int }

// New loads the model's weights to the device. Both must outlive the engine.
func New(m *model.Model, d *Device, o Options) (*Engine, error) {
	slots, chunk := max(o.Slots, 1), o.Chunk
	if chunk <= 0 {
		chunk = DefaultChunk
	}
	rows := max(chunk, slots)
	s := op.Sizes{Slots: slots, Rows: rows, Seqs: slots, Outs: max(slots, min(rows, maxOuts))}
	s = d.fit(m.Program, s)
	exec, err := d.Executor(m, s, o.Progress)
	var file *weights.Error
	switch {
	case errors.As(err, &file) && file.File != "":
		return nil, file
	case err != nil:
		return nil, fmt.Errorf("%s: %w", m.File.Path, err)
	}
	return &Engine{Model: m, dev: d, exec: exec, sizes: s, used: make([]bool, slots)}, nil
}

// Device names what the engine runs on.
func (e *Engine) Device() string { return e.exec.Device() }

// Close releases what the engine holds on the device.
func (e *Engine) Close() error { return e.dev.fault(e.exec.Close()) }

// Input is one sequence's share of a Step.
type Input struct {
	Slot   Slot
	Tokens []int // which continue the slot's state
	Wanted int   // how many of the last tokens' logits are wanted
}

// Step feeds tokens to sequences, in as few passes as they fit, and calls each for every wanted row with the input's
// index, the token's position in it, and the float32[vocab] logits after that token, valid during the call. On an
// error the inputs' states are undefined.
func (e *Engine) Step(in []Input, each func(input, pos int, logits []float32) error) error {
	return e.StepContext(context.Background(), in, each)
}

// StepContext is Step until ctx is done, which is noticed within a pass too.
func (e *Engine) StepContext(ctx context.Context, in []Input, each func(input, pos int, logits []float32) error) error {
	if err := e.checkInputs(in); err != nil {
		return err
	}
	e.taken = e.taken[:0]
	for range in {
		e.taken = append(e.taken, 0)
	}
	for e.fill(in, e.passRows()) {
		if err := e.exec.ForwardContext(ctx, &e.batch); err != nil {
			return e.dev.fault(err)
		}
		e.work.count(&e.batch)
		for i, out := range e.ends {
			if err := each(out.input, out.pos, e.exec.Logits(i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// passRows returns the most rows of the next pass: fewer than fit, on a device that would be busy with all for too long.
func (e *Engine) passRows() int {
	if d, ok := e.exec.(interface{ MostRows() int }); ok {
		return min(e.sizes.Rows, d.MostRows())
	}
	return e.sizes.Rows
}

// fill makes the next batch, of so many rows at most, and reports whether there is one.
func (e *Engine) fill(in []Input, rows int) bool {
	e.batch.Reset()
	e.ends = e.ends[:0]
	outs, seqs := e.sizes.Outs, e.sizes.Seqs
	for i := range in {
		from, all := e.taken[i], len(in[i].Tokens)
		n := min(all-from, rows)
		// The wanted rows are the last: a run that reaches into them is cut to the outs that are left.
		firstWanted := max(all-in[i].Wanted, from)
		n = min(n, firstWanted+outs-from)
		if n <= 0 || seqs == 0 {
			continue
		}
		wanted := max(from+n-firstWanted, 0)
		e.batch.Add(int(in[i].Slot), in[i].Tokens[from:from+n], wanted)
		for pos := from + n - wanted; pos < from+n; pos++ {
			e.ends = append(e.ends, outEnd{i, pos})
		}
		e.taken[i] += n
		rows, outs, seqs = rows-n, outs-wanted, seqs-1
	}
	return len(e.batch.Tokens) > 0
}

func (e *Engine) checkInputs(in []Input) error {
	for i, x := range in {
		if err := e.checkSlot(x.Slot); err != nil {
			return err
		}
		for j := range i {
			if in[j].Slot == x.Slot {
				return fmt.Errorf("engine: inputs %d and %d: both in slot %d", j, i, x.Slot)
			}
		}
		if x.Wanted < 0 || x.Wanted > len(x.Tokens) {
			return fmt.Errorf("engine: input %d: want logits of 0 to %d tokens, got %d", i, len(x.Tokens), x.Wanted)
		}
		for j, t := range x.Tokens {
			if t < 0 || t >= e.Model.Vocab {
				return fmt.Errorf("engine: input %d: token %d: want an id below %d, got %d", i, j, e.Model.Vocab, t)
			}
		}
	}
	return nil
}
