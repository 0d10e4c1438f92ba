package cpu

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/arena"
	"github.com/rwkv-gpu/rwkv-gpu/engine/cpu/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// Exec runs a program on the processor. It implements op.Prober.
type Exec struct {
	*arena.Arena
	prog    *op.Program
	level   kernel.Level
	pool    *pool
	weights *loaded
	steps   []step
	tasks   []*task     // of steps
	memory  [][]float32 // of scratch, states and workers
	sparse  sparse
	columns []byte // room for the matrices of sparse
	writes  bool   // reports whether the pass writes a matrix by columns
	closed  bool
}

var _ op.Prober = (*Exec)(nil)

// Options sets what New makes.
type Options struct {
	Sizes    op.Sizes
	Guard    int                         // see op.NewPlan
	Threads  int                         // workers; 0: the physical cores that this process may use
	Level    string                      // of processor features, as Levels has it; "": what RWKV_CPU says, or else the best
	Spare    int                         // bytes of memory for copies of weights that make decode faster; see SpareUse
	Progress func(done, all int64) error // bytes of weights loaded; an error ends New; may be nil
}

// New loads the program's weights and returns an executor for it. The files that they lie in are held until Close.
func New(prog *op.Program, o Options) (*Exec, error) {
	level, err := levelOf(o.Level)
	if err != nil {
		return nil, err
	}
	e := &Exec{prog: prog, level: level, pool: newPool(Threads(o.Threads))}
	if err := e.load(o); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// load makes all that New has not.
func (e *Exec) load(o Options) (err error) {
	plan := op.NewPlan(e.prog, o.Sizes, o.Guard)
	scratch, err := e.alloc(plan.Scratch)
	if err != nil {
		return err
	}
	state, err := e.alloc(plan.State)
	if err != nil {
		return err
	}
	if e.Arena, err = arena.New(e.prog, plan, scratch, state); err != nil {
		return err
	}
	if e.sparse = findSparse(e.prog, len(e.pool.workers)); e.sparse.bytes() > o.Spare {
		e.sparse = nil
	}
	if e.columns, err = kernel.AllocLarge(e.sparse.bytes()); err != nil {
		e.sparse = nil // rows do as well
	}
	work := workLen(e.prog, o.Sizes, e.sparse)
	for _, w := range e.pool.workers {
		if w.work, err = e.alloc(work); err != nil {
			return err
		}
	}
	if e.weights, err = loadWeights(e.prog, e.level, e.pool, o.Progress); err != nil {
		return err
	}
	return e.compile()
}

func (e *Exec) alloc(n int) ([]float32, error) {
	f, err := kernel.Alloc(n)
	if err == nil {
		e.memory = append(e.memory, f)
	}
	return f, err
}

// Device returns "CPU" with the number of threads and the level of processor features.
func (e *Exec) Device() string {
	s := "s"
	if len(e.pool.workers) == 1 {
		s = ""
	}
	return fmt.Sprintf("CPU (%d thread%s, %s)", len(e.pool.workers), s, e.level)
}

// Close ends the workers, and gives memory and files back.
func (e *Exec) Close() error {
	if e.closed {
		return nil
	}
	e.closed = true
	e.pool.close()
	if e.weights != nil {
		e.weights.close()
	}
	if e.Arena != nil {
		e.Arena.Close()
	}
	for _, m := range e.memory {
		kernel.Free(m)
	}
	kernel.Free(e.columns)
	e.memory, e.columns, e.steps, e.tasks = nil, nil, nil, nil
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
	return e.run(ctx, 0, len(e.steps))
}

// Stage makes b the batch of the steps that follow.
func (e *Exec) Stage(b *op.Batch) error {
	if err := e.Arena.Stage(b); err != nil {
		return err
	}
	e.writes = false
	for i, s := range e.steps {
		e.tasks[i].units = int32(s.units(&e.Batch))
	}
	return nil
}

// run runs the steps [from, to). If a file has changed before, nothing is run. If it changes meanwhile, what was run
// counts for nothing, and the error does not say that nothing was run.
func (e *Exec) run(ctx context.Context, from, to int) error {
	if err := e.CheckOpen(); err != nil {
		return op.BeforeRun(err)
	}
	if err := e.weights.changed(); err != nil {
		return op.BeforeRun(err)
	}
	if err := e.pool.run(ctx, e.tasks[from:to]); err != nil {
		return fileError(err)
	}
	return e.weights.changed()
}

// RunStep runs one step alone.
func (e *Exec) RunStep(i int) error { return e.RunSteps(i, i+1) }

// RunSteps runs the steps [from, to).
func (e *Exec) RunSteps(from, to int) error {
	return e.run(context.Background(), from, to)
}

// Timings runs the whole program over b and returns each step's time.
func (e *Exec) Timings(b *op.Batch) ([]time.Duration, error) {
	if err := e.Stage(b); err != nil {
		return nil, op.BeforeRun(err)
	}
	times := make([]time.Duration, len(e.steps))
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
	if o.Kind != op.Weight || e.closed {
		return e.Arena.Read(o)
	}
	if v := e.weights.vectors[o.ID]; v != nil {
		return append([]float32(nil), v...), nil
	}
	f := make([]float32, o.Width)
	err := fileError(e.level.Decode(o.Source.Type, f, e.weights.stored[o.ID]))
	if err == nil {
		err = e.weights.changed()
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

var sumSeed = maphash.MakeSeed()

// WeightSum returns a checksum of the weights as they lie in memory. It is comparable within this process only.
func (e *Exec) WeightSum() (uint64, error) {
	if err := e.CheckOpen(); err != nil {
		return 0, err
	}
	var h maphash.Hash
	h.SetSeed(sumSeed)
	err := tensor.Guard(func() error {
		for _, data := range e.weights.stored {
			_, _ = h.Write(data) // never fails
		}
		buf := make([]byte, 4)
		for _, f := range e.weights.floats {
			tensor.F32.Encode(buf, []float32{f})
			_, _ = h.Write(buf)
		}
		return e.weights.changed()
	})
	return h.Sum64(), err
}
