package vulkan

import (
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

func modelOpener(k *Kernels, kernel MatMulKernel) golden.Open {
	return func(tb testing.TB, m *model.Model, s op.Sizes) op.Executor {
		return opener(k, kernel)(tb, m.Program, s, 0)
	}
}

func TestProperties(t *testing.T) { golden.Properties(t, modelOpener(kernels(t), Auto)) }

func TestClosed(t *testing.T) { golden.Closed(t, modelOpener(kernels(t), Auto)) }
