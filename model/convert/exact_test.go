package convert_test

import (
	"errors"
	"fmt"
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

// Tensors of types that are not read are left out, which a notice says.
func TestSafetensorsLeavesOutUnread(t *testing.T) {
	m, _ := synthetic(t, "v7", tensor.F16, nil)
	m.File.Unread["step"], m.File.Unread["attn.mask"] = "I64", "BOOL"
	e, err := convert.Safetensors(m, 0)
	if want := "left out are tensors of types that are not read: 2 (attn.mask step)"; err != nil || !slices.Equal(e.Notices, []string{want}) {
		t.Errorf("want %q, got %v (%v)", want, e.Notices, err)
	}
}

// What GGUF has no place for is refused by name.
func TestGGUFRefuses(t *testing.T) {
	wantError := func(err error, fragments ...string) {
		t.Helper()
		var e *weights.Error
		if !errors.As(err, &e) {
			t.Errorf("want a *weights.Error with %q, got %v", fragments, err)
			return
		}
		for _, s := range fragments {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("want an error with %q, got %v", s, err)
			}
		}
	}
	for _, version := range strings.Split(model.Supported(), ", ") {
		if slices.Contains(model.LlamaVersions(), version) {
			continue
		}
		m, _ := synthetic(t, version, tensor.F16, nil)
		_, err := convert.GGUF(m, convert.GGUFOptions{})
		wantError(err, "written: version: want v6 or v7, which are all that GGUF has names for, got "+version)
	}
	m, _ := synthetic(t, "v6", tensor.F16, nil)
	_, err := convert.GGUF(m, convert.GGUFOptions{})
	wantError(err, ".att.time_state: want none: GGUF has no place for an initial state")
	m, _ = synthetic(t, "v7", tensor.F16, nil)
	_, err = convert.GGUF(m, convert.GGUFOptions{Vocab: tokens(m.Vocab + 1)})
	wantError(err, fmt.Sprintf("vocabulary: want at most %d tokens, the rows of emb.weight, got %d", m.Vocab, m.Vocab+1))
	_, err = convert.GGUF(m, convert.GGUFOptions{RescaleEvery: 2})
	wantError(err, "rescaling: want none, since GGUF has no place for it in this version, got v7, divided every 2 layers")
	m.File.RescaleEvery = 3
	_, err = convert.GGUF(m, convert.GGUFOptions{})
	wantError(err, "rescaling: want none, since GGUF has no place for it in this version, got v7, divided every 3 layers")
	six, _ := synthetic(t, "v6", tensor.F16, weightstest.Stateless)
	six.File.RescaleEvery = 2
	_, err = convert.GGUF(six, convert.GGUFOptions{RescaleEvery: 3})
	wantError(err, "rescaling: want tensors that are not divided yet, got v6, divided every 2 layers")
	m.File.RescaleEvery, m.File.EmbeddingNormed = 0, true
	_, err = convert.GGUF(m, convert.GGUFOptions{})
	wantError(err, "blocks.0.ln0.weight: want the norm of the embedding")
}

// An embedding behind its norm stays one in a safetensors file.
func TestSafetensorsOfNormedEmbedding(t *testing.T) {
	list := slices.DeleteFunc(weightstest.RWKV7(weightstest.Tiny, tensor.F16, 3), func(x *tensor.Tensor) bool {
		return strings.HasPrefix(x.Name, "blocks.0.ln0.")
	})
	m := parseModel(t, weightstest.Safetensors(list, map[string]string{weights.NormedEmbedding: "true"}))
	e, err := convert.Safetensors(m, 0)
	back := export(t, e, err)
	if sameTensors(t, "normed", back.File, m.File); !m.File.EmbeddingNormed || !back.File.EmbeddingNormed || len(e.Notices) != 1 {
		t.Errorf("normed %v, then %v; notices %q", m.File.EmbeddingNormed, back.File.EmbeddingNormed, e.Notices)
	}
}

// Matrices that a file holds divided get their size back, as F32 where their type could not hold it.
func TestSafetensorsUndoesDivision(t *testing.T) {
	m, _ := synthetic(t, "v6", tensor.F16, weightstest.Stateless)
	const large = "blocks.1.ffn.value.weight"
	f16 := slices.Repeat([]byte{0xff, 0x7b}, m.File.Tensors[large].Len()) // 65504
	m.File.Tensors[large] = tensor.FromBytes(large, tensor.F16, m.File.Tensors[large].Shape, f16)
	m.File.RescaleEvery = 1
	e, err := convert.Safetensors(m, 0)
	back := export(t, e, err)
	for _, n := range m.File.Names() {
		x, want := back.File.Tensors[n], floats(t, m.File.Tensors[n])
		for i := range want {
			want[i] *= float32(m.File.Divisor(n))
		}
		if typ := map[bool]tensor.Type{true: tensor.F32, false: tensor.F16}[n == large]; x.Type != typ || !slices.Equal(floats(t, x), want) {
			t.Errorf("%s: want %s, %d times what was there", x, typ, m.File.Divisor(n))
		}
	}
	if first := e.Tensors[0].Name; first != large { // F32 goes first, so that it lies at a multiple of 4 bytes
		t.Errorf("%s comes before %s", first, large)
	}
	if back.File.RescaleEvery != 0 || m.File.Divisor(large) != 2 {
		t.Errorf("rescaling every %d layers", back.File.RescaleEvery)
	}
}

// What is divided on the way to GGUF is F32 if it was in blocks.
func TestGGUFDividesBlocks(t *testing.T) {
	f := parse(t, weightstest.Safetensors(weightstest.Stateless(weightstest.RWKV("v6", weightstest.Tiny, tensor.F16, 3)), nil))
	const name = "blocks.1.ffn.value.weight"
	x := weightstest.Blocks(name, tensor.Q5_1, 1, f.Tensors[name].Shape...)
	f.Tensors[name] = x
	m, err := model.New(f)
	if err != nil {
		t.Fatal(err)
	}
	e, err := convert.GGUF(m, convert.GGUFOptions{RescaleEvery: 1})
	y := export(t, e, err).File.Tensors[name]
	want := floats(t, x)
	for i := range want {
		want[i] /= 2
	}
	if y.Type != tensor.F32 || !slices.Equal(floats(t, y), want) {
		t.Errorf("%s is not half of %s", y, x)
	}
}

// Exponentials are undone so that the model computes the very numbers that were there.
func TestSafetensorsUndoesExponentials(t *testing.T) {
	for _, c := range []struct {
		version, part string
		form          weights.Function
		f             func(float64) float64
	}{
		{"v4", "att.time_decay", weights.NegExp, func(x float64) float64 { return -math.Exp(x) }},
		{"v5.0", "att.time_decay", weights.ExpNegExp, func(x float64) float64 { return math.Exp(-math.Exp(x)) }},
		{"v5.2", "att.time_decay", weights.ExpNegExp, func(x float64) float64 { return math.Exp(-math.Exp(x)) }},
		{"v5.0", "att.time_first", weights.Exp, math.Exp},
	} {
		m, _ := synthetic(t, c.version, tensor.BF16, nil)
		f := &weights.File{}
		*f = *m.File
		f.Functions = map[string]weights.Function{}
		want := map[string][]float32{}
		for _, n := range f.Names() {
			if !strings.HasSuffix(n, c.part) {
				continue
			}
			x := floats(t, f.Tensors[n])
			for i := range x {
				x[i] = float32(c.f(float64(x[i])*8 - 3 + float64(i)/64))
			}
			if c.form == weights.ExpNegExp {
				x[0], x[1] = 0, 1 // what the largest and smallest exponents become
			}
			f.Tensors[n], want[n], f.Functions[n] = tensor.FromFloats(n, f.Tensors[n].Shape, x), x, c.form
		}
		formed, err := model.New(f)
		if err != nil {
			t.Fatal(err)
		}
		e, err := convert.Safetensors(formed, 0)
		back := export(t, e, err)
		for n, y := range want {
			for i, w := range floats(t, back.File.Tensors[n]) {
				if got := float32(c.f(float64(w))); got != y[i] {
					t.Errorf("%s %s: %v gives %v, want %v", c.version, n, w, got, y[i])
				}
			}
		}
		if len(want) != m.Layers || len(e.Notices) != 1 || len(back.File.Functions) != 0 {
			t.Errorf("%s: notices %q, forms %v", c.version, e.Notices, back.File.Functions)
		}
	}
}
