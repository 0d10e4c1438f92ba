package vulkan

import (
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// What an exact executor makes of a token does not depend on chunks and batches, to the last bit.
func TestExact(t *testing.T) {
	numbers(t)
	k := kernels(t)
	golden.ExactProperties(t, func(tb testing.TB, m *model.Model, s op.Sizes) op.Executor {
		return execWith(tb, k, m.Program, Options{Sizes: s, Exact: true})
	})
}
