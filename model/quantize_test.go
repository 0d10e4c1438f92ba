package model

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// layerProducts are the matrices of a layer that are quantized, by version.
var layerProducts = map[string]string{
	"v4": "att.key att.value att.receptance att.output ffn.key ffn.value ffn.receptance",
	"v6": "att.key att.value att.receptance att.gate att.output ffn.key ffn.value ffn.receptance",
	"v7": "att.key att.value att.receptance att.output ffn.key ffn.value",
}

func init() {
	layerProducts["v5.0"], layerProducts["v5.1"], layerProducts["v5.2"] = layerProducts["v4"], layerProducts["v6"], layerProducts["v6"]
	layerProducts["v7a"], layerProducts["v8-rc00"] = layerProducts["v7"], layerProducts["v7"]
}

// short has rows of whole blocks of 32 and of 256, and in ffn.value of neither.
func short(embed, ffn int) weightstest.Size {
	return weightstest.Size{Vocab: 41, Embed: embed, Layers: 2, Head: 16, FFN: ffn, W: 32, A: 32, V: 32, G: 32}
}

// wantTypes returns what QuantTypes should: typ for the products (for ffn.value another, 0 for none), and the head's.
func wantTypes(m *Model, typ, value, head tensor.Type) map[string]tensor.Type {
	want := map[string]tensor.Type{"head.weight": head}
	for l := range m.Layers {
		for _, p := range strings.Fields(layerProducts[m.Version]) {
			name := fmt.Sprintf("blocks.%d.%s.weight", l, p)
			if p != "ffn.value" {
				want[name] = typ
			} else if value != 0 {
				want[name] = value
			}
		}
	}
	return want
}

// everySize is the version of which models of every size are quantized.
const everySize = "v7"

// In every version, the large products are quantized, the head better, and nothing else. What is loaded has those
// types, and is near what is stored.
func TestQuantTypes(t *testing.T) {
	reference.RacedIn(t, "package model/quant")
	for version := range allVersions {
		for i, c := range []struct {
			embed, ffn               int
			want, typ, value, headAs tensor.Type
		}{
			{256, 512, tensor.Q4_K, tensor.Q4_K, tensor.Q4_K, tensor.Q6_K},
			{256, 96, tensor.Q4_K, tensor.Q4_K, tensor.Q5_0, tensor.Q6_K},
			{256, 100, tensor.Q5_K, tensor.Q5_K, 0, tensor.Q6_K},
			{64, 100, tensor.Q5_K, tensor.Q5_1, 0, tensor.Q8_0},
			{64, 96, tensor.Q3_K, tensor.IQ4_NL, tensor.IQ4_NL, tensor.Q8_0},
			{64, 96, tensor.Q6_K, tensor.Q8_0, tensor.Q8_0, tensor.Q8_0},
			{256, 96, tensor.Q8_0, tensor.Q8_0, tensor.Q8_0, tensor.Q8_0},
			{64, 96, tensor.Q4_0, tensor.Q4_0, tensor.Q4_0, tensor.Q8_0},
		} {
			if i > 0 && version != everySize && c.embed > 64 {
				continue // small ones do
			}
			f := parse(t, weightstest.RWKV(version, short(c.embed, c.ffn), tensor.F16, 3))
			m, err := NewWith(f, Options{Quant: c.want})
			if err != nil {
				t.Fatalf("%s/%v: %v", version, c, err)
			}
			want := wantTypes(m, c.typ, c.value, c.headAs)
			if got := m.QuantTypes(c.want); !maps.Equal(got, want) || !maps.Equal(m.Quantized, want) {
				t.Errorf("%s/%v: got %v and %v, want %v", version, c, got, m.Quantized, want)
			}
			if unfit := len(m.Unfit); (c.value == 0) != (unfit == m.Layers) || c.value != 0 && unfit > 0 {
				t.Errorf("%s/%v: unfit %v", version, c, m.Unfit)
			}
			checkLoaded(t, m, want)
		}
	}
}

// checkLoaded compares the program's weights with the file's tensors of the same names.
func checkLoaded(t *testing.T, m *Model, types map[string]tensor.Type) {
	seen := 0
	stored, loaded := m.Bytes()
	for _, w := range m.Program.Of(op.Weight) {
		name := w.Source.Name
		typ, ok := types[name]
		if !ok {
			if w.Source.Type.IsBlock() {
				t.Errorf("%s is quantized", w.Source)
			}
			continue
		}
		seen++
		x, err := m.File.Tensors[name].Floats()
		if err != nil {
			t.Fatal(err)
		}
		y, err := w.Source.Floats()
		if err != nil {
			t.Fatal(err)
		}
		var sum, diff float64
		for i := range x {
			sum += float64(x[i]) * float64(x[i])
			diff += float64(x[i]-y[i]) * float64(x[i]-y[i])
		}
		if w.Source.Type != typ || m.LoadedAs(name) != typ || !(diff < 0.03*sum) || diff == 0 {
			t.Errorf("%s: want %s, relative error %g", w.Source, typ, math.Sqrt(diff/sum))
		}
		loaded += tensor.F16.Bytes(len(x)) - typ.Bytes(len(x))
	}
	if seen != len(types) || stored != loaded {
		t.Errorf("%d of %d tensors seen; %d bytes stored, %d were they not quantized", seen, len(types), stored, loaded)
	}
}

// A head that is the embedding is stored once, and loaded beside it.
func TestBytesTied(t *testing.T) {
	list := slices.DeleteFunc(weightstest.RWKV7(weightstest.Tiny, tensor.F16, 1), func(x *tensor.Tensor) bool { return x.Name == "head.weight" })
	m, err := openMade(t, weightstest.Directory(t, weightstest.Fla(list), map[string]any{"tie_word_embeddings": true}))
	if err != nil {
		t.Fatal(err)
	}
	want := 0
	for _, x := range list {
		want += x.Type.Bytes(x.Len())
	}
	embedding := m.File.Tensors["emb.weight"]
	if stored, loaded := m.Bytes(); stored != want || loaded != want+embedding.Type.Bytes(embedding.Len()) {
		t.Errorf("want %d bytes stored and the embedding's more loaded, got %d and %d", want, stored, loaded)
	}
}

// A file of blocks is quantized again where the type differs, but its head only to fewer bytes.
func TestQuantizedAgain(t *testing.T) {
	list := weightstest.RWKV("v7", short(256, 512), tensor.F16, 3)
	for i, x := range list {
		switch {
		case x.Name == "head.weight":
			list[i] = weightstest.Blocks(x.Name, tensor.Q4_0, 5, x.Shape...)
		case strings.HasSuffix(x.Name, "ffn.key.weight"):
			list[i] = weightstest.Blocks(x.Name, tensor.Q5_0, 6, x.Shape...)
		case strings.HasSuffix(x.Name, "ffn.value.weight"):
			list[i] = weightstest.Blocks(x.Name, tensor.Q8_0, 7, x.Shape...)
		}
	}
	f, err := weights.Parse("again", weightstest.GGUF(weightstest.LlamaMeta(short(256, 512)), weightstest.Llama(list)))
	if err != nil {
		t.Fatal(err)
	}
	m, err := NewWith(f, Options{Quant: tensor.Q5_0})
	if err != nil {
		t.Fatal(err)
	}
	types := wantTypes(m, tensor.Q5_0, tensor.Q5_0, 0)
	for name := range types {
		if name == "head.weight" || strings.HasSuffix(name, "ffn.key.weight") {
			delete(types, name)
		}
	}
	if !maps.Equal(m.Quantized, types) {
		t.Errorf("got %v, want %v", m.Quantized, types)
	}
	for _, w := range m.Program.Of(op.Weight) {
		if _, err := w.Source.Load(); err != nil {
			t.Error(err)
		}
	}
}

// What cannot be quantized names file, tensor and element.
func TestQuantizeErrors(t *testing.T) {
	list := weightstest.RWKV("v7", short(64, 96), tensor.F32, 3)
	i := slices.IndexFunc(list, func(x *tensor.Tensor) bool { return x.Name == "blocks.1.ffn.key.weight" })
	x, err := list[i].Floats()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		value float32
		want  string
	}{
		{-1e7, "made.safetensors: tensor blocks.1.ffn.key.weight: element 70: want at most 458528 in magnitude, for Q4_0, got -1e+07"},
		{float32(math.NaN()), "tensor blocks.1.ffn.key.weight"},
	} {
		x[70] = c.value
		list[i] = tensor.FromFloats(list[i].Name, list[i].Shape, x)
		m, err := NewWith(parse(t, list), Options{Quant: tensor.Q4_0})
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range m.Program.Of(op.Weight) {
			_, err := w.Source.Load()
			if is := w.Source.Name == list[i].Name; is != (err != nil) || is && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: got %v, want %s", w.Source, err, c.want)
			}
		}
	}
	if _, err := NewWith(parse(t, list), Options{Quant: tensor.F16}); err == nil || err.Error() != "model: quantize: want a type of blocks, got F16" {
		t.Errorf("got %v", err)
	}
}
