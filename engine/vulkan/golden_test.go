package vulkan

import (
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
)

func TestBig(t *testing.T) {
	numbers(t)
	golden.RunBig(t, true, modelOpener(kernels(t), ""))
}

func TestField(t *testing.T) { golden.RunField(t, modelOpener(kernels(t), "")) }

func TestEpsilons(t *testing.T) {
	numbers(t)
	golden.RunEpsilons(t, modelOpener(kernels(t), ""))
}

func TestFormats(t *testing.T) {
	numbers(t)
	golden.Formats(t, false, modelOpener(kernels(t), ""))
}
