package model

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// strange is a tensor of a type that is not read, of so many bytes.
type strange struct {
	name, dtype string
	shape       []int
	bytes       int
}

// withOthers opens what madeWith makes.
func withOthers(t *testing.T, list []*tensor.Tensor, others ...strange) *weights.File {
	t.Helper()
	f, err := weights.Parse("made.safetensors", madeWith(t, list, others...))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// madeWith returns a safetensors file of tensors and, behind them, others.
func madeWith(t *testing.T, list []*tensor.Tensor, others ...strange) []byte {
	t.Helper()
	header := map[string]any{}
	var body []byte
	entry := func(name, dtype string, shape []int, data []byte) {
		header[name] = map[string]any{"dtype": dtype, "shape": shape, "data_offsets": []int{len(body), len(body) + len(data)}}
		body = append(body, data...)
	}
	for _, x := range list {
		data, err := x.Load()
		if err != nil {
			t.Fatal(err)
		}
		entry(x.Name, x.Type.String(), x.Shape, data)
	}
	for _, o := range others {
		entry(o.name, o.dtype, append([]int{}, o.shape...), make([]byte, o.bytes))
	}
	text, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	return weightstest.File(string(text), body)
}

// Tensors of types that are not read are no matter where nothing uses them, an error about their type where something
// does, and an addition is one in any type.
func TestUnreadTypes(t *testing.T) {
	list := weightstest.RWKV7(weightstest.Tiny, tensor.F16, 1)
	without := func(name string) []*tensor.Tensor {
		return slices.DeleteFunc(slices.Clone(list), func(x *tensor.Tensor) bool { return x.Name == name })
	}
	m, err := New(withOthers(t, list, strange{"step", "I64", nil, 8}, strange{"attn.mask", "BOOL", []int{3, 3}, 9}, strange{"c", "C64", []int{2}, 16}))
	if err != nil || !slices.Equal(m.Unused, []string{"attn.mask", "c", "step"}) {
		t.Errorf("beside a model: %v", err)
	}
	for _, c := range []struct {
		list []*tensor.Tensor
		x    strange
		want string
	}{
		{without("blocks.1.att.key.weight"), strange{"blocks.1.att.key.weight", "F8_E4M3", []int{32, 32}, 1024}, "tensor blocks.1.att.key.weight: dtype: want one of F32, F16, BF16, got F8_E4M3"},
		{without("blocks.1.att.w0"), strange{"_orig_mod.blocks.1.att.w0", "F64", []int{32}, 256}, "tensor blocks.1.att.w0: dtype: want one of F32, F16, BF16, got F64"},
		{list, strange{"blocks.1.att.time_state", "F64", []int{2, 16, 16}, 4096}, "tensor blocks.1.att.time_state: dtype: want one of"},
		{list, strange{"blocks.2.ln1.weight", "F64", []int{32}, 256}, "tensor blocks.2.ln1.weight: dtype: want one of"},
		{weightstest.Fla(without("blocks.0.ln0.weight")), strange{"model.layers.0.pre_norm.weight", "F64", []int{32}, 256}, "tensor blocks.0.ln0.weight: dtype: want one of"},
		{weightstest.Native(without("blocks.0.ln0.weight")), strange{"model.embedding_norm.weight", "F8_E4M3", []int{32}, 32}, "tensor blocks.0.ln0.weight: dtype: want one of"},
		{list, strange{"copy_mask", "BOOL", []int{3, 3}, 9}, "tensor copy_mask: want only what RWKV-7 computes, got head_qk"},
		{list, strange{"rosa1.emb", "I8", []int{3}, 3}, "got RWKV-8 with ROSA"},
		{list[:1], strange{"blocks.0.att.r_k", "F64", []int{2, 16}, 256}, "the first named blocks.0.att.r_k"},
	} {
		if _, err := New(withOthers(t, c.list, c.x)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s of %s: want %q, got %v", c.x.name, c.x.dtype, c.want, err)
		}
	}
}

// So are those of a GGUF file, which has types of blocks that are not read here.
func TestUnreadTypesGGUF(t *testing.T) {
	const q2k, size = 10, 84
	list := weightstest.Llama(weightstest.RWKV7(weightstest.Tiny, tensor.F16, 1))
	open := func(name string) (*Model, error) {
		h, body := weightstest.GGUFParts(weightstest.LlamaMeta(weightstest.Tiny), list)
		i := slices.IndexFunc(h.Entries, func(e weightstest.GGUFEntry) bool { return e.Name == name })
		if i < 0 {
			i = len(h.Entries)
			h.Entries = append(h.Entries, weightstest.GGUFEntry{Name: name, Dims: []uint64{256}, Offset: uint64(len(body))})
			h.Tensors++
			body = append(body, make([]byte, size)...)
		}
		h.Entries[i].Type = q2k
		f, err := weights.Parse("made.gguf", weightstest.GGUFFile(h, body))
		if err != nil {
			return nil, err
		}
		return New(f)
	}
	m, err := open("rope_freqs.weight")
	if err != nil || !slices.Equal(m.Unused, []string{"rope_freqs.weight"}) || !strings.Contains(m.UnusedNotice(), "rope_freqs.weight") {
		t.Errorf("beside a model: %v (%v)", m, err)
	}
	for name, original := range map[string]string{"token_embd.weight": "emb.weight", "output.weight": "head.weight", "blk.1.time_mix_key.weight": "blocks.1.att.key.weight",
		"blk.1.attn_norm.weight": "blocks.1.ln1.weight", "blk.0.time_mix_lerp_fused.weight": "blocks.0.att.x_r"} {
		want := "made.gguf: tensor " + original + ": dtype: want one of F32, F16, BF16, Q4_0, "
		if _, err := open(name); err == nil || !strings.HasPrefix(err.Error(), want) || !strings.HasSuffix(err.Error(), "IQ4_NL, got Q2_K (10)") {
			t.Errorf("%s: want %q, got %v", name, want, err)
		}
	}
}

// Every tensor of a state counts, whatever its type.
func TestUnreadTypesOfStates(t *testing.T) {
	list := bare("v7")
	write := func(f []byte) string {
		path := filepath.Join(t.TempDir(), "f.safetensors")
		if err := os.WriteFile(path, f, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	state := strange{"blocks.1.att.time_state", "F64", []int{2, 16, 16}, 4096}
	path := write(madeWith(t, tunedStates(modelOf(t, list), tensor.F32)[:1], state))
	_, err := beginTuned(modelOf(t, list), path, "")
	if want := path + ": tensor blocks.1.att.time_state: dtype: want one of F32, F16, BF16, got F64"; err == nil || err.Error() != want {
		t.Errorf("state: want %q, got %v", want, err)
	}
}

// Adapters of other tools are no models and no LoRAs, and are called what they are.
func TestAdapters(t *testing.T) {
	part := func(name string) []*tensor.Tensor { return []*tensor.Tensor{weightstest.Ones(name, 2, 2)} }
	meta := []weightstest.KV{{Key: "general.architecture", Value: "rwkv7"}, {Key: "general.type", Value: "adapter"}}
	for want, data := range map[string][]byte{
		"an adapter of Hugging Face's peft": weightstest.Safetensors(part("base_model.model.model.layers.0.attn.r_proj.lora_A.weight"), nil),
		"a GGUF adapter":                    weightstest.GGUF(meta, part("blk.0.time_mix_key.weight.lora_a")),
	} {
		f, err := weights.Parse("a.bin", data)
		if err != nil {
			t.Fatal(err)
		}
		_, err = New(f)
		if got := fmt.Sprint(err); !strings.HasPrefix(got, "a.bin: version: want an RWKV model (") || !strings.Contains(got, ", got "+want) {
			t.Errorf("as a model: want %q, got %v", want, err)
		}
		if got := Describe(f); !strings.HasPrefix(got, want) {
			t.Errorf("want %q, got %q", want, got)
		}
	}
}
