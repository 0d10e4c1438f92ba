package weightstest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// Index returns the place of a tensor in the list.
func Index(tb testing.TB, list []*tensor.Tensor, name string) int {
	tb.Helper()
	i := slices.IndexFunc(list, func(x *tensor.Tensor) bool { return x.Name == name })
	if i < 0 {
		tb.Fatalf("no tensor %s", name)
	}
	return i
}

// Ones returns a tensor of ones.
func Ones(name string, shape ...int) *tensor.Tensor {
	n := 1
	for _, d := range shape {
		n *= d
	}
	f := make([]float32, n)
	for i := range f {
		f[i] = 1
	}
	return tensor.FromFloats(name, shape, f)
}

// Write writes a file of tensors in a folder of the test's own and returns its path: PyTorch's for a name in .pth, of a
// compiled model, else safetensors.
func Write(tb testing.TB, name string, tensors []*tensor.Tensor) string {
	tb.Helper()
	data := Safetensors(tensors, nil)
	if strings.HasSuffix(name, ".pth") {
		data = Torch{Prefix: "_orig_mod."}.File(tensors)
	}
	path := filepath.Join(tb.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// Stateless returns the tensors of a model without an initial state.
func Stateless(tensors []*tensor.Tensor) []*tensor.Tensor {
	return slices.DeleteFunc(slices.Clone(tensors), func(x *tensor.Tensor) bool { return strings.HasSuffix(x.Name, "time_state") })
}
