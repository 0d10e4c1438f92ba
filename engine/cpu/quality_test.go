package cpu

import (
	"math"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/reference"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// The perplexity of a model as it is stored, in float16, is the reference's.
func TestPerplexity(t *testing.T) {
	tokens := 1500
	if testing.Short() {
		tokens = 200
	}
	texts := golden.HeldOut(t, tokens)
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
