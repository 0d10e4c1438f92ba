package reference

import (
	"context"
	"fmt"
	"hash/maphash"
	"runtime"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// Exec runs a program on the processor. It implements op.Prober.
type Exec struct {
	prog    *op.Program
	initial []float32 // of a slot
	run     evaluator
}

var _ op.Prober = (*Exec)(nil)

// Options sets what New makes.
type Options struct {
	Sizes    op.Sizes
	Guard    int                         // see op.NewPlan
	Progress func(done, all int64) error // bytes of weights read; an error ends New; may be nil
}

// New decodes the program's weights to float32 and returns an executor for it.
func New(prog *op.Program, o Options) (*Exec, error) {
	e := &Exec{prog: prog, run: evaluator{plan: op.NewPlan(prog, o.Sizes, o.Guard), workers: runtime.GOMAXPROCS(0)}}
	e.run.weights = make([][]float32, len(prog.Operands))
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
		e.run.weights[w.ID] = f
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
	e.run.scratch = make([]float32, e.run.plan.Scratch)
	e.run.state = make([]float32, e.run.plan.State)
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
func (e *Exec) Device() string { return fmt.Sprintf("CPU (%d threads)", e.run.workers) }

// Plan returns where operands lie.
func (e *Exec) Plan() *op.Plan { return e.run.plan }

// Close forgets the weights.
func (e *Exec) Close() error {
	e.run.weights, e.run.scratch, e.run.state = nil, nil, nil
	return nil
}

// Forward runs the whole program over b.
func (e *Exec) Forward(b *op.Batch) error { return e.ForwardContext(context.Background(), b) }

// ForwardContext is Forward that ends when ctx is done. It looks at ctx between steps.
func (e *Exec) ForwardContext(ctx context.Context, b *op.Batch) error {
	err := e.Stage(b)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return op.BeforeRun(err)
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

// errClosed is returned by every call after Close.
var errClosed = fmt.Errorf("reference: %w", op.ErrClosed)

func (e *Exec) checkOpen() error {
	if e.run.weights == nil {
		return errClosed
	}
	return nil
}

// Stage makes b the batch of the steps that follow.
func (e *Exec) Stage(b *op.Batch) error {
	if err := e.checkOpen(); err != nil {
		return err
	}
	if err := b.Check(e.prog, e.run.plan.Sizes); err != nil {
		return err
	}
	e.run.batch.Tokens = append(e.run.batch.Tokens[:0], b.Tokens...)
	e.run.batch.RowSeq = append(e.run.batch.RowSeq[:0], b.RowSeq...)
	e.run.batch.Seqs = append(e.run.batch.Seqs[:0], b.Seqs...)
	e.run.batch.Outs = append(e.run.batch.Outs[:0], b.Outs...)
	return nil
}

// RunStep runs one step alone.
func (e *Exec) RunStep(i int) error {
	if err := e.checkOpen(); err != nil {
		return err
	}
	s := &e.prog.Steps[i]
	if err := s.Op.Apply(&e.run); err != nil {
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
		return nil, op.BeforeRun(err)
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
func (e *Exec) Logits(i int) []float32 { return e.run.vec(e.prog.Logits.All(), i) }

// Read returns an operand's vectors.
func (e *Exec) Read(o *op.Operand) ([]float32, error) {
	if err := e.checkOpen(); err != nil {
		return nil, err
	}
	if o.Kind == op.Weight {
		return append([]float32(nil), e.run.weights[o.ID]...), nil
	}
	var out []float32
	for i := range e.run.count(o) {
		out = append(out, e.run.vec(o.All(), i)...)
	}
	return out, nil
}

// Write sets an operand's vectors.
func (e *Exec) Write(o *op.Operand, data []float32) error {
	if err := e.checkOpen(); err != nil {
		return err
	}
	n := e.run.count(o)
	if o.Kind == op.Weight || len(data) != n*o.Width {
		return fmt.Errorf("reference: write %s: want %d elements, got %d", o, n*o.Width, len(data))
	}
	for i := range n {
		copy(e.run.vec(o.All(), i), data[i*o.Width:])
	}
	return nil
}

// Arenas returns copies of the scratch and state memory.
func (e *Exec) Arenas() (scratch, state []float32, err error) {
	if err := e.checkOpen(); err != nil {
		return nil, nil, err
	}
	return append([]float32(nil), e.run.scratch...), append([]float32(nil), e.run.state...), nil
}

// SetArenas replaces the scratch and state memory.
func (e *Exec) SetArenas(scratch, state []float32) error {
	if err := e.checkOpen(); err != nil {
		return err
	}
	if len(scratch) != len(e.run.scratch) || len(state) != len(e.run.state) {
		return fmt.Errorf("reference: arenas: want %d and %d elements, got %d and %d",
			len(e.run.scratch), len(e.run.state), len(scratch), len(state))
	}
	copy(e.run.scratch, scratch)
	copy(e.run.state, state)
	return nil
}

var sumSeed = maphash.MakeSeed()

// WeightSum returns a checksum of the decoded weights. It is comparable within this process only.
func (e *Exec) WeightSum() (uint64, error) {
	if err := e.checkOpen(); err != nil {
		return 0, err
	}
	var h maphash.Hash
	h.SetSeed(sumSeed)
	buf := make([]byte, 4)
	for _, w := range e.run.weights {
		for i := range w {
			tensor.F32.Encode(buf, w[i:i+1])
			_, _ = h.Write(buf) // never fails
		}
	}
	return h.Sum64(), nil
}
