package weightstest

import (
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// Fla returns RWKV-7 tensors as flash-linear-attention names and turns them.
func Fla(tensors []*tensor.Tensor) []*tensor.Tensor {
	names := map[string]string{
		"emb": "model.embeddings", "ln_out": "model.norm", "head": "lm_head", "blocks.0.ln0": "model.layers.0.pre_norm",
		"ln1": "attn_norm", "ln2": "ffn_norm", "att.ln_x": "attn.g_norm",
		"att.receptance": "attn.r_proj", "att.key": "attn.k_proj", "att.value": "attn.v_proj", "att.output": "attn.o_proj",
	}
	return layered(tensors, names, "model.layers.", func(t *tensor.Tensor, part string) (*tensor.Tensor, string) {
		if strings.HasPrefix(part, "ffn.") {
			if part == "ffn.x_k" {
				t = t.Reshaped(t.Len())
			}
			return t, part
		}
		short, ok := strings.CutPrefix(part, "att.")
		if !ok || len(short) > 3 {
			return t, ""
		}
		switch short[len(short)-1] {
		case '0':
			return t.Reshaped(t.Len()), "attn." + short[:1] + "_lora.lora.2.bias"
		case '1':
			return t.Transposed(), "attn." + short[:1] + "_lora.lora.0.weight"
		case '2':
			return t.Transposed(), "attn." + short[:1] + "_lora.lora.2.weight"
		}
		if short == "k_k" || short == "k_a" {
			t = t.Reshaped(t.Len())
		}
		return t, "attn." + short
	})
}

// Native returns RWKV-7 tensors as the tools of rwkv-rs name them, without dimensions of 1.
func Native(tensors []*tensor.Tensor) []*tensor.Tensor {
	names := map[string]string{
		"emb": "model.embed_tokens", "blocks.0.ln0": "model.embedding_norm", "ln_out": "model.norm", "head": "lm_head",
		"ln1": "input_layernorm", "ln2": "post_attention_layernorm", "att.ln_x": "linear_attn.g_norm",
		"att.receptance": "linear_attn.r_proj", "att.key": "linear_attn.k_proj", "att.value": "linear_attn.v_proj", "att.output": "linear_attn.o_proj",
	}
	return layered(tensors, names, "model.layers.", func(t *tensor.Tensor, part string) (*tensor.Tensor, string) {
		var shape []int
		for _, d := range t.Shape {
			if d != 1 {
				shape = append(shape, d)
			}
		}
		if len(t.Shape) == 3 || part == "att.r_k" {
			t = t.Reshaped(shape...)
		}
		if rest, ok := strings.CutPrefix(part, "ffn."); ok {
			return t, "mlp." + rest
		}
		if short, ok := strings.CutPrefix(part, "att."); ok && len(short) <= 3 {
			return t, "linear_attn." + short
		}
		return t, ""
	})
}

// Prefixed returns tensors behind a prefix, but for the head, and the embedding under a name of its own.
func Prefixed(tensors []*tensor.Tensor, prefix, embedding string) []*tensor.Tensor {
	var out []*tensor.Tensor
	for _, t := range tensors {
		switch t.Name {
		case "head.weight":
			out = append(out, t)
		case "emb.weight":
			out = append(out, rename(t, prefix+embedding+".weight"))
		default:
			out = append(out, rename(t, prefix+t.Name))
		}
	}
	return out
}

// layered renames tensors: by names, whole or without the last part, unless special has a name for a part of a layer.
func layered(tensors []*tensor.Tensor, names map[string]string, layers string, special func(*tensor.Tensor, string) (*tensor.Tensor, string)) []*tensor.Tensor {
	var out []*tensor.Tensor
	for _, t := range tensors {
		layer, part, inLayer := layerOf(t.Name)
		if !inLayer {
			out = append(out, rename(t, renamed(names, t.Name)))
			continue
		}
		t, name := special(t, part)
		if name == "" {
			name = renamed(names, part)
		}
		out = append(out, rename(t, layers+layer+"."+name))
	}
	return out
}

// Transformers returns tensors of v4 to v6 as transformers' own RwkvForCausalLM and its successors name them.
func Transformers(tensors []*tensor.Tensor) (out []*tensor.Tensor) {
	long := strings.NewReplacer(".att.", ".attention.", ".ffn.", ".feed_forward.", ".ln0.", ".pre_ln.",
		"time_mix_k", "time_mix_key", "time_mix_v", "time_mix_value", "time_mix_r", "time_mix_receptance", "time_mix_g", "time_mix_gate")
	for _, t := range tensors {
		name := "rwkv." + long.Replace(t.Name)
		switch t.Name {
		case "head.weight":
			name = t.Name
		case "emb.weight":
			name = "rwkv.embeddings.weight"
		}
		out = append(out, rename(t, name))
	}
	return out
}
