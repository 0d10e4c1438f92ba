package vulkan

import (
	"errors"
	"math"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// Loads says how kernels read their inputs.
type Loads uint8

// The ways to load. Measured is whichever the device does faster.
const (
	Measured Loads = iota
	Buffers        // storage buffers
	Texels         // uniform texel buffers, where the device's limits allow them
)

// String returns the name of the way to load.
func (l Loads) String() string { return [...]string{"measured", "buffers", "texels"}[l] }

// texels is a range that would be bound as texels of some bytes each.
type texels struct {
	gpu.Range
	size int
}

func floatTexels(r gpu.Range) texels { return texels{r, 4} }

// texel tells whether an op should bind its inputs as texels: if that is the device's way and all of them fit.
func (e *Exec) texel(inputs ...texels) bool {
	return e.loads == Texels && fits(e.dev.Info().Limits, inputs)
}

func fits(l gpu.Limits, inputs []texels) bool {
	if l.TexelOffsetAlignment > 4*op.Align {
		return false
	}
	for _, in := range inputs {
		if in.Size/in.size > l.MaxTexelBufferElements {
			return false
		}
	}
	return true
}

// measure returns the faster way to load on this device, found once by running a product in each form. Texels have to win
// clearly: where the two are alike, noise must not choose.
func (k *Kernels) measure() (Loads, error) {
	if k.loads != Measured {
		return k.loads, nil
	}
	buffers, err := k.timeLoads(Buffers)
	if err != nil {
		return Measured, err
	}
	texels, err := k.timeLoads(Texels)
	if err != nil {
		return Measured, err
	}
	if k.loads = Buffers; texels < buffers*3/4 {
		k.loads = Texels
	}
	return k.loads, nil
}

// The measured product is of the size of the smallest texel buffer that Vulkan allows (65536 texels), and repeated within
// a submission, so that the submission's own cost does not count.
const (
	measureRows  = 512
	measureK     = 1024
	measureSteps = 16
	measureRuns  = 4
)

// timeLoads returns the shortest time of some runs of a matrix-vector product.
func (k *Kernels) timeLoads(l Loads) (best time.Duration, err error) {
	w := tensor.New("measure", tensor.F16, []int{measureRows, measureK}, func() ([]byte, error) {
		return make([]byte, tensor.F16.Bytes(measureRows*measureK)), nil
	})
	var b op.Builder
	x, y := b.Scratch("x", op.Row, measureK), b.Scratch("y", op.Row, measureRows)
	product := &op.MatMul{Parts: []op.Part{{W: b.Weight(w, w.Shape...), X: x.All(), Y: y.All()}}}
	for range measureSteps {
		b.Emit(-1, "measure", product)
	}
	prog := b.Unchecked()
	prog.Vocab = 1
	e, err := New(k, prog, Options{Sizes: op.Sizes{Slots: 1, Rows: 1, Seqs: 1}, Loads: l})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	var batch op.Batch
	batch.Add(0, []int{0}, 0)
	best = math.MaxInt64
	for range measureRuns {
		start := time.Now()
		if err := e.Forward(&batch); err != nil {
			return 0, err
		}
		best = min(best, time.Since(start))
	}
	return best, nil
}
