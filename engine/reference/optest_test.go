package reference

import (
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/op/optest"
)

func open(tb testing.TB, prog *op.Program, s op.Sizes, guard int) op.Prober {
	e, err := New(prog, Options{Sizes: s, Guard: guard})
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

func TestOps(t *testing.T) {
	reference.RacedIn(t, "TestProperties")
	optest.Run(t, open)
}

func BenchmarkOps(b *testing.B) { optest.Bench(b, open) }
