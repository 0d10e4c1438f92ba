package compare

import (
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/cpu"
	"github.com/rwkv-gpu/rwkv-gpu/engine/reference"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// shared are the kernels of all tests.
var shared *vulkan.Kernels

func TestMain(m *testing.M) { gputest.Main(m, func() { shared.Release() }) }

// device is what a test compares: a Vulkan device with a way to draw, or the CPU.
type device struct {
	kernels *vulkan.Kernels // nil for the CPU
	draws   vulkan.Draws
	exact   bool
}

var cpuDevice device

func (d device) isCPU() bool { return d.kernels == nil }

func (d device) prober(m *model.Model, s op.Sizes) (op.Prober, error) {
	if d.isCPU() {
		return cpu.New(m.Program, cpu.Options{Sizes: s})
	}
	e, err := vulkan.New(d.kernels, m.Program, vulkan.Options{Sizes: s, Draws: d.draws, Exact: d.exact})
	if err != nil {
		return nil, err
	}
	return e.Prober(), nil
}

// referenceProber returns the reference for a model.
func referenceProber(t *testing.T, m *model.Model) op.Prober {
	e, err := reference.New(m.Program, reference.Options{Sizes: Sizes(len(compared))})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// eachDevice runs a test on the CPU and on the Vulkan device.
func eachDevice(t *testing.T, test func(t *testing.T, d device)) {
	t.Run("cpu", func(t *testing.T) { test(t, cpuDevice) })
	t.Run("vulkan", func(t *testing.T) {
		d := gputest.Shared(t)
		if shared == nil {
			shared = vulkan.NewKernels(d)
		}
		test(t, device{kernels: shared})
	})
}
