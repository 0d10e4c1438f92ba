package weights_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// sameTensors wants two files to present the same tensors: names, shapes, types and bytes.
func sameTensors(t *testing.T, a, b *weights.File) {
	t.Helper()
	if !slices.Equal(a.Names(), b.Names()) {
		t.Fatalf("names differ:\n%v\n%v", a.Names(), b.Names())
	}
	for _, n := range a.Names() {
		x, y := a.Tensors[n], b.Tensors[n]
		if x.String() != y.String() || !bytes.Equal(load(t, a, n), load(t, b, n)) {
			t.Errorf("%s and %s differ", x, y)
		}
	}
}

// A model reads the same from both layouts, for random sizes in which some ranks may equal C.
func TestWebRWKVEqualsOriginal(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 60 {
		rank := func() int { return 1 + rng.IntN(40) }
		s := weightstest.Size{Vocab: 1 + rng.IntN(50), Layers: 1 + rng.IntN(3), Head: 8, FFN: 1 + rng.IntN(70), W: rank(), A: rank(), V: rank(), G: rank()}
		s.Embed = s.Head * (1 + rng.IntN(4))
		if s.W == s.Embed && s.A == s.Embed && s.G == s.Embed {
			s.W++
		}
		if rng.IntN(3) == 0 {
			s.A, s.V, s.G = s.Embed, s.Embed, s.Embed // only w tells
			if s.W == s.Embed {
				s.W++
			}
		}
		original := weightstest.RWKV7(s, tensor.F16, rng.Uint64())
		a := parse(t, weightstest.Safetensors(original, nil))
		b := parse(t, weightstest.Safetensors(weightstest.WebRWKV(original), map[string]string{"format": "pt"}))
		if a.Layout != "original" || b.Layout != "web-rwkv" {
			t.Fatalf("%+v: layouts %s (%s) and %s (%s)", s, a.Layout, a.Evidence, b.Layout, b.Evidence)
		}
		sameTensors(t, a, b)
	}
}

// Where every low-rank matrix is square, the annotations decide, and Evidence says so.
func TestAllSquare(t *testing.T) {
	s := weightstest.Tiny
	s.W, s.A, s.V, s.G = s.Embed, s.Embed, s.Embed, s.Embed
	original := weightstest.RWKV7(s, tensor.F16, 3)
	a := parse(t, weightstest.Safetensors(original, nil))
	b := parse(t, weightstest.Safetensors(weightstest.WebRWKV(original), map[string]string{"format": "pt"}))
	if a.Layout != "original" || b.Layout != "web-rwkv" || !strings.Contains(b.Evidence, "assumed") {
		t.Fatalf("layouts %s and %s (%s)", a.Layout, b.Layout, b.Evidence)
	}
	sameTensors(t, a, b)
	other := parse(t, weightstest.Safetensors(weightstest.RWKV7(s, tensor.BF16, 3), map[string]string{"format": "pt"}))
	if other.Layout != "original" {
		t.Errorf("a BF16 file cannot be the converter's: %s (%s)", other.Layout, other.Evidence)
	}
}

func TestMixedOrientation(t *testing.T) {
	for i, name := range []string{"blocks.1.att.a1", "blocks.0.att.g2", "blocks.0.att.w1"} {
		tensors := weightstest.RWKV7(weightstest.Tiny, tensor.F16, 3)
		want := "[32 12]"
		if i == 1 {
			want, tensors = "[32 20]", weightstest.WebRWKV(tensors)
		} else if i == 2 {
			want = "[32 8]"
		}
		for _, x := range tensors {
			if x.Name == name {
				x.Shape = []int{x.Shape[1], x.Shape[0]}
			}
		}
		_, err := weights.Parse("m.st", weightstest.Safetensors(tensors, nil))
		wantError(t, err, "m.st: tensor "+name+": shape: want "+want)
	}
}

func zeros(name string, shape ...int) *tensor.Tensor {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return tensor.FromFloats(name, shape, make([]float32, n))
}

// Files of older versions in the web-rwkv layout get their names back.
func TestRenames(t *testing.T) {
	for _, c := range []struct {
		version, layout string
		in, out         []string
	}{
		{
			"v4 and v5.0", "original",
			[]string{"blocks.0.att.time_mix_k", "blocks.0.att.time_first"},
			[]string{"blocks.0.att.time_mix_k", "blocks.0.att.time_first"},
		},
		{
			"v5.2", "web-rwkv",
			[]string{"blocks.0.att.time_mix_k", "blocks.0.att.time_first", "blocks.0.att.gate.weight"},
			[]string{"blocks.0.att.time_mix_k", "blocks.0.att.time_faaaa", "blocks.0.att.gate.weight"},
		},
		{
			"v5.2", "original",
			[]string{"blocks.0.att.time_mix_k", "blocks.0.att.time_faaaa", "blocks.0.att.gate.weight"},
			[]string{"blocks.0.att.time_mix_k", "blocks.0.att.time_faaaa", "blocks.0.att.gate.weight"},
		},
		{
			"v6", "web-rwkv",
			[]string{"blocks.0.att.time_mix_w1", "blocks.0.att.time_mix_x", "blocks.0.ffn.time_mix_r", "blocks.0.att.time_first", "blocks.0.att.gate.weight"},
			[]string{"blocks.0.att.time_maa_w1", "blocks.0.att.time_maa_x", "blocks.0.ffn.time_maa_r", "blocks.0.att.time_faaaa", "blocks.0.att.gate.weight"},
		},
	} {
		var tensors []*tensor.Tensor
		for _, n := range c.in {
			tensors = append(tensors, zeros(n, 3, 2))
		}
		f := parse(t, weightstest.Safetensors(tensors, nil))
		slices.Sort(c.out)
		if f.Layout != c.layout || !slices.Equal(f.Names(), c.out) {
			t.Errorf("%s: want %s %v, got %s %v", c.version, c.layout, c.out, f.Layout, f.Names())
		}
		if x := f.Tensors["blocks.0.att.time_maa_w1"]; x != nil && !slices.Equal(x.Shape, []int{2, 3}) {
			t.Errorf("want time_maa_w1 transposed, got %s", x)
		}
	}
}

// What wrapping a model in modules leaves in its names is dropped, in any nesting: of models in the original names and
// in Hugging Face's, of LoRAs and of states.
func TestWrapped(t *testing.T) {
	model := weightstest.RWKV7(weightstest.Tiny, tensor.BF16, 3)
	lora := weightstest.LoRA(model, 2, tensor.BF16, 1)
	states := []*tensor.Tensor{zeros("blocks.0.att.time_state", 2, 3, 3), zeros("blocks.1.att.time_state", 2, 3, 3)}
	for what, list := range map[string][]*tensor.Tensor{"model": model, "fla": weightstest.Fla(model), "LoRA": lora, "states": states} {
		want := parse(t, weightstest.Safetensors(list, nil))
		for _, prefix := range []string{"_orig_mod.", "_forward_module.", "module.", "model.", "_orig_mod.module.", "module.module.",
			"_forward_module.model.", "model._orig_mod.", "module.model.", "model.module._forward_module.", "_fsdp_wrapped_module.", "model.model."} {
			var wrapped []*tensor.Tensor
			for _, x := range list {
				wrapped = append(wrapped, weightstest.Renamed(x, prefix+x.Name))
			}
			f := parse(t, weightstest.Safetensors(wrapped, nil))
			if sameTensors(t, want, f); what == "fla" && f.Layout != want.Layout || f.EmbeddingNormed {
				t.Errorf("%s behind %s: layout %s", what, prefix, f.Layout)
			}
		}
	}
	var inside []*tensor.Tensor
	for _, x := range weightstest.Fla(model) {
		inside = append(inside, weightstest.Renamed(x, strings.Replace(x.Name, "model.", "model.module.", 1)))
	}
	sameTensors(t, parse(t, weightstest.Safetensors(model, nil)), parse(t, weightstest.Safetensors(inside, nil)))
	inner := weightstest.Renamed(model[1], strings.Replace(model[1].Name, "blocks.0.", "blocks.0._checkpoint_wrapped_module.", 1))
	if f := parse(t, weightstest.Safetensors([]*tensor.Tensor{inner}, nil)); f.Tensors[model[1].Name] == nil {
		t.Errorf("%s is read as %v", inner.Name, f.Names())
	}
}

// Two tensors that would get one name are refused.
func TestNamesTwice(t *testing.T) {
	_, err := weights.Parse("m", weightstest.Safetensors([]*tensor.Tensor{zeros("_orig_mod.a", 1), zeros("a", 1)}, nil))
	wantError(t, err, "m: tensor a: name: want one tensor for a, got also _orig_mod.a")
	_, err = weights.Parse("m", weightstest.Safetensors([]*tensor.Tensor{zeros("blocks.0.att.time_mix_w1", 1, 1), zeros("blocks.0.att.time_maa_w1", 1, 1)}, nil))
	wantError(t, err, "m: tensor blocks.0.att.time_mix_w1: name: want one tensor for blocks.0.att.time_maa_w1, got also blocks.0.att.time_maa_w1")
}

// Only [1, 1, C] loses dimensions: r_k of a model with one head is a matrix, and so is a low-rank matrix of rank 1.
func TestSqueeze(t *testing.T) {
	f := parse(t, weightstest.Safetensors([]*tensor.Tensor{
		zeros("x", 1, 1, 5), zeros("r_k", 1, 5), zeros("s", 1), zeros("scalar"), zeros("w2", 5, 1, 3), zeros("four", 1, 1, 1, 2),
	}, nil))
	for name, want := range map[string][]int{"x": {5}, "r_k": {1, 5}, "s": {1}, "scalar": nil, "w2": {5, 1, 3}, "four": {1, 1, 1, 2}} {
		if got := f.Tensors[name].Shape; !slices.Equal(got, want) {
			t.Errorf("%s: want %v, got %v", name, want, got)
		}
	}
	if f.Tensors["scalar"].Len() != 1 || len(load(t, f, "scalar")) != 4 {
		t.Error("a scalar has one element")
	}
}

// A time_state keeps its heads and swaps within each.
func TestTransposeStack(t *testing.T) {
	state := tensor.FromFloats("blocks.0.att.time_state", []int{2, 2, 2}, []float32{1, 2, 3, 4, 5, 6, 7, 8})
	f := parse(t, weightstest.Safetensors([]*tensor.Tensor{zeros("blocks.0.att.time_mix_w1", 1, 2), state}, nil))
	got, err := f.Tensors[state.Name].Floats()
	if want := []float32{1, 3, 2, 4, 5, 7, 6, 8}; err != nil || !slices.Equal(got, want) {
		t.Errorf("want %v, got %v (%v)", want, got, err)
	}
}
