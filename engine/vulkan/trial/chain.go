package trial

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
)

// chain runs an op's recurrence, with the op's own weights, on random vectors.
type chain struct {
	*Bench
	of    *kernel.Chain
	shape kernel.Shape
	buf   *gpu.Buffer
	room  gpu.Range // for chunks
	input []byte    // content of the buffer before room
	args  shaders.Wkv7Args
}

// chain returns a trial of a recurrence. It runs as many tokens of each sequence as c.Tried says, whatever number the
// pass has.
func (b *Bench) chain(c *kernel.Chain) *chain { return &chain{Bench: b, of: c, shape: c.Tried()} }

func (t *chain) String() string { return "heads of RWKV-7" }

// Prepare makes vectors, states and room for chunks.
func (t *chain) Prepare() error {
	var x []float32
	place := func(n int, fill func() float32) (at, bytes int) {
		at = len(x)
		for range n {
			x = append(x, fill())
		}
		for len(x)%op.Align != 0 {
			x = append(x, 0)
		}
		return 4 * at, 4 * n
	}
	rng := rand.New(rand.NewPCG(3, 5))
	around := func() float32 { return rng.Float32() - 0.5 }
	decay := func() float32 { return 0.55 + 0.45*rng.Float32() }
	zero := func() float32 { return 0 }
	o := t.of.Op
	rows := t.shape.Rows * o.Y.Stride()
	parts := []struct {
		r    *gpu.Range
		n    int
		fill func() float32
	}{{&t.args.R, rows, around}, {&t.args.W, rows, decay}, {&t.args.K, rows, around}, {&t.args.V, rows, around},
		{&t.args.A, rows, rng.Float32}, {&t.args.Spans, 3 * t.shape.Seqs, zero}, {&t.args.Y, rows, zero},
		{&t.args.State, t.shape.Seqs * o.State.Stride(), around}}
	at := make([][2]int, len(parts))
	for i, p := range parts {
		at[i][0], at[i][1] = place(p.n, p.fill)
	}
	room := 0
	if t.of.Suits(t.shape) {
		room = t.of.Room(t.shape)
	}
	var err error
	if t.buf, err = t.Dev.NewBuffer("recurrence (trial)", 4*len(x)+room, gpu.DeviceLocal); err != nil {
		return err
	}
	for i, p := range parts {
		*p.r = t.buf.Range(at[i][0], at[i][1])
	}
	t.args.StateOut, t.args.Params = t.args.State, t.of.Params()
	t.room = t.buf.Range(4*len(x), room)
	t.input = make([]byte, 4*len(x))
	tensor.F32.Encode(t.input, x)
	spans := gpu.Uint32s(t.input[t.args.Spans.Offset:][:t.args.Spans.Size])
	for i, each := 0, t.shape.Rows/t.shape.Seqs; i < t.shape.Seqs; i++ {
		copy(spans[3*i:], []uint32{uint32(i), uint32(i * each), uint32(each)})
	}
	return t.Dev.Upload(t.buf.Range(0, len(t.input)), t.input)
}

// Release frees the memory.
func (t *chain) Release() { t.buf.Release() }

func (t *chain) commands(f tune.Form, times int) (*gpu.Commands, error) {
	rec := t.Dev.NewRecording()
	rec.SetName(fmt.Sprintf("tuning trial of kernel %s for %s", f, t))
	rec.Expect(t.Expected(float64(times) * kernel.Effort(t.of.Op, t.shape)))
	for range times {
		if err := t.of.Record(rec, f, t.shape, t.args, t.room); err != nil {
			return nil, err
		}
	}
	return rec.End()
}

// Probe returns 0: the forms differ by too little.
func (t *chain) Probe(tune.Form) (time.Duration, error) { return 0, nil }

// Results returns the outputs, and the states after the run.
func (t *chain) Results(f tune.Form) ([]float32, error) {
	c, err := t.commands(f, 1)
	if err != nil {
		return nil, err
	}
	defer c.Release()
	if err := t.Dev.Upload(t.buf.Range(0, len(t.input)), t.input); err != nil {
		return nil, err
	}
	if err := c.Run(); err != nil {
		return nil, err
	}
	return t.floats(t.outputs())
}

// outputs returns where the outputs lie, and the states behind them.
func (t *chain) outputs() gpu.Range {
	return t.buf.Range(t.args.Y.Offset, t.args.State.Offset+t.args.State.Size-t.args.Y.Offset)
}

// Before returns what the outputs and states were before the run.
func (t *chain) Before() []float32 {
	out := t.outputs()
	return gpu.Float32s(t.input[out.Offset:][:out.Size])
}

// Time returns how long the recurrence takes. If it clearly takes longer than limit, the time is coarse.
func (t *chain) Time(f tune.Form, limit time.Duration) (time.Duration, error) {
	return timed(func(times int) (*gpu.Commands, error) { return t.commands(f, times) }, 1, limit)
}
