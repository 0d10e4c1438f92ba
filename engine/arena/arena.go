package arena

import (
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// Arena holds the scratch and state operands of a program.
type Arena struct {
	Batch op.Batch // staged

	prog           *op.Program
	plan           *op.Plan
	scratch, state []float32
	initial        []float32 // of a slot
	closed         bool
}

// New returns an arena in memory for plan's elements of scratch and state. All slots have the initial state.
func New(prog *op.Program, plan *op.Plan, scratch, state []float32) (*Arena, error) {
	a := &Arena{prog: prog, plan: plan, scratch: scratch, state: state}
	var err error
	if a.initial, err = prog.InitialState(); err != nil {
		return nil, err
	}
	for slot := range plan.Sizes.Slots {
		if err := a.ResetState(slot); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// Close forgets the memory. Later calls fail.
func (a *Arena) Close() { a.scratch, a.state, a.closed = nil, nil, true }

// CheckOpen returns op.ErrClosed after Close.
func (a *Arena) CheckOpen() error {
	if a.closed {
		return op.ErrClosed
	}
	return nil
}

// Plan returns where operands lie.
func (a *Arena) Plan() *op.Plan { return a.plan }

// From returns the arena from the first element of v's first vector on.
func (a *Arena) From(v op.View) []float32 {
	all := a.scratch
	if v.Of.Kind == op.State {
		all = a.state
	}
	return all[a.plan.Offset[v.Of.ID]+v.Off:]
}

// Vec returns the elements of v's i-th vector: of a row, sequence, out or slot.
func (a *Arena) Vec(v op.View, i int) []float32 {
	at := i * v.Of.Stride()
	return a.From(v)[at : at+v.Len : at+v.Len]
}

// Stage checks b and keeps a copy of it.
func (a *Arena) Stage(b *op.Batch) error {
	if err := a.CheckOpen(); err != nil {
		return err
	}
	if err := b.Check(a.prog, a.plan.Sizes); err != nil {
		return err
	}
	a.Batch.Tokens = append(a.Batch.Tokens[:0], b.Tokens...)
	a.Batch.RowSeq = append(a.Batch.RowSeq[:0], b.RowSeq...)
	a.Batch.Seqs = append(a.Batch.Seqs[:0], b.Seqs...)
	a.Batch.Outs = append(a.Batch.Outs[:0], b.Outs...)
	return nil
}

// Logits returns the logits of the last batch's i-th out.
func (a *Arena) Logits(i int) []float32 { return a.Vec(a.prog.Logits.All(), i) }

// count returns the number of an operand's vectors.
func (a *Arena) count(o *op.Operand) int {
	if o.Kind == op.State {
		return a.plan.Sizes.Slots
	}
	return a.Batch.Count(o.Kind)
}

// Read returns the vectors of an operand that is no weight.
func (a *Arena) Read(o *op.Operand) ([]float32, error) {
	if err := a.CheckOpen(); err != nil {
		return nil, err
	}
	var out []float32
	for i := range a.count(o) {
		out = append(out, a.Vec(o.All(), i)...)
	}
	return out, nil
}

// Write sets an operand's vectors.
func (a *Arena) Write(o *op.Operand, data []float32) error {
	if err := a.CheckOpen(); err != nil {
		return err
	}
	n := a.count(o)
	if o.Kind == op.Weight || len(data) != n*o.Width {
		return fmt.Errorf("executor: write %s: want %d elements, got %d", o, n*o.Width, len(data))
	}
	for i := range n {
		copy(a.Vec(o.All(), i), data[i*o.Width:])
	}
	return nil
}

// Arenas returns copies of the scratch and state memory.
func (a *Arena) Arenas() (scratch, state []float32, err error) {
	if err := a.CheckOpen(); err != nil {
		return nil, nil, err
	}
	return append([]float32(nil), a.scratch...), append([]float32(nil), a.state...), nil
}

// SetArenas replaces the content of the scratch and state memory.
func (a *Arena) SetArenas(scratch, state []float32) error {
	if err := a.CheckOpen(); err != nil {
		return err
	}
	if len(scratch) != len(a.scratch) || len(state) != len(a.state) {
		return fmt.Errorf("executor: arenas: want %d and %d elements, got %d and %d",
			len(a.scratch), len(a.state), len(scratch), len(state))
	}
	copy(a.scratch, scratch)
	copy(a.state, state)
	return nil
}
