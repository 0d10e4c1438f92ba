package vulkan

import (
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/op/optest"
)

func kernels(tb testing.TB, opts ...gpu.DeviceOptions) *Kernels {
	k := NewKernels(gputest.Device(tb, opts...))
	tb.Cleanup(k.Release)
	return k
}

func opener(k *Kernels, kernel MatMulKernel) optest.Open {
	return func(tb testing.TB, prog *op.Program, s op.Sizes, guard int) op.Prober {
		e, err := New(k, prog, Options{Sizes: s, Guard: guard, MatMul: kernel})
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() {
			if err := e.Close(); err != nil {
				tb.Error(err)
			}
		})
		return e
	}
}

// Every kernel of MatMul takes every case, whatever it would be chosen for.
func TestOps(t *testing.T) {
	k := kernels(t)
	for _, kernel := range []MatMulKernel{Auto, Vec, Reg, Tile} {
		t.Run(kernel.String(), func(t *testing.T) { optest.Run(t, opener(k, kernel)) })
	}
}

// A device that binds little makes every weight fall into pieces.
func TestOpsSplitWeights(t *testing.T) {
	k := kernels(t, gpu.DeviceOptions{LimitOverride: func(l *gpu.Limits) { l.MaxStorageBufferRange = 160 << 10 }})
	optest.Run(t, opener(k, Auto))
}

func TestGolden(t *testing.T) {
	k := kernels(t)
	golden.Run(t, "v7", []string{"safetensors", "st"}, true, func(tb testing.TB, m *model.Model, s op.Sizes) op.Executor {
		return opener(k, Auto)(tb, m.Program, s, 0)
	})
}

func BenchmarkOps(b *testing.B) { optest.Bench(b, opener(kernels(b), Auto)) }
