package convert_test

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/convert"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

func parseModel(t *testing.T, data []byte) *model.Model {
	t.Helper()
	f, err := weights.Parse("written", data)
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.New(f)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// synthetic opens a model of a version, of the tensors that keep leaves, and returns these.
func synthetic(t *testing.T, version string, typ tensor.Type, keep func([]*tensor.Tensor) []*tensor.Tensor) (*model.Model, []*tensor.Tensor) {
	t.Helper()
	list := weightstest.RWKV(version, weightstest.Tiny, typ, 3)
	if keep != nil {
		list = keep(list)
	}
	return parseModel(t, weightstest.Safetensors(list, nil)), list
}

func export(t *testing.T, e *convert.Export, err error) *model.Model {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return parseModel(t, written(t, e))
}

// Every version of every plain type comes back from a safetensors file bit for bit, in the original shapes, and the
// file of that file is the same one.
func TestSafetensorsComesBack(t *testing.T) {
	for _, version := range strings.Split(model.Supported(), ", ") {
		for _, typ := range tensor.Types {
			what := version + " " + typ.String()
			m, list := synthetic(t, version, typ, nil)
			e, err := convert.Safetensors(m, 0)
			back := export(t, e, err)
			sameTensors(t, what, back.File, m.File)
			if back.Version != version || back.File.Layout != "original" || len(e.Notices) > 0 {
				t.Errorf("%s: a %s in %s names, notices %v", what, back.Version, back.File.Layout, e.Notices)
			}
			for _, x := range list {
				i := slices.IndexFunc(e.Tensors, func(s weights.Stored) bool { return s.Name == x.Name })
				if i < 0 || !slices.Equal(e.Tensors[i].Shape, x.Shape) {
					t.Errorf("%s: %s is not in the original shape", what, x)
				}
			}
			again, err := convert.Safetensors(back, 0)
			if err != nil || !bytes.Equal(written(t, again), written(t, e)) {
				t.Errorf("%s: another file the second time (%v)", what, err)
			}
		}
	}
}

// tokens are a World vocabulary of n ids.
func tokens(n int) [][]byte {
	list := make([][]byte, n)
	for id := 1; id < n; id++ {
		if list[id] = []byte{byte(id - 1)}; id > 256 {
			list[id] = fmt.Appendf(nil, "'%d\"\\\n", id)
		}
	}
	return list
}

// Versions that llama.cpp has come back from a GGUF file: numbers bit for bit, types as they were, but for F32 where
// llama.cpp has that; and what a GGUF file gives to a safetensors file is what the model gives.
func TestGGUFComesBack(t *testing.T) {
	for _, version := range model.LlamaVersions() {
		for _, typ := range tensor.Types {
			what := version + " " + typ.String()
			m, _ := synthetic(t, version, typ, weightstest.Stateless)
			vocab := tokens(m.Vocab - 3)
			e, err := convert.GGUF(m, convert.GGUFOptions{Vocab: vocab})
			back := export(t, e, err)
			ours, theirs := back.Config, m.Config
			if fmt.Sprint(ours) != fmt.Sprint(theirs) || back.File.Layout != "llama.cpp" || len(e.Notices) > 0 || len(back.Unused) > 0 {
				t.Errorf("%s: %v, want %v; notices %v, unused %v", what, ours, theirs, e.Notices, back.Unused)
			}
			if len(back.File.Vocab) != m.Vocab || back.File.Vocab[m.Vocab-1] != nil || !slices.EqualFunc(back.File.Vocab[:len(vocab)], vocab, bytes.Equal) {
				t.Errorf("%s: another vocabulary", what)
			}
			types := sameNumbers(t, what, back.File, m.File)
			if typ != tensor.F32 && (types[typ] < 2+6*m.Layers || types[tensor.F32] < 10*m.Layers) {
				t.Errorf("%s: types %v", what, types)
			}
			st, err := convert.Safetensors(back, typ)
			sameTensors(t, what, export(t, st, err).File, m.File)
		}
	}
}

// sameNumbers wants two files to present the same numbers, in the same type or as F32, and counts the types.
func sameNumbers(t *testing.T, what string, got, want *weights.File) map[tensor.Type]int {
	t.Helper()
	if !slices.Equal(got.Names(), want.Names()) {
		t.Fatalf("%s: names differ:\n%v\n%v", what, got.Names(), want.Names())
	}
	types := map[tensor.Type]int{}
	for _, n := range want.Names() {
		a, b := got.Tensors[n], want.Tensors[n]
		types[a.Type]++
		if a.Type != b.Type && a.Type != tensor.F32 || !slices.Equal(a.Shape, b.Shape) || !slices.Equal(floats(t, a), floats(t, b)) {
			t.Errorf("%s: %s and %s differ", what, a, b)
		}
	}
	return types
}

func floats(t *testing.T, x *tensor.Tensor) []float32 {
	t.Helper()
	f, err := x.Floats()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Another type is the number rounded to it, and blocks become F32 in a safetensors file and stay as they are in GGUF.
func TestExportTypes(t *testing.T) {
	size := weightstest.Size{Vocab: 300, Embed: 256, Layers: 1, Head: 64, FFN: 256, W: 8, A: 8, V: 8, G: 8}
	list := weightstest.RWKV7(size, tensor.F32, 3)
	m := parseModel(t, weightstest.Safetensors(list, nil))
	for _, typ := range []tensor.Type{tensor.F16, tensor.BF16} {
		e, err := convert.Safetensors(m, typ)
		back := export(t, e, err)
		for _, n := range m.File.Names() {
			want := floats(t, m.File.Tensors[n])
			for i, v := range want {
				want[i] = typ.Round(v)
			}
			if x := back.File.Tensors[n]; x.Type != typ || !slices.Equal(floats(t, x), want) {
				t.Errorf("%s is not %s rounded to %s", x, n, typ)
			}
		}
	}
	scalar := parseModel(t, weightstest.Safetensors(append(slices.Clone(list), tensor.FromFloats("step", nil, []float32{0.1})), nil))
	e, err := convert.Safetensors(scalar, tensor.BF16)
	if x := export(t, e, err).File.Tensors["step"]; x.Type != tensor.BF16 || len(x.Shape) != 0 || floats(t, x)[0] != tensor.BF16.Round(0.1) {
		t.Errorf("a scalar became %s", x)
	}
	for i, typ := range tensor.BlockTypes {
		blocks := slices.Clone(list)
		for k, x := range blocks {
			if strings.HasSuffix(x.Name, ".weight") && len(x.Shape) == 2 {
				blocks[k] = weightstest.Blocks(x.Name, typ, uint32(i+k), x.Shape...)
			}
		}
		m := parseModel(t, weightstest.GGUF(weightstest.LlamaMeta(size), weightstest.Llama(blocks)))
		e, err := convert.GGUF(m, convert.GGUFOptions{Vocab: m.File.Vocab})
		sameTensors(t, typ.String(), export(t, e, err).File, m.File)
		st, err := convert.Safetensors(m, 0)
		back := export(t, st, err)
		if types := sameNumbers(t, typ.String(), back.File, m.File); len(types) != 1 || len(st.Notices) != 1 || !strings.Contains(st.Notices[0], "8 tensors of blocks become F32") {
			t.Errorf("%s: types %v, notices %q", typ, types, st.Notices)
		}
	}
}

// A file that is quantized holds, in every tensor, the blocks that QuantTypes says and the encoder makes of it: quant's
// of Q8_0, for the others one that takes no time.
func TestGGUFQuantizes(t *testing.T) {
	size := weightstest.Size{Vocab: 300, Embed: 256, Layers: 1, Head: 64, FFN: 256, W: 8, A: 8, V: 8, G: 8}
	m := parseModel(t, weightstest.Safetensors(weightstest.RWKV7(size, tensor.BF16, 3), nil))
	for _, typ := range tensor.BlockTypes {
		types := m.QuantTypes(typ)
		e, err := convert.GGUF(m, convert.GGUFOptions{Vocab: tokens(300), Types: types})
		if err != nil {
			t.Fatal(err)
		}
		if typ != tensor.Q8_0 {
			e.Quantize = noise
		}
		back := export(t, e, nil)
		blocks := 0
		for _, n := range m.File.Names() {
			x, was := back.File.Tensors[n], m.File.Tensors[n]
			if types[n] == 0 {
				if !slices.Equal(floats(t, x), floats(t, was)) {
					t.Errorf("%s: %s differs", typ, x)
				}
				continue
			}
			blocks++
			want := make([]byte, types[n].Bytes(was.Len()))
			if err := e.Quantize(types[n], want, floats(t, was)); err != nil {
				t.Fatal(err)
			}
			if x.Type != types[n] || !bytes.Equal(load(t, x), want) {
				t.Errorf("%s: %s has not the blocks of %s", typ, x, types[n])
			}
		}
		if want := fmt.Sprint(map[tensor.Type]int{tensor.Q4_0: 2, tensor.Q4_1: 3, tensor.Q8_0: 7, tensor.Q5_0: 8, tensor.Q5_1: 9, tensor.Q3_K: 12,
			tensor.Q4_K: 15, tensor.Q5_K: 17, tensor.Q6_K: 18, tensor.IQ4_NL: 25}[typ]); blocks != 7 || back.File.Meta["general.file_type"] != want {
			t.Errorf("%s: %d tensors of blocks, file type %s, want %s", typ, blocks, back.File.Meta["general.file_type"], want)
		}
	}
}

// noise is an encoder whose blocks depend on all numbers of a block and are finite.
func noise(typ tensor.Type, dst []byte, src []float32) error {
	elements, size := typ.Block()
	for b := range len(src) / elements {
		sum := uint32(0)
		for _, v := range src[b*elements : (b+1)*elements] {
			sum = sum*31 + math.Float32bits(v)>>16
		}
		for i := range size {
			sum = sum*1664525 + 1013904223
			dst[b*size+i] = byte(sum>>24) &^ 0x40
		}
	}
	return nil
}

// The types of a quantized file are the model's, and a model without a row of whole blocks is refused.
func TestQuantTypes(t *testing.T) {
	m, _ := synthetic(t, "v7", tensor.F16, nil)
	for _, typ := range []tensor.Type{tensor.Q4_K, tensor.BF16} {
		types, err := convert.QuantTypes(m, typ)
		want := m.QuantTypes(typ)
		if typ == tensor.BF16 {
			want = convert.Types(m, typ)
		}
		if err != nil || len(want) == 0 || !maps.Equal(types, want) {
			t.Errorf("%s: want %v, got %v (%v)", typ, want, types, err)
		}
	}
	odd := weightstest.Size{Vocab: 67, Embed: 12, Layers: 1, Head: 4, FFN: 20, W: 3, A: 5, V: 2, G: 7}
	m = parseModel(t, weightstest.Safetensors(weightstest.RWKV7(odd, tensor.F16, 1), nil))
	const want = "written: shape: want a product whose rows are whole blocks of Q4_K, or of a type that stands in for it, got none"
	if _, err := convert.QuantTypes(m, tensor.Q4_K); err == nil || err.Error() != want {
		t.Errorf("want %q, got %v", want, err)
	}
}
