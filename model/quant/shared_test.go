package quant_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"path/filepath"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model/quant"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// TestOthers compares errors with those of llama.cpp's and rwkv.cpp's quantizers, tensor by tensor. Q8_0 is a rule and
// not a search: its bytes are the same, but where a scale has lost bits to being subnormal.
func TestOthers(t *testing.T) {
	reference.Numbers(t)
	tiny := func(version, typ string) [2]string {
		return [2]string{"vectors/rwkv.cpp-tiny/tiny-rwkv-" + version + "-FP32.bin", "vectors/rwkv.cpp-tiny/tiny-rwkv-" + version + "-" + typ + ".bin"}
	}
	for _, pair := range [][2]string{
		{"demo-model/demo.safetensors", "vectors/gguf-llama.cpp/demo-Q8_0.gguf"},
		{"demo-model/demo.safetensors", "vectors/gguf-llama.cpp/demo-Q4_K_M.gguf"},
		{"demo-model/demo.safetensors", "vectors/gguf-llama.cpp/demo-IQ4_NL.gguf"},
		tiny("4v0-660K", "Q5_0"), tiny("4v0-660K", "Q5_1"), tiny("5v2-730K", "Q5_0"), tiny("5v2-730K", "Q5_1"), tiny("7v0-834K", "Q5_1"),
	} {
		t.Run(filepath.Base(pair[1]), func(t *testing.T) {
			source, theirs := open(t, pair[0]), open(t, pair[1])
			compared := 0
			for _, name := range theirs.Names() {
				if their := theirs.Tensors[name]; their.Type.IsBlock() {
					x := floats(t, source, name)
					compared++
					compare(t, x, their)
				}
			}
			if compared < 6 {
				t.Errorf("%d tensors compared", compared)
			}
		})
	}
}

// compare encodes x as their is.
func compare(t *testing.T, x []float32, their *tensor.Tensor) {
	data, err := their.Load()
	if err != nil {
		t.Fatal(err)
	}
	our, err := quant.Tensor(tensor.FromFloats(their.Name, their.Shape, x), their.Type).Load()
	if err != nil {
		t.Fatal(err)
	}
	if a, b := rmse(their.Type, x, our), rmse(their.Type, x, data); a > b {
		t.Errorf("%s: error %g, theirs %g", their, a, b)
	}
	if their.Type == tensor.Q8_0 {
		sameBlocks(t, their.Name, our, data)
	}
}

// sameBlocks compares Q8_0 blocks whose scales are normal.
func sameBlocks(t *testing.T, name string, our, their []byte) {
	const leastNormal, size = 1 << 10, 34 // bits of the smallest normal binary16
	same := 0
	for at := 0; at < len(their); at += size {
		if binary.LittleEndian.Uint16(their[at:]) < leastNormal {
			continue
		}
		same++
		if !bytes.Equal(our[at:at+size], their[at:at+size]) {
			t.Fatalf("%s: block %d: % x, theirs % x", name, at/size, our[at:at+size], their[at:at+size])
		}
	}
	if same < len(their)/size/4 {
		t.Errorf("%s: only %d of %d blocks compared", name, same, len(their)/size)
	}
}

// rmse returns the root of the mean squared difference of x and the typ-typed data.
func rmse(typ tensor.Type, x []float32, data []byte) float64 {
	y := make([]float32, len(x))
	typ.Decode(y, data)
	var sum float64
	for i := range x {
		sum += (float64(x[i]) - float64(y[i])) * (float64(x[i]) - float64(y[i]))
	}
	return math.Sqrt(sum / float64(len(x)))
}

func open(t *testing.T, path string) *weights.File {
	t.Helper()
	f, err := weights.Open(reference.Shared(t, filepath.FromSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func floats(t *testing.T, f *weights.File, name string) []float32 {
	t.Helper()
	src, err := f.Tensor(name)
	if err != nil {
		t.Fatal(err)
	}
	x, err := src.Floats()
	if err != nil {
		t.Fatal(err)
	}
	return x
}
