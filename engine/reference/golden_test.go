package reference

import (
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

func TestGolden(t *testing.T) {
	golden.Run(t, false, func(tb testing.TB, m *model.Model, s op.Sizes) op.Executor {
		e, err := New(m.Program, Options{Sizes: s})
		if err != nil {
			tb.Fatal(err)
		}
		return e
	})
}

func TestLlamaCpp(t *testing.T) { golden.RunLlamaCpp(t, openModel) }

func TestRWKVCpp(t *testing.T) {
	golden.RunRWKVCpp(t, false, func(string) bool { return true }, openModel)
}

func TestBig(t *testing.T) { golden.RunBig(t, false, openModel) }

func TestField(t *testing.T) { golden.RunField(t, openModel) }

func TestEpsilons(t *testing.T) { golden.RunEpsilons(t, openModel) }

func TestFormats(t *testing.T) { golden.Formats(t, true, openModel) }
