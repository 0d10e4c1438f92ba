package trial

import (
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// Bench makes the trials of an executor's choices.
type Bench struct {
	Dev      *gpu.Device
	Expected func(work float64) time.Duration // see Recording.Expect
	Chosen   func(*kernel.Choice) tune.Form   // so far
	// Activations returns what an input holds after so many steps of the program, for the first row of the staged batch.
	Activations func(steps int, in op.View) ([]float32, error)
}

// Of returns a trial of a choice's forms.
func (b *Bench) Of(w kernel.Work) tune.Trial {
	switch w := w.(type) {
	case *kernel.Dense:
		return b.product(w.Product, w.Tokens)
	case *kernel.Zeros:
		return &zeros{product: b.product(w.Product, 1), of: w}
	case *kernel.Chain:
		return b.chain(w)
	}
	return nil
}

// timed returns how long one run takes of what commands records times over. The runs take turns over different data. If
// a run clearly takes longer than limit, timed ends early, with a coarse time.
func timed(commands func(times int) (*gpu.Commands, error), turns int, limit time.Duration) (time.Duration, error) {
	return tune.TimedBy(func(times int) (time.Duration, error) {
		c, err := commands(times)
		if err != nil {
			return 0, err
		}
		defer c.Release()
		return tune.Shortest(c.Run)
	}, turns, limit)
}

// floats returns the elements of a range.
func (b *Bench) floats(r gpu.Range) ([]float32, error) {
	data := make([]byte, r.Size)
	if err := b.Dev.Download(data, r); err != nil {
		return nil, err
	}
	return gpu.Float32s(data), nil
}
