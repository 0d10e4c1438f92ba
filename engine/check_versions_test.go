package engine

import (
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// A device is right with models of every version, of widths that leave padding everywhere.
func TestCompareVersions(t *testing.T) {
	for name, size := range map[string]weightstest.Size{
		"v4":           {Vocab: 61, Embed: 45, Layers: 2, FFN: 130},
		"v5.0":         {Vocab: 41, Embed: 60, Layers: 2, Head: 20, FFN: 70},
		"v5.2":         {Vocab: 41, Embed: 60, Layers: 2, Head: 12, FFN: 70},
		"v6":           {Vocab: 41, Embed: 60, Layers: 3, Head: 12, FFN: 75, W: 11, A: 7},
		"v7":           {Vocab: 101, Embed: 60, Layers: 3, Head: 20, FFN: 130, W: 5, A: 9, V: 3, G: 17},
		"v7, many ids": {Vocab: 1001, Embed: 60, Layers: 2, Head: 20, FFN: 130, W: 5, A: 9, V: 3, G: 17},
		"v7a":          {Vocab: 51, Embed: 36, Layers: 2, Head: 12, FFN: 75, W: 5, A: 9, V: 3, G: 17},
	} {
		version, _, _ := strings.Cut(name, ",")
		t.Run(name, func(t *testing.T) {
			m := golden.Parse(t, weightstest.RWKV(version, size, tensor.F16, 3))
			eachDevice(t, func(t *testing.T, d *Device) {
				r, err := Compare(t.Context(), m, prober(t, m, &Device{}), prober(t, m, d), []int{1, 40, 0, 7, 7, 31, 12})
				if err != nil || r.Verdict != "pass" {
					t.Errorf("%s: %v", r, err)
				}
			})
		})
	}
}
