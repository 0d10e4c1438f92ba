package weights_test

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// twin is the same model in a file with the original or web-rwkv names: .safetensors where there is one, else .st.
func twin(t *testing.T, path string) *weights.File {
	t.Helper()
	dir := filepath.Dir(path)
	for _, ext := range []string{".safetensors", ".st"} {
		if other := filepath.Join(dir, filepath.Base(dir)+ext); exists(other) {
			return open(t, other)
		}
	}
	t.Fatalf("%s: no other file of this model", path)
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// sameNumbers wants f to present the tensors of g, equal as float32, and as bytes where the types are equal. dummies of
// layer 0, which some files have and nothing uses, may be absent from f.
func sameNumbers(t *testing.T, f, g *weights.File) {
	t.Helper()
	dummies := []string{"blocks.0.att.v0", "blocks.0.att.v1", "blocks.0.att.v2"}
	want := slices.DeleteFunc(g.Names(), func(n string) bool { return slices.Contains(dummies, n) && f.Tensors[n] == nil })
	if !slices.Equal(f.Names(), want) {
		t.Fatalf("%s: names differ:\n%v\n%v", f.Path, f.Names(), want)
	}
	for _, n := range want {
		a, b := f.Tensors[n], g.Tensors[n]
		x, y := floats(t, a), floats(t, b)
		if scale := f.Divisor(n); scale != 1 {
			for i := range x { // the quotient may have lost the last bit of a subnormal binary16
				if x[i] *= float32(scale); math.Abs(float64(x[i]-y[i])) <= float64(scale)*0x1p-25 {
					x[i] = y[i]
				}
			}
		} else if a.Type == b.Type && !bytes.Equal(load(t, f, n), load(t, g, n)) {
			t.Errorf("%s: %s: bytes differ", f.Path, n)
		}
		if !slices.Equal(a.Shape, b.Shape) || !slices.Equal(x, y) {
			t.Errorf("%s: %s and %s differ", f.Path, a, b)
		}
	}
}

// Every GGUF of the synthetic models holds the numbers of the same model in another format.
func TestSharedGGUF(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(reference.Shared(t, "vectors", "models"), "*", "*.gguf"))
	if len(files) != 4 {
		t.Fatalf("want 4 files, got %v", files)
	}
	for _, path := range files {
		f := open(t, path)
		if f.Layout != "llama.cpp" || strings.Contains(path, "v6-") != (f.RescaleEvery == 2) {
			t.Errorf("%s: layout %s, rescaling every %d layers", path, f.Layout, f.RescaleEvery)
		}
		if emb := f.Tensors["emb.weight"]; len(f.Vocab) != emb.Shape[0] || f.Vocab[0] != nil || string(f.Vocab[66]) != "A" || string(f.Vocab[256]) != "\xff" {
			t.Errorf("%s: vocabulary %q…", path, f.Vocab[:min(len(f.Vocab), 70)])
		}
		sameNumbers(t, f, twin(t, path))
	}
}

// What llama.cpp quantized of the demo model opens under the original names and shapes, each tensor within the error of
// its type, and its vocabulary is the model's own.
func TestSharedGGUFDemo(t *testing.T) {
	demo := open(t, reference.Shared(t, "demo-model", "demo.safetensors"))
	most := map[tensor.Type]float64{ // root mean square of the error over that of the numbers
		tensor.F32: 0, tensor.F16: 0, tensor.Q8_0: 0.008, tensor.Q6_K: 0.03, tensor.Q4_K: 0.1, tensor.IQ4_NL: 0.1,
	}
	for name, head := range map[string]tensor.Type{"Q8_0": tensor.Q8_0, "Q4_K_M": tensor.Q6_K, "IQ4_NL": tensor.Q6_K} {
		f := open(t, reference.Shared(t, "vectors", "gguf-llama.cpp", "demo-"+name+".gguf"))
		if !slices.Equal(f.Names(), demo.Names()) || f.Tensors["head.weight"].Type != head {
			t.Fatalf("%s: %v", name, f.Names())
		}
		seen := map[tensor.Type]int{}
		for _, n := range f.Names() {
			a, b := f.Tensors[n], demo.Tensors[n]
			if !slices.Equal(a.Shape, b.Shape) {
				t.Errorf("%s: want %s, got %s", name, b, a)
				continue
			}
			seen[a.Type]++
			limit, ok := most[a.Type]
			if e := relativeError(floats(t, a), floats(t, b)); !ok || e > limit || a.Type.IsBlock() && e == 0 {
				t.Errorf("%s: %s is off by %.4f of its size, want at most %.4f", name, a, e, limit)
			}
			if err := f.CheckFinite(a); err != nil {
				t.Error(err)
			}
		}
		if seen[head] == 0 || len(seen) < 3 {
			t.Errorf("%s: types %v", name, seen)
		}
		checkDemoVocabulary(t, f.Vocab)
	}
}

func relativeError(got, want []float32) float64 {
	var e, size float64
	for i, w := range want {
		d := float64(got[i] - w)
		e, size = e+d*d, size+float64(w)*float64(w)
	}
	return math.Sqrt(e / max(size, 1e-30))
}

// checkDemoVocabulary wants the tokens of the demo model's vocabulary, and a tokenizer to take them.
func checkDemoVocabulary(t *testing.T, vocab [][]byte) {
	t.Helper()
	want, err := tokenizer.Open(reference.Shared(t, "demo-model", "vocab.txt"))
	if err != nil {
		t.Fatal(err)
	}
	w, err := tokenizer.NewWorld("demo", vocab)
	if err != nil || w.Size() != want.Size() || len(vocab) != 4096 {
		t.Fatalf("%d tokens, want %d (%v)", len(vocab), want.Size(), err)
	}
	for id, token := range vocab {
		if !bytes.Equal(token, want.Bytes(id)) {
			t.Errorf("token %d: want %q, got %q", id, want.Bytes(id), token)
		}
	}
}
