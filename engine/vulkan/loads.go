package vulkan

import (
	"errors"
	"fmt"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// texels is a range that would be bound as texels of some bytes each.
func texels(r gpu.Range, bytes int) profile.Texel { return profile.Texel{Range: r, Bytes: bytes} }

func floatTexels(r gpu.Range) profile.Texel { return texels(r, 4) }

// texel reports whether an op should bind its inputs as texels: if that is the device's way and all of them fit.
func (e *Exec) texel(inputs ...profile.Texel) bool {
	return e.loads == profile.Texels && profile.Fits(e.dev.Info().Limits, inputs...)
}

// measure returns the faster way to load on this device: the one that the tuner has kept, or the one that is found now by
// running a product in each form. Kernels, and with them all that is tuned, hang on it, so it must not differ from one start
// to the next.
func (k *Kernels) measure(t *Tuner) (profile.Loads, error) {
	if k.loads != profile.Measured {
		return k.loads, nil
	}
	info := k.dev.Info()
	key := fmt.Sprintf("%s | %s | loads", info.Name, info.Driver)
	found, _ := t.known(key)
	for _, l := range []profile.Loads{profile.Buffers, profile.Texels} {
		if found.Kernel == l.String() {
			k.loads = l
			return l, nil
		}
	}
	l, took, err := k.fasterLoads()
	if err != nil {
		return profile.Measured, err
	}
	k.loads = l
	t.take(key, tuned{Kernel: l.String(), Micros: int(took.Microseconds())})
	return l, nil
}

// fasterLoads measures the two ways.
func (k *Kernels) fasterLoads() (best profile.Loads, took time.Duration, err error) {
	var execs [profile.Texels + 1]*Exec
	defer func() {
		for _, e := range execs {
			if e != nil {
				err = errors.Join(err, e.Close())
			}
		}
	}()
	for _, l := range []profile.Loads{profile.Buffers, profile.Texels} {
		if execs[l], err = k.loadsTrial(l); err != nil {
			return profile.Measured, 0, err
		}
	}
	var batch op.Batch
	batch.Add(0, []int{0}, 0)
	return contestOfLoads(func(l profile.Loads) (time.Duration, error) {
		start := time.Now()
		err := execs[l].Forward(&batch)
		return time.Since(start), err
	})
}

// A device that had nothing to do, and a driver that made a kernel only now, take some time to get to their speed: what
// is run before that does not count.
const (
	loadsWarmUp = 60 * time.Millisecond
	loadsTime   = 120 * time.Millisecond
	loadsTurns  = 3
)

// contestOfLoads runs the two ways by turns and returns the one whose shortest run is shorter. Texels have to win clearly:
// where the two are alike, noise must not choose.
func contestOfLoads(run func(profile.Loads) (time.Duration, error)) (best profile.Loads, took time.Duration, err error) {
	var shortest [profile.Texels + 1]time.Duration
	var warm, counted time.Duration
	for turns := 0; turns < loadsTurns || counted < loadsTime; {
		var both time.Duration
		for _, l := range []profile.Loads{profile.Buffers, profile.Texels} {
			d, err := run(l)
			if err != nil {
				return profile.Measured, 0, err
			}
			if both += d; turns == 0 || d < shortest[l] {
				shortest[l] = d
			}
		}
		if warm < loadsWarmUp {
			warm += max(both, time.Microsecond)
			continue
		}
		turns, counted = turns+1, counted+max(both, time.Microsecond)
	}
	if best = profile.Buffers; shortest[profile.Texels] < shortest[profile.Buffers]*3/4 {
		best = profile.Texels
	}
	return best, shortest[best], nil
}

// The measured product is of the size of the smallest texel buffer that Vulkan allows (65536 texels), and repeated within
// a submission, so that the submission's own cost does not count.
const (
	measureRows  = 512
	measureK     = 1024
	measureSteps = 16
)

// loadsTrial returns an executor of a matrix-vector product.
func (k *Kernels) loadsTrial(l profile.Loads) (*Exec, error) {
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
	return New(k, prog, Options{Sizes: op.Sizes{Slots: 1, Rows: 1, Seqs: 1}, Loads: l})
}
