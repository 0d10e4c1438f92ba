package vulkan

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
)

// recurrenceTrial runs an op's recurrence, of made-up vectors with the op's own weights, in memory of its own.
type recurrenceTrial struct {
	e      *Exec
	o      *op.WKV7
	shape  shape
	buf    *gpu.Buffer
	input  []byte // of the whole buffer
	args   shaders.Wkv7Args
	stride int // of states, in elements
}

// newRecurrenceTrial returns a trial for passes over so many sequences: as many tokens of each as stand for all, or as suit the
// device, whatever number the pass has.
func newRecurrenceTrial(e *Exec, o *op.WKV7, rows, seqs int) *recurrenceTrial {
	each := min(e.plan.Sizes.Rows/seqs, trialTokens)
	if !suitsChunks(e.dev.Info().Limits, o, each*seqs, seqs) {
		each = min(rows/seqs, each)
	}
	return &recurrenceTrial{e: e, o: o, shape: shape{rows: each * seqs, seqs: seqs}}
}

func (t *recurrenceTrial) String() string { return "heads of RWKV-7" }

// hold makes the trial's buffer and restore releases it.
func (t *recurrenceTrial) hold() error {
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
	rows := t.shape.rows * t.o.Y.Stride()
	t.stride = t.o.State.Stride()
	parts := []struct {
		r    *gpu.Range
		n    int
		fill func() float32
	}{{&t.args.R, rows, around}, {&t.args.W, rows, decay}, {&t.args.K, rows, around}, {&t.args.V, rows, around},
		{&t.args.A, rows, rng.Float32}, {&t.args.Spans, 3 * t.shape.seqs, zero}, {&t.args.Y, rows, zero},
		{&t.args.State, t.shape.seqs * t.stride, around}}
	at := make([][2]int, len(parts))
	for i, p := range parts {
		at[i][0], at[i][1] = place(p.n, p.fill)
	}
	var err error
	if t.buf, err = t.e.dev.NewBuffer("recurrence (trial)", 4*len(x), gpu.DeviceLocal); err != nil {
		return err
	}
	for i, p := range parts {
		*p.r = t.buf.Range(at[i][0], at[i][1])
	}
	t.args.StateOut, t.args.Params = t.args.State, t.e.params.All()
	t.input = make([]byte, 4*len(x))
	tensor.F32.Encode(t.input, x)
	spans := gpu.Uint32s(t.input[t.args.Spans.Offset:][:t.args.Spans.Size])
	for i, each := 0, t.shape.rows/t.shape.seqs; i < t.shape.seqs; i++ {
		copy(spans[3*i:], []uint32{uint32(i), uint32(i * each), uint32(each)})
	}
	if err := t.e.dev.Upload(t.buf.All(), t.input); err != nil {
		return errors.Join(err, t.restore())
	}
	return nil
}

func (t *recurrenceTrial) restore() error {
	t.buf.Release()
	return nil
}

func (t *recurrenceTrial) commands(f Recurrence, times int) (*gpu.Commands, error) {
	r := &recorder{Exec: t.e, rec: t.e.dev.NewRecording(), shape: t.shape}
	r.rec.SetName(fmt.Sprintf("tuning trial of kernel %s for %s", f, t))
	r.rec.Expect(t.e.expected(float64(times) * work(t.o, t.shape)))
	w := t.e.ops.wkv7s[t.o]
	push := shaders.Wkv7Push{Stride: uint32(t.o.Y.Stride() / 4), StateStride: uint32(t.stride / 4), Kk: w.kk / 4, Ka: w.ka / 4}
	texel := r.texel(floatTexels(t.args.R), floatTexels(t.args.Params), texels(t.args.State, 16))
	for range times {
		if err := r.recurBy(f, t.o, texel, t.args, push); err != nil {
			return nil, err
		}
	}
	return r.rec.End()
}

// probe tells nothing: the forms differ by too little.
func (t *recurrenceTrial) probe(Recurrence) (time.Duration, error) { return 0, nil }

// results returns the outputs and the states after them.
func (t *recurrenceTrial) results(f Recurrence) ([]float32, error) {
	c, err := t.commands(f, 1)
	if err != nil {
		return nil, err
	}
	defer c.Release()
	if err := t.e.dev.Upload(t.buf.All(), t.input); err != nil {
		return nil, err
	}
	if err := c.Run(); err != nil {
		return nil, err
	}
	out := t.outputs()
	data := make([]byte, out.Size)
	if err := t.e.dev.Download(data, out); err != nil {
		return nil, err
	}
	return gpu.Float32s(data), nil
}

// outputs is where outputs lie, and behind them states.
func (t *recurrenceTrial) outputs() gpu.Range {
	return t.buf.Range(t.args.Y.Offset, t.args.State.Offset+t.args.State.Size-t.args.Y.Offset)
}

// before returns what lies there before.
func (t *recurrenceTrial) before() []float32 {
	out := t.outputs()
	return gpu.Float32s(t.input[out.Offset:][:out.Size])
}

func (t *recurrenceTrial) time(f Recurrence, limit time.Duration) (time.Duration, error) {
	return timed(func(times int) (*gpu.Commands, error) { return t.commands(f, times) }, 1, limit)
}
