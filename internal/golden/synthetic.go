package golden

import (
	"fmt"
	"math"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// Parse makes a model of tensors in memory.
func Parse(tb testing.TB, tensors []*tensor.Tensor) *model.Model {
	tb.Helper()
	f, err := weights.Parse("synthetic", weightstest.Safetensors(tensors, nil))
	if err != nil {
		tb.Fatal(err)
	}
	m, err := model.New(f)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// synthetic is a random model of a size that no kernel is made for.
type synthetic struct {
	version string
	size    weightstest.Size
	typ     tensor.Type
}

func (s synthetic) String() string {
	return fmt.Sprintf("%s/C%d/L%d/N%d/%s", s.version, s.size.Embed, s.size.Layers, s.size.Head, s.typ)
}

func (s synthetic) tensors(seed uint64) []*tensor.Tensor {
	return weightstest.RWKV(s.version, s.size, s.typ, seed)
}

// synthetics cover every version, every plain storage type, widths on and off every alignment, and a model of one
// layer.
var synthetics = []synthetic{
	{"v7", weightstest.Size{Vocab: 101, Embed: 60, Layers: 3, Head: 20, FFN: 130, W: 5, A: 9, V: 3, G: 17}, tensor.F32},
	{"v7", weightstest.Tiny, tensor.F16},
	{"v7", weightstest.Size{Vocab: 131, Embed: 192, Layers: 2, Head: 64, FFN: 200, W: 24, A: 40, V: 11, G: 56}, tensor.BF16},
	{"v7", weightstest.Size{Vocab: 33, Embed: 12, Layers: 1, Head: 4, FFN: 7, W: 1, A: 2, V: 1, G: 3}, tensor.F16},
	{"v4", weightstest.Size{Vocab: 61, Embed: 45, Layers: 2, FFN: 130}, tensor.F16},
	{"v5.0", weightstest.Size{Vocab: 41, Embed: 60, Layers: 2, Head: 20, FFN: 70}, tensor.F32},
	{"v5.1", weightstest.Size{Vocab: 41, Embed: 32, Layers: 2, Head: 16, FFN: 70}, tensor.BF16},
	{"v5.2", weightstest.Size{Vocab: 41, Embed: 60, Layers: 2, Head: 12, FFN: 70}, tensor.F16},
	{"v6", weightstest.Size{Vocab: 41, Embed: 60, Layers: 3, Head: 12, FFN: 75, W: 11, A: 7}, tensor.BF16},
	{"v7a", weightstest.Size{Vocab: 51, Embed: 36, Layers: 2, Head: 12, FFN: 75, W: 5, A: 9, V: 3, G: 17}, tensor.F16},
	{"v8-rc00", weightstest.Size{Vocab: 47, Embed: 44, Layers: 2, Head: 4, FFN: 75, W: 5, A: 9, V: 3, G: 17}, tensor.BF16},
}

// EachVersion runs a test on a random model of each version, of those above the first.
func EachVersion(t *testing.T, test func(t *testing.T, m *model.Model)) {
	seen := map[string]bool{}
	for _, s := range synthetics {
		if !seen[s.version] {
			seen[s.version] = true
			t.Run(s.version, func(t *testing.T) { test(t, Parse(t, s.tensors(1))) })
		}
	}
}

// Tiny returns a small random model.
func Tiny(tb testing.TB) *model.Model {
	tb.Helper()
	return Parse(tb, weightstest.RWKV7(weightstest.Tiny, tensor.F16, 1))
}

// wantClose wants finite values, as many as in want, none further off than tolerance times the largest of want.
func wantClose(tb testing.TB, what string, got, want []float32, tolerance float64) {
	tb.Helper()
	if len(got) != len(want) || len(want) == 0 {
		tb.Fatalf("%s: want %d values, got %d", what, len(want), len(got))
	}
	var largest, worst float64
	at := 0
	for i, w := range want {
		if !tensor.IsFinite(w) || !tensor.IsFinite(got[i]) {
			tb.Fatalf("%s: element %d: want finite values, got %v and %v", what, i, got[i], w)
		}
		largest = max(largest, math.Abs(float64(w)))
		if d := math.Abs(float64(got[i]) - float64(w)); d > worst {
			worst, at = d, i
		}
	}
	if limit := tolerance * largest; worst > limit {
		tb.Fatalf("%s: element %d: want %v, got %v: off by %.3g, at most %.3g", what, at, want[at], got[at], worst, limit)
	}
}

// wantSame wants finite values with the same bits.
func wantSame(tb testing.TB, what string, got, want []float32) {
	tb.Helper()
	if len(got) != len(want) || len(want) == 0 {
		tb.Fatalf("%s: want %d values, got %d", what, len(want), len(got))
	}
	for i, w := range want {
		if !tensor.IsFinite(w) || math.Float32bits(got[i]) != math.Float32bits(w) {
			tb.Fatalf("%s: element %d: want %v bit for bit, got %v", what, i, w, got[i])
		}
	}
}
