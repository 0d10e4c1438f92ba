package vulkan

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/draw"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/layout"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/state"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// Options sets what New makes.
type Options struct {
	Sizes    op.Sizes
	Guard    int                         // see op.NewPlan
	Progress func(done, all int64) error // bytes of weights uploaded; an error ends New; may be nil
	MatMul   string                      // a kernel of products, in tests; "": the one that is chosen
	Recur    string                      // a form of RWKV-7's recurrence, in tests; the same
	Loads    profile.Loads               // Measured but in tests
	Draws    Draws                       // FasterDraws but in tests
	Tuner    *tune.Tuner                 // nil: all runs in its usual forms
	Exact    bool                        // a token's numbers do not depend on the other tokens of its batch
	Half     bool                        // products of many tokens may round numbers to float16 once; not with Exact
}

// runner is a program on a device, with what recording and running its passes takes.
type runner struct {
	dev    *gpu.Device
	set    *kernel.Set
	tuner  *tune.Tuner
	prog   *op.Program
	plan   *op.Plan
	env    *kernel.Env
	steps  []kernel.Step
	memory memory
	states *state.States
	pace   pacing
}

// Exec runs a program on a device. It implements op.Executor.
type Exec struct {
	*runner
	shapes passCache[kernel.Shape]
	decode decoding
}

var _ op.Executor = (*Exec)(nil)

// New uploads the program's weights to the kernels' device and returns an executor for it. The kernels must outlive it.
func New(k *Kernels, prog *op.Program, o Options) (*Exec, error) {
	r := &runner{dev: k.set.Dev, set: k.set, tuner: o.Tuner, prog: prog, plan: op.NewPlan(prog, o.Sizes, o.Guard)}
	r.pace = pacing{work: rowWorkOf(prog), now: time.Now}
	e := &Exec{runner: r, shapes: passCache[kernel.Shape]{most: maxShapes, record: r.recordForward}}
	e.decode = decoding{runner: r, place: o.Draws}
	e.decode.shapes = passCache[draw.Shape]{most: maxDecodeShapes, record: e.decode.record}
	if err := r.make(k, o); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

func (e *runner) make(k *Kernels, o Options) (err error) {
	loads := o.Loads
	if loads == profile.Measured {
		if loads, err = k.Loads(e.tuner); err != nil {
			return err
		}
	}
	info := e.dev.Info()
	e.env = &kernel.Env{Set: e.set, Prog: e.prog, Plan: e.plan, Loads: loads, Forced: kernel.Forced{MatMul: o.MatMul, Recur: o.Recur},
		On: fmt.Sprintf("%s | %s | %s | ", info.Name, info.Driver, loads), Tuned: e.tuner != nil, Exact: o.Exact, Half: o.Half, HasRoom: k.HasRoom}
	load := layout.NewLoader(e.dev, e.prog, o.Progress)
	e.steps, err = kernel.Steps(e.env, load)
	e.memory.weights = load.Buffers
	if err != nil {
		return err
	}
	if err := e.memory.make(e.dev, e.prog, e.plan); err != nil {
		return err
	}
	e.states, err = state.New(e.dev, e.prog, e.plan, e.memory.state, e.checkOpen)
	return err
}

// Close releases everything on the device.
func (e *Exec) Close() error {
	e.shapes.release()
	e.decode.release()
	e.states.Release()
	if e.env != nil {
		e.env.Release()
	}
	e.memory.release()
	return nil
}

// Device returns the device's name.
func (e *Exec) Device() string { return e.dev.Info().Name }

// Forward runs the whole program over b and waits.
func (e *Exec) Forward(b *op.Batch) error { return e.ForwardContext(context.Background(), b) }

// ForwardContext is Forward that ends when ctx is done. It looks at ctx between submissions.
func (e *Exec) ForwardContext(ctx context.Context, b *op.Batch) error {
	p, err := e.ready(ctx, b)
	if err != nil {
		return op.BeforeRun(err)
	}
	return e.run(ctx, p, len(b.Tokens), nil)
}

// Prepare makes a later ForwardContext of a batch like b fast: it records the pass and, as far as there is time,
// measures which forms are the fastest.
func (e *Exec) Prepare(ctx context.Context, b *op.Batch) error {
	_, err := e.ready(ctx, b)
	return err
}

// ready stages b and returns the pass of its shape.
func (e *Exec) ready(ctx context.Context, b *op.Batch) (*pass, error) {
	if err := e.stage(b); err != nil {
		return nil, err
	}
	return settled(ctx, e.runner, &e.shapes, shapeOf(b))
}

// Settled reports whether more measuring would leave every pass that ran as it is.
func (e *Exec) Settled() bool {
	return e.tuner == nil || e.tuner.Budget <= 0 || e.shapes.settled() && e.decode.shapes.settled()
}

// errClosed is what every call after Close returns.
var errClosed = fmt.Errorf("vulkan: %w", op.ErrClosed)

func (e *runner) checkOpen() error {
	if e.memory.scratch == nil {
		return errClosed
	}
	return nil
}

// stage checks b and writes its tables where the next submission reads them.
func (e *runner) stage(b *op.Batch) error {
	if err := e.checkOpen(); err != nil {
		return err
	}
	if err := b.Check(e.prog, e.plan.Sizes); err != nil {
		return err
	}
	e.memory.tables.write(b)
	return nil
}

// Logits returns the logits of the last batch's i-th out, in mapped memory.
func (e *Exec) Logits(i int) []float32 {
	l := e.prog.Logits
	return gpu.Float32s(e.memory.logits.Bytes())[i*l.Stride():][:l.Width]
}
