package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

func safetensorsOf(list []*tensor.Tensor) map[string][]byte {
	return map[string][]byte{"m.safetensors": weightstest.Safetensors(list, nil)}
}

// company is what training keeps beside the tensors.
var company = weightstest.Dict{
	{"step", weightstest.Call{Func: weightstest.Global("numpy.core.multiarray scalar"), Args: weightstest.Tuple{
		weightstest.State{Value: weightstest.Call{Func: weightstest.Global("numpy dtype"), Args: weightstest.Tuple{"i8", false, true}}, Dict: weightstest.Tuple{3, "<", nil, nil, nil, -1, -1, 0}},
		weightstest.Call{Func: weightstest.Global("_codecs encode"), Args: weightstest.Tuple{"\x07\x00\x00\x00", "latin1"}}}}},
	{"shape", weightstest.Call{Func: weightstest.Global("torch Size"), Args: weightstest.Tuple{weightstest.Tuple{2, 3}}}},
	{"device", weightstest.Call{Func: weightstest.Global("torch device"), Args: weightstest.Tuple{"cuda", 0}}},
	{"dtype", weightstest.Global("torch bfloat16")},
	{"args", weightstest.Call{Func: weightstest.Global("argparse Namespace"), Args: weightstest.Tuple{}}},
}

// fusedMixes returns fla's tensors with the mixes of each layer in one, as it had them in early 2025.
func fusedMixes(list []*tensor.Tensor) (out []*tensor.Tensor) {
	var mixes []byte
	for _, x := range weightstest.Fla(list) {
		stem, mix, ok := strings.Cut(x.Name, ".attn.x_")
		if !ok {
			out = append(out, x)
			continue
		}
		if mixes = append(mixes, loaded(x)...); mix == "g" { // r w k v a g, as weightstest has them
			out = append(out, tensor.FromBytes(stem+".attn.x_x", x.Type, []int{6, x.Len()}, mixes))
			mixes = nil
		}
	}
	return out
}

// ones returns an RWKV-8 that multiplies by 1.
func ones(list []*tensor.Tensor) []*tensor.Tensor {
	for l := range weightstest.Tiny.Layers {
		x := make([]float32, weightstest.Tiny.Vocab*weightstest.Tiny.Embed)
		for i := range x {
			x[i] = 1
		}
		list = append(list, tensor.FromFloats(fmt.Sprintf("blocks.%d.ffn.enn.weight", l), []int{weightstest.Tiny.Vocab, weightstest.Tiny.Embed}, x))
	}
	return list
}

// tied returns a model with its embedding for a head.
func tied(list []*tensor.Tensor) []*tensor.Tensor {
	emb := list[slices.IndexFunc(list, func(x *tensor.Tensor) bool { return x.Name == "emb.weight" })]
	return append(without(list, "head.weight"), weightstest.Renamed(emb, "head.weight"))
}

// twin gives the logits of another file, bit for bit, with a word about what it is not if there is one.
type twin struct {
	name        string
	files, like map[string][]byte
	word        string
}

func twins() []twin {
	return []twin{
		{"behind _forward_module", map[string][]byte{"m.pth": weightstest.Torch{Prefix: "_forward_module."}.File(baseOf("v7"))}, plus("v7"), ""},
		{"behind module, twice", map[string][]byte{"m.pt": weightstest.Torch{Prefix: "module.module.", Wrap: []string{"module"}}.File(baseOf("v6"))}, plus("v6"), ""},
		{"behind _orig_mod and module", map[string][]byte{"m.ckpt": weightstest.Torch{Prefix: "_orig_mod.module.", Wrap: []string{"state_dict"}}.File(baseOf("v4"))}, plus("v4"), ""},
		{"behind model, as of Lightning", map[string][]byte{"m.ckpt": weightstest.Torch{Prefix: "model."}.File(baseOf("v5.2"))}, plus("v5.2"), ""},
		{"behind module, of Hugging Face", safetensorsOf(renamedTo(weightstest.Fla(baseOf("v7")), func(n string) string { return "module." + n })), plus("v7"), ""},
		{"wrapped in the middle", safetensorsOf(renamedTo(baseOf("v7a"), func(n string) string { return strings.Replace(n, ".att.", "._checkpoint_wrapped_module.att.", 1) })), plus("v7a"), ""},
		{"fused mixes of fla", safetensorsOf(fusedMixes(baseOf("v7"))), plus("v7"), ""},
		{"a tied head", flaWith(without(baseOf("v7"), "head.weight"), `{"tie_word_embeddings":true}`), safetensorsOf(tied(baseOf("v7"))), ""},
		{"a tied head that is there", flaWith(tied(baseOf("v7")), `{"tie_word_embeddings":true}`), safetensorsOf(tied(baseOf("v7"))), ""},
		{"sizes as they are", flaWith(baseOf("v7"), `{"num_hidden_layers":2,"hidden_size":32,"head_dim":16,"intermediate_size":96,"vocab_size":67,"gate_low_rank_dim":20,"num_heads":9}`), plus("v7"), ""},
		{"the usual epsilon", ggufWith("rwkv7.attention.layer_norm_epsilon", float32(1e-5)), plus("v7"), ""},
		{"company in a .pth", map[string][]byte{"m.pth": weightstest.Torch{Extra: company}.File(baseOf("v7"))}, plus("v7"), ""},
		{"company in an old .pth", map[string][]byte{"m.pth": weightstest.Torch{Legacy: true, Extra: company}.File(baseOf("v5.1"))}, plus("v5.1"), ""},
		{"an RWKV-8 that multiplies by 1", safetensorsOf(ones(baseOf("v7"))), plus("v7"), ""},
		{"layer 0's value residual", plus("v7", small("blocks.0.att.v0", 1, 1, 32), small("blocks.0.att.v1", 32, 4), small("blocks.0.att.v2", 4, 32)), plus("v7"), ""},
		{"heads of other tasks", plus("v7", small("value_head.weight", 1, 32), small("value_head.bias", 1)), plus("v7"), "tensors that RWKV-7 does not use: 2 (value_head.bias value_head.weight)"},
	}
}

func TestMadeLogits(t *testing.T) {
	reference.Numbers(t)
	for _, c := range twins() {
		t.Run(c.name, func(t *testing.T) {
			path, like := writtenFiles(t, c.files), writtenFiles(t, c.like)
			sameLogits(t, c.name, []string{"--model", path}, []string{"--model", like})
			r := cli("logits", "--tokens", "1", "--device", "cpu", "--model", path)
			if lines := strings.Count(r.stderr, "\n"); r.status != statusDone || !strings.Contains(r.stderr, c.word) || lines != map[bool]int{true: 1, false: 2}[c.word == ""] {
				t.Errorf("want the notice %q and the device, got %s", c.word, r)
			}
		})
	}
}

// A LoRA and a state behind modules do what they do without.
func TestMadeWrapped(t *testing.T) {
	base := baseOf("v7")
	model := writtenFiles(t, safetensorsOf(base))
	lora := weightstest.LoRA(base, 2, tensor.F16, 1)
	var states []*tensor.Tensor
	for l := range weightstest.Tiny.Layers {
		states = append(states, small(fmt.Sprintf("blocks.%d.att.time_state", l), 2, 16, 16))
	}
	for flag, list := range map[string][]*tensor.Tensor{"--lora": lora, "--state": states} {
		file := func(prefix string) []string {
			return []string{"--model", model, flag, writtenFiles(t, map[string][]byte{"f.pth": weightstest.Torch{Prefix: prefix}.File(list)})}
		}
		plain := file("")
		for _, prefix := range []string{"_forward_module.", "module.", "model.", "module.model._orig_mod."} {
			sameLogits(t, flag+" behind "+prefix, file(prefix), plain)
		}
	}
	wrong := filepath.Join(t.TempDir(), "none")
	wantError(t, cli("logits", "--tokens", "1", "--model", model, "--lora", wrong), statusInput, wrong)
	adapter := writtenFiles(t, safetensorsOf([]*tensor.Tensor{small("base_model.model.blocks.0.att.key.lora_A.weight", 2, 32)}))
	wantError(t, cli("logits", "--tokens", "1", "--model", model, "--lora", adapter), statusInput, adapter+": tensors: want a LoRA", "got an adapter of Hugging Face's peft")
}
