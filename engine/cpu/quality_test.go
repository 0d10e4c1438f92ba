package cpu

import (
	"math"
	"os"
	"strconv"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/reference"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// TestQuality compares what quantizing costs on held-out text with model.QuantCosts. With RWKV_QUALITY_TOKENS=10000 it
// measures every type as that table was.
func TestQuality(t *testing.T) {
	tokens, types, tolerance := 600, []tensor.Type{tensor.Q8_0, tensor.Q4_K}, 0.3
	if n, err := strconv.Atoi(os.Getenv("RWKV_QUALITY_TOKENS")); err == nil {
		tokens, types, tolerance = n, tensor.BlockTypes, 0.15
	}
	for typ, q := range golden.QuantCosts(t, openModel, golden.HeldOut(t, tokens), types...) {
		// Perplexity varies with the text much more than the divergence, which bounds it.
		want := model.QuantCosts[typ]
		if math.Abs(q.KL/want.KL-1) > tolerance || math.Abs(q.Perplexity-1) > 3*want.KL+0.001 {
			t.Errorf("%s: KL %g, perplexity x %.5f, want %v", typ, q.KL, q.Perplexity, want)
		}
	}
}

// The perplexity of a model as it is stored, in float16, is the reference's.
func TestPerplexity(t *testing.T) {
	texts := golden.HeldOut(t, 1500)
	want := golden.Perplexity(t, func(tb testing.TB, m *model.Model, s op.Sizes) op.Executor {
		e, err := reference.New(m.Program, reference.Options{Sizes: s})
		if err != nil {
			tb.Fatal(err)
		}
		return e
	}, texts)
	eachLevel(t, func(t *testing.T, level string) {
		got := golden.Perplexity(t, func(tb testing.TB, m *model.Model, s op.Sizes) op.Executor {
			return at(level, 0)(tb, m.Program, s, 0)
		}, texts)
		t.Logf("perplexity %.6f, the reference's %.6f", got, want)
		if !(math.Abs(got/want-1) < 1e-4) {
			t.Errorf("perplexity %v, the reference has %v", got, want)
		}
	})
}
