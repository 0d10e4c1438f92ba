package reference

import (
	"context"
	"fmt"
	"hash/maphash"
	"runtime"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/arena"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// Exec runs a program on the processor. It implements op.Prober.
type Exec struct {
	*arena.Arena
	prog *op.Program
	run  evaluator
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
	e := &Exec{prog: prog, run: evaluator{workers: runtime.GOMAXPROCS(0)}}
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
	plan := op.NewPlan(prog, o.Sizes, o.Guard)
	var err error
	if e.Arena, err = arena.New(prog, plan, make([]float32, plan.Scratch), make([]float32, plan.State)); err != nil {
		return nil, err
	}
	e.run.Arena = e.Arena
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

// Device returns "reference" with what it is.
func (e *Exec) Device() string { return fmt.Sprintf("reference (plain Go, %d threads)", e.run.workers) }

// Close forgets the weights.
func (e *Exec) Close() error {
	e.run.weights = nil
	e.Arena.Close()
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

// RunStep runs one step alone.
func (e *Exec) RunStep(i int) error {
	if err := e.CheckOpen(); err != nil {
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

// Read returns an operand's vectors.
func (e *Exec) Read(o *op.Operand) ([]float32, error) {
	if err := e.CheckOpen(); err != nil {
		return nil, err
	}
	if o.Kind == op.Weight {
		return append([]float32(nil), e.run.weights[o.ID]...), nil
	}
	return e.Arena.Read(o)
}

var sumSeed = maphash.MakeSeed()

// WeightSum returns a checksum of the decoded weights. It is comparable within this process only.
func (e *Exec) WeightSum() (uint64, error) {
	if err := e.CheckOpen(); err != nil {
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
