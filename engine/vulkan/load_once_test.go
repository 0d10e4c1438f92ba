package vulkan

import (
	"fmt"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// An executor loads, and quantizes, each weight of a model once, also where it falls into many pieces.
func TestWeightsLoadedOnce(t *testing.T) {
	whole := kernels(t)
	pieces := kernels(t, gpu.DeviceOptions{LimitOverride: func(l *gpu.Limits) { l.MaxStorageBufferRange = 72 << 10 }})
	versions := weightstest.Versions
	if testing.Short() {
		versions = []string{"v7"}
	}
	for _, version := range versions {
		for _, quant := range []tensor.Type{0, tensor.Q4_K} {
			units := map[*Kernels]int{}
			for _, k := range []*Kernels{whole, pieces} {
				prog, loads := blockModel(t, version, quant).Program, map[*tensor.Tensor]int{}
				sources := map[*tensor.Tensor]*tensor.Tensor{} // some are of several operands
				for _, w := range prog.Of(op.Weight) {
					was := w.Source
					if sources[was] == nil {
						sources[was] = tensor.New(was.Name, was.Type, was.Shape, func() ([]byte, error) {
							loads[was]++
							return was.Load()
						})
					}
					w.Source = sources[was]
				}
				e := execWith(t, k, prog, Options{Sizes: op.Sizes{Slots: 1, Rows: 1, Seqs: 1, Outs: 1}})
				units[k] = len(e.memory.weights)
				for was := range sources {
					if loads[was] != 1 {
						t.Errorf("%s, quantized to %s: %s was loaded %d times", version, fmt.Sprint(quant), was.Name, loads[was])
					}
				}
			}
			if units[pieces] <= units[whole] {
				t.Errorf("%s, quantized to %s: %d buffers of weights, %d in pieces", version, fmt.Sprint(quant), units[whole], units[pieces])
			}
		}
	}
}
