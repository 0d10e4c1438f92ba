package compare

import (
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// A device is right with models of every version, of widths that leave padding everywhere, and of one with many ids.
func TestVersions(t *testing.T) {
	golden.EachVersion(t, comparesWell)
	t.Run("many ids", func(t *testing.T) {
		size := weightstest.Size{Vocab: 1001, Embed: 60, Layers: 2, Head: 20, FFN: 130, W: 5, A: 9, V: 3, G: 17}
		comparesWell(t, golden.Parse(t, weightstest.RWKV7(size, tensor.F16, 3)))
	})
}

func comparesWell(t *testing.T, m *model.Model) {
	tokens := []int{1, 40, 0, 7, 7, 31, 12}
	for i := range tokens {
		tokens[i] %= m.Vocab
	}
	eachDevice(t, func(t *testing.T, d device) {
		r, err := Run(t.Context(), m, prober(t, m, cpuDevice), prober(t, m, d), tokens)
		if err != nil || r.Verdict != "pass" {
			t.Errorf("%s: %v", r, err)
		}
	})
}

// Kernels of exact numbers are compared where the device runs those.
func TestExact(t *testing.T) {
	m := golden.Tiny(t)
	eachDevice(t, func(t *testing.T, d device) {
		kernels := func() (list []string) {
			r, err := Run(t.Context(), m, prober(t, m, cpuDevice), prober(t, m, d), compared)
			if err != nil || r.Verdict != "pass" {
				t.Errorf("exact %t: %s: %v", d.exact, r, err)
			}
			for _, o := range r.Ops {
				list = append(list, o.Kernels...)
			}
			return list
		}
		usual := kernels()
		if d.exact = true; !d.isCPU() && slices.Equal(kernels(), usual) {
			t.Errorf("exact products run in the kernels of others: %q", usual)
		}
	})
}
