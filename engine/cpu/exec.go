// Package cpu is the reference: it does every op plainly in float32, with gonum's products, over all cores. It says
// what is right; engine/vulkan says it faster.
package cpu

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"runtime"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// Exec runs a program on the processor. It implements op.Prober and, for its own steps, op.Backend.
type Exec struct {
	prog    *op.Program
	plan    *op.Plan
	weights [][]float32 // by operand ID
	scratch []float32
	state   []float32
	initial []float32 // of a slot
	batch   op.Batch
	workers int
}

var (
	_ op.Prober  = (*Exec)(nil)
	_ op.Backend = (*Exec)(nil)
)

// Options sets what New makes.
type Options struct {
	Sizes    op.Sizes
	Guard    int                         // see op.NewPlan
	Progress func(done, all int64) error // bytes of weights read; an error ends New; may be nil
}

// New decodes the program's weights to float32 and returns an executor for it.
func New(prog *op.Program, o Options) (*Exec, error) {
	e := &Exec{prog: prog, plan: op.NewPlan(prog, o.Sizes, o.Guard), workers: runtime.GOMAXPROCS(0)}
	e.weights = make([][]float32, len(prog.Operands))
	var done, all int64
	for _, w := range prog.Of(op.Weight) {
		all += int64(w.Source.Type.Bytes(w.Width))
	}
	garbage := newGarbage(prog)
	for _, w := range prog.Of(op.Weight) {
		f, err := load(w)
		if err != nil {
			return nil, err
		}
		e.weights[w.ID] = f
		garbage.kept(4 * len(f))
		done += int64(w.Source.Type.Bytes(w.Width))
		if o.Progress != nil {
			if err := o.Progress(done, all); err != nil {
				return nil, err
			}
		}
	}
	var err error
	if e.initial, err = prog.InitialState(); err != nil {
		return nil, err
	}
	e.scratch = make([]float32, e.plan.Scratch)
	e.state = make([]float32, e.plan.State)
	for slot := range o.Sizes.Slots {
		if err := e.ResetState(slot); err != nil {
			return nil, err
		}
	}
	return e, nil
}

func load(w *op.Operand) ([]float32, error) {
	f := make([]float32, w.Width)
	return f, w.Source.Use(func(data []byte) error {
		if i := w.Source.Type.CheckFinite(data); i >= 0 {
			return &op.NotFiniteError{Tensor: w.Source.Name, Index: i}
		}
		w.Source.Type.Decode(f, data)
		return nil
	})
}

// Device returns "CPU" with the number of threads.
func (e *Exec) Device() string { return fmt.Sprintf("CPU (%d threads)", e.workers) }

// Plan returns where operands lie.
func (e *Exec) Plan() *op.Plan { return e.plan }

// Close forgets the weights.
func (e *Exec) Close() error {
	e.weights, e.scratch, e.state = nil, nil, nil
	return nil
}

// Forward runs the whole program over b.
func (e *Exec) Forward(b *op.Batch) error { return e.ForwardContext(context.Background(), b) }

// ForwardContext is Forward until ctx is done, which is noticed between steps.
func (e *Exec) ForwardContext(ctx context.Context, b *op.Batch) error {
	if err := e.Stage(b); err != nil {
		return err
	}
	for i := range e.prog.Steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := e.RunStep(i); err != nil {
			return err
		}
	}
	return nil
}

// errClosed is what every call after Close returns.
var errClosed = fmt.Errorf("cpu: %w", op.ErrClosed)

func (e *Exec) checkOpen() error {
	if e.weights == nil {
		return errClosed
	}
	return nil
}

// Stage makes b the batch of the steps that follow.
func (e *Exec) Stage(b *op.Batch) error {
	if err := e.checkOpen(); err != nil {
		return err
	}
	if err := b.Check(e.prog, e.plan.Sizes); err != nil {
		return err
	}
	e.batch.Tokens = append(e.batch.Tokens[:0], b.Tokens...)
	e.batch.RowSeq = append(e.batch.RowSeq[:0], b.RowSeq...)
	e.batch.Seqs = append(e.batch.Seqs[:0], b.Seqs...)
	e.batch.Outs = append(e.batch.Outs[:0], b.Outs...)
	return nil
}

// RunStep runs one step alone.
func (e *Exec) RunStep(i int) error {
	if err := e.checkOpen(); err != nil {
		return err
	}
	s := &e.prog.Steps[i]
	if err := s.Op.Apply(e); err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	return nil
}

// RunSteps runs the steps [from, to).
func (e *Exec) RunSteps(from, to int) error {
	for i := from; i < to; i++ {
		if err := e.RunStep(i); err != nil {
			return err
		}
	}
	return nil
}

// Timings runs the whole program over b and returns each step's time.
func (e *Exec) Timings(b *op.Batch) ([]time.Duration, error) {
	if err := e.Stage(b); err != nil {
		return nil, err
	}
	times := make([]time.Duration, len(e.prog.Steps))
	for i := range times {
		start := time.Now()
		if err := e.RunStep(i); err != nil {
			return nil, err
		}
		times[i] = time.Since(start)
	}
	return times, nil
}

// Logits returns the logits of the last batch's i-th out.
func (e *Exec) Logits(i int) []float32 { return e.vec(e.prog.Logits.All(), i) }

// vec returns the elements of v's i-th vector: of a row, sequence, out or slot.
func (e *Exec) vec(v op.View, i int) []float32 {
	arena := e.scratch
	if v.Of.Kind == op.State {
		arena = e.state
	}
	at := e.plan.Offset[v.Of.ID] + i*v.Of.Stride() + v.Off
	return arena[at : at+v.Len : at+v.Len]
}

func (e *Exec) weight(o *op.Operand) []float32 {
	if o == nil {
		return nil
	}
	return e.weights[o.ID]
}

// done is a transfer, which is over when it has started.
type done struct{}

func (done) Wait() error { return nil }

// StartRead copies the states of slots to dst.
func (e *Exec) StartRead(slots []int, dst [][]float32) (op.Transfer, error) {
	return e.transfer(slots, dst, e.ReadState)
}

// StartWrite sets the states of slots to src.
func (e *Exec) StartWrite(slots []int, src [][]float32) (op.Transfer, error) {
	return e.transfer(slots, src, e.WriteState)
}

func (e *Exec) transfer(slots []int, host [][]float32, one func(int, []float32) error) (op.Transfer, error) {
	if err := e.checkOpen(); err != nil {
		return nil, err
	}
	if len(slots) != len(host) {
		return nil, fmt.Errorf("cpu: state: want %d states for as many slots, got %d", len(slots), len(host))
	}
	for i, slot := range slots { // nothing is copied if one is wrong
		if err := errors.Join(e.checkStateLen(len(host[i])), e.checkSlot(slot)); err != nil {
			return nil, err
		}
	}
	for i, slot := range slots {
		if err := one(slot, host[i]); err != nil {
			return nil, err
		}
	}
	return done{}, nil
}

// ReadState copies slot's state to dst.
func (e *Exec) ReadState(slot int, dst []float32) error {
	if err := e.checkStateLen(len(dst)); err != nil {
		return err
	}
	return e.eachState(slot, func(_ *op.Operand, part []float32, at int) { copy(dst[at:], part) })
}

// WriteState sets slot's state to src.
func (e *Exec) WriteState(slot int, src []float32) error {
	if err := e.checkStateLen(len(src)); err != nil {
		return err
	}
	return e.eachState(slot, func(_ *op.Operand, part []float32, at int) { copy(part, src[at:]) })
}

// ResetState gives slot the initial state.
func (e *Exec) ResetState(slot int) error {
	return e.eachState(slot, func(_ *op.Operand, part []float32, at int) { copy(part, e.initial[at:]) })
}

// CopyState copies the state of slot src to slot dst.
func (e *Exec) CopyState(dst, src int) error {
	if err := e.checkSlot(src); err != nil {
		return err
	}
	return e.eachState(dst, func(o *op.Operand, part []float32, _ int) { copy(part, e.vec(o.All(), src)) })
}

func (e *Exec) checkStateLen(n int) error {
	if want := e.prog.StateLen(); n != want {
		return fmt.Errorf("cpu: state: want %d elements, got %d", want, n)
	}
	return nil
}

func (e *Exec) checkSlot(slot int) error {
	if err := e.checkOpen(); err != nil {
		return err
	}
	if slot < 0 || slot >= e.plan.Sizes.Slots {
		return fmt.Errorf("cpu: state: want a slot below %d, got %d", e.plan.Sizes.Slots, slot)
	}
	return nil
}

// eachState calls do for each state operand with slot's vector and its place in a slot's state.
func (e *Exec) eachState(slot int, do func(o *op.Operand, part []float32, at int)) error {
	if err := e.checkSlot(slot); err != nil {
		return err
	}
	at := 0
	for _, o := range e.prog.Of(op.State) {
		do(o, e.vec(o.All(), slot), at)
		at += o.Width
	}
	return nil
}

// Read returns an operand's vectors.
func (e *Exec) Read(o *op.Operand) ([]float32, error) {
	if err := e.checkOpen(); err != nil {
		return nil, err
	}
	if o.Kind == op.Weight {
		return append([]float32(nil), e.weights[o.ID]...), nil
	}
	var out []float32
	for i := range e.count(o) {
		out = append(out, e.vec(o.All(), i)...)
	}
	return out, nil
}

// Write sets an operand's vectors.
func (e *Exec) Write(o *op.Operand, data []float32) error {
	if err := e.checkOpen(); err != nil {
		return err
	}
	n := e.count(o)
	if o.Kind == op.Weight || len(data) != n*o.Width {
		return fmt.Errorf("cpu: write %s: want %d elements, got %d", o, n*o.Width, len(data))
	}
	for i := range n {
		copy(e.vec(o.All(), i), data[i*o.Width:])
	}
	return nil
}

func (e *Exec) count(o *op.Operand) int {
	if o.Kind == op.State {
		return e.plan.Sizes.Slots
	}
	return e.batch.Count(o.Kind)
}

// Arenas returns copies of the scratch and state memory.
func (e *Exec) Arenas() (scratch, state []float32, err error) {
	if err := e.checkOpen(); err != nil {
		return nil, nil, err
	}
	return append([]float32(nil), e.scratch...), append([]float32(nil), e.state...), nil
}

// SetArenas replaces the scratch and state memory.
func (e *Exec) SetArenas(scratch, state []float32) error {
	if err := e.checkOpen(); err != nil {
		return err
	}
	if len(scratch) != len(e.scratch) || len(state) != len(e.state) {
		return fmt.Errorf("cpu: arenas: want %d and %d elements, got %d and %d",
			len(e.scratch), len(e.state), len(scratch), len(state))
	}
	copy(e.scratch, scratch)
	copy(e.state, state)
	return nil
}

var sumSeed = maphash.MakeSeed()

// WeightSum returns a checksum of the decoded weights, good within this process.
func (e *Exec) WeightSum() (uint64, error) {
	if err := e.checkOpen(); err != nil {
		return 0, err
	}
	var h maphash.Hash
	h.SetSeed(sumSeed)
	buf := make([]byte, 4)
	for _, w := range e.weights {
		for i := range w {
			tensor.F32.Encode(buf, w[i:i+1])
			_, _ = h.Write(buf) // never fails
		}
	}
	return h.Sum64(), nil
}
