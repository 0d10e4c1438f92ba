package reference

import (
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

func openModel(tb testing.TB, m *model.Model, s op.Sizes) op.Executor {
	return open(tb, m.Program, s, 0)
}

func TestProperties(t *testing.T) { golden.ExactProperties(t, openModel) }

func TestClosed(t *testing.T) { golden.Closed(t, openModel) }

func TestNotFinite(t *testing.T) {
	golden.NotFinite(t, func(prog *op.Program, s op.Sizes) error {
		_, err := New(prog, Options{Sizes: s})
		return err
	})
}

// Progress counts every byte of the weights once and ends at all of them.
func TestProgress(t *testing.T) {
	golden.Progress(t, func(prog *op.Program, s op.Sizes, progress func(done, all int64) error) error {
		_, err := New(prog, Options{Sizes: s, Progress: progress})
		return err
	})
}
