package convert_test

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/convert"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// referenceGGUFs are files in the exact form of llama.cpp's converter, with the file of the same model that they are
// made from again, and the type and rescaling that they were made with.
var referenceGGUFs = []struct {
	want, from string
	typ        tensor.Type
	rescale    int
}{
	{"v6-C128-L3/v6-C128-L3.f16.gguf", "v6-C128-L3/v6-C128-L3.pth_bf16.pth", tensor.F16, 2},
	{"v7-C192-L2/v7-C192-L2.f16.gguf", "v7-C192-L2/v7-C192-L2.safetensors", tensor.F16, 0},
	{"v7-C64-L2/v7-C64-L2.bf16.gguf", "v7-C64-L2/v7-C64-L2.pth_bf16_legacy.pth", tensor.BF16, 0},
	{"v7-C64-L2/v7-C64-L2.bf16.gguf", "v7-C64-L2/hf_bf16_sharded", 0, 0},
	{"v7-C96-L3/v7-C96-L3.f32.gguf", "v7-C96-L3/v7-C96-L3.safetensors", 0, 0},
}

// A GGUF file made of a reference model is, byte for byte, the one that was made of it in llama.cpp's form: names,
// order, types, forms, annotations and numbers. Only the model's name, which comes from the file's, is given to it.
func TestGGUFEqualsReference(t *testing.T) {
	for _, c := range referenceGGUFs {
		want := reference.Shared(t, "vectors", "models", filepath.FromSlash(c.want))
		m := openModel(t, reference.Shared(t, "vectors", "models", filepath.FromSlash(c.from)))
		types := map[string]tensor.Type{}
		for name := range m.File.Tensors {
			if c.typ != 0 {
				types[name] = c.typ
			}
		}
		vocab := openModel(t, want).File.Vocab
		name, _, _ := strings.Cut(filepath.Base(want), ".")
		e, err := convert.GGUF(m, convert.GGUFOptions{Vocab: vocab, Types: types, RescaleEvery: c.rescale, Name: name})
		if err != nil {
			t.Fatal(err)
		}
		got, data := written(t, e), readFile(t, want)
		if i := differ(got, data); i >= 0 {
			t.Errorf("%s made of %s: %d bytes, want %d; they differ from byte %d on:\n%q\n%q", c.want, c.from, len(got), len(data), i,
				got[max(i-40, 0):min(i+40, len(got))], data[max(i-40, 0):min(i+40, len(data))])
		}
	}
}

// A GGUF file made of itself is itself.
func TestGGUFOfGGUF(t *testing.T) {
	for _, c := range referenceGGUFs {
		path := reference.Shared(t, "vectors", "models", filepath.FromSlash(c.want))
		m := openModel(t, path)
		e, err := convert.GGUF(m, convert.GGUFOptions{Vocab: m.File.Vocab})
		if err != nil {
			t.Fatal(err)
		}
		if i := differ(written(t, e), readFile(t, path)); i >= 0 {
			t.Errorf("%s: differs from byte %d on", c.want, i)
		}
	}
}

// What llama.cpp quantized of the demo model comes out of a writer with the same tensors and numbers, and the same
// annotations but for those named.
func TestGGUFOfLlamaQuantize(t *testing.T) {
	differs := map[string]string{
		"tokenizer.ggml.eot_token_id": "llama.cpp always says 261, which is a line break twice only in the World vocabulary",
	}
	for _, name := range []string{"Q8_0", "Q4_K_M", "IQ4_NL"} {
		m := openModel(t, reference.Shared(t, "vectors", "gguf-llama.cpp", "demo-"+name+".gguf"))
		e, err := convert.GGUF(m, convert.GGUFOptions{Vocab: m.File.Vocab})
		if err != nil {
			t.Fatal(err)
		}
		f, err := weights.Parse("written", written(t, e))
		if err != nil {
			t.Fatal(err)
		}
		if f.Bytes() != m.File.Bytes() { // llama.cpp's order is another, its sizes are not
			t.Errorf("%s: %d bytes, want %d", name, f.Bytes(), m.File.Bytes())
		}
		sameTensors(t, name, f, m.File)
		for key, want := range m.File.Meta {
			if got := f.Meta[key]; got != want && differs[key] == "" {
				t.Errorf("%s: %s: want %s, got %s", name, key, want, got)
			}
		}
		if len(f.Meta) != len(m.File.Meta) {
			t.Errorf("%s: %d annotations, want %d", name, len(f.Meta), len(m.File.Meta))
		}
	}
}

// referenceModels are the paths of all models among the reference data, whatever their format.
func referenceModels(t *testing.T) (paths []string) {
	t.Helper()
	for _, pattern := range []string{"models/*/v*.*", "models/*/hf_*", "quantized/*/*.bin", "rwkv.cpp-tiny/tiny-*.bin", "gguf-llama.cpp/*Q4*.gguf"} {
		list, err := filepath.Glob(filepath.Join(reference.Shared(t, "vectors"), filepath.FromSlash(pattern)))
		if err != nil || len(list) == 0 {
			t.Fatalf("%s: %v (%v)", pattern, list, err)
		}
		if testing.Short() {
			list = list[:1]
		}
		paths = append(paths, list...)
	}
	return paths
}

// Every reference model, in every format, comes back from a safetensors file: as it was where it holds plain numbers,
// else the numbers themselves; and from a GGUF file where llama.cpp has its version. The version stays.
func TestExportOfReferenceModels(t *testing.T) {
	paths := referenceModels(t)
	if len(paths) < 50 && !testing.Short() {
		t.Errorf("only %d reference models: %v", len(paths), paths)
	}
	for _, path := range paths {
		m := openModel(t, path)
		e, err := convert.Safetensors(m, 0)
		back := export(t, e, err)
		if back.Version != m.Version || back.File.Layout != "original" || !slices.Equal(back.File.Names(), m.File.Names()) {
			t.Fatalf("%s: a %s in %s names:\n%v\n%v", path, back.Version, back.File.Layout, back.File.Names(), m.File.Names())
		}
		for _, n := range m.File.Names() {
			sameParameter(t, m, n, back.File.Tensors[n])
		}
		_, tuned := m.File.Tensors["blocks.0.att.time_state"]
		if m.Llama() == nil || tuned {
			continue
		}
		e, err = convert.GGUF(m, convert.GGUFOptions{})
		back = export(t, e, err)
		for _, n := range back.File.Names() {
			x, want := back.File.Tensors[n], m.File.Tensors[n]
			if x.Type != want.Type && x.Type != tensor.F32 || !slices.Equal(floats(t, x), floats(t, want)) || back.File.Divisor(n) != m.File.Divisor(n) {
				t.Errorf("%s: %s and %s differ", path, x, want)
			}
		}
		if missing := len(m.File.Names()) - len(back.File.Names()); missing != 0 && missing != len(m.Unused) {
			t.Errorf("%s: GGUF lacks %d tensors, %d are not in use", path, missing, len(m.Unused))
		}
	}
}

// Exponentials that rwkv.cpp's converter made of the reference models' numbers are undone to these numbers.
func TestSafetensorsUndoesRWKVCpp(t *testing.T) {
	checked := 0
	for _, version := range []string{"v4-C96-L3", "v5.0-C96-L2", "v5.2-C128-L2"} {
		dir := reference.Shared(t, "vectors", "models", version)
		of := func(pattern string) *model.Model {
			list, err := filepath.Glob(filepath.Join(dir, pattern))
			if err != nil || len(list) != 1 {
				t.Fatalf("%s: %v (%v)", pattern, list, err)
			}
			return openModel(t, list[0])
		}
		bin, pth := of("*.bin"), of("*.pth")
		e, err := convert.Safetensors(bin, 0)
		back := export(t, e, err)
		for n := range bin.File.Functions {
			checked++
			if !slices.Equal(floats(t, back.File.Tensors[n]), floats(t, pth.File.Tensors[n])) {
				t.Errorf("%s: %s is not what it was", version, n)
			}
		}
	}
	if checked != 3+2*2+2 {
		t.Errorf("%d tensors checked", checked)
	}
}

// sameParameter wants x, which comes from a safetensors file of m, to hold the numbers of m's tensor n: bit for bit
// where they were plain.
func sameParameter(t *testing.T, m *model.Model, n string, x *tensor.Tensor) {
	t.Helper()
	was := m.File.Tensors[n]
	form, divisor := m.File.Functions[n], float32(m.File.Divisor(n))
	switch {
	case !slices.Equal(x.Shape, was.Shape):
		t.Errorf("%s: %s is now %s", m.File.Path, was, x)
	case form == weights.Plain && divisor == 1 && !was.Type.IsBlock():
		if x.Type != was.Type || !bytes.Equal(load(t, x), load(t, was)) {
			t.Errorf("%s: %s is now %s, or has other bytes", m.File.Path, was, x)
		}
	default:
		got, want := floats(t, x), floats(t, was)
		for i, v := range got {
			switch form {
			case weights.NegExp:
				v = float32(-math.Exp(float64(v)))
			case weights.ExpNegExp:
				v = float32(math.Exp(-math.Exp(float64(v))))
			case weights.Exp:
				v = float32(math.Exp(float64(v)))
			default:
				v /= divisor
			}
			// The exponentials were computed in float32, which may be off by an ulp or two.
			if most := 4e-7 * math.Abs(float64(want[i])); v != want[i] && (form == weights.Plain || math.Abs(float64(v-want[i])) > most) {
				t.Errorf("%s: %s: element %d: want %v, got %v", m.File.Path, n, i, want[i], v)
			}
		}
	}
}

// sameTensors wants two files to present the same tensors under the original names, bit for bit.
func sameTensors(t *testing.T, what string, got, want *weights.File) {
	t.Helper()
	if !slices.Equal(got.Names(), want.Names()) {
		t.Fatalf("%s: names differ:\n%v\n%v", what, got.Names(), want.Names())
	}
	for _, n := range want.Names() {
		a, b := got.Tensors[n], want.Tensors[n]
		if a.Type != b.Type || !slices.Equal(a.Shape, b.Shape) || !bytes.Equal(load(t, a), load(t, b)) {
			t.Errorf("%s: %s and %s differ", what, a, b)
		}
	}
}

func load(t *testing.T, x *tensor.Tensor) []byte {
	t.Helper()
	data, err := x.Load()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func openModel(t *testing.T, path string) *model.Model {
	t.Helper()
	m, err := model.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

// written returns the bytes of a file, whose size must be what was foretold.
func written(t *testing.T, e *convert.Export) []byte {
	t.Helper()
	var b bytes.Buffer
	last := int64(0)
	err := e.Write(&b, func(done, all int64) error {
		if done < last || all != e.Size() {
			t.Errorf("progress from %d to %d of %d", last, done, all)
		}
		last = done
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if int64(b.Len()) != e.Size() || last != e.Size() {
		t.Errorf("%d bytes, %d by the progress, %d foretold", b.Len(), last, e.Size())
	}
	return b.Bytes()
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// differ returns the first place where a and b differ, -1 if nowhere.
func differ(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	if len(a) != len(b) {
		return min(len(a), len(b))
	}
	return -1
}
