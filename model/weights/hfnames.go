package weights

import (
	"fmt"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// flaLayout is flash-linear-attention's RWKV7ForCausalLM, which most published v7 directories have: every low-rank pair
// is a small sequential module, of torch's [out, in] matrices, with the constant as the second one's bias.
var flaLayout = layout{
	name:    "Hugging Face fla",
	match:   contains("model.layers.", ".attn.r_proj."),
	prepare: prepareFla,
	scheme: &scheme{
		whole:  map[string]string{"model.embeddings": "emb", "model.norm": "ln_out", "lm_head": "head"},
		layers: []string{"model.layers."},
		parts: withParts(map[string]string{
			"pre_norm": "ln0", "attn_norm": "ln1", "ffn_norm": "ln2",
			"attn.r_proj": "att.receptance", "attn.k_proj": "att.key", "attn.v_proj": "att.value", "attn.o_proj": "att.output",
			"attn.g_norm": "att.ln_x", "ffn.x_k": "ffn.x_k", "ffn.key": "ffn.key", "ffn.value": "ffn.value",
		},
			lastNames("attn.%s", "att.%s", "x_r", "x_w", "x_k", "x_v", "x_a", "x_g", "k_k", "k_a", "r_k"),
			lastNames("attn.%s_lora.lora.0.weight", "att.%s1", "w", "a", "v", "g"),
			lastNames("attn.%s_lora.lora.2.weight", "att.%s2", "w", "a", "v", "g"),
			lastNames("attn.%s_lora.lora.2.bias", "att.%s0", "w", "a", "v"),
		),
	},
	swapped: []string{"w1", "w2", "a1", "a2", "v1", "v2", "g1", "g2"},
	fused:   true,
}

// nativeLayout is the one of rwkv-rs's training and serving tools: original orientation, dimensions of 1 left out.
var nativeLayout = layout{
	name:    "Hugging Face rwkv-rs",
	match:   contains("model.layers.", ".linear_attn.r_k"),
	prepare: headedRK,
	scheme: &scheme{
		whole: map[string]string{
			"model.embed_tokens": "emb", "model.embedding_norm": "blocks.0.ln0", "model.norm": "ln_out", "lm_head": "head",
		},
		layers: []string{"model.layers."},
		parts: withParts(map[string]string{
			"input_layernorm": "ln1", "post_attention_layernorm": "ln2",
			"linear_attn.r_proj": "att.receptance", "linear_attn.k_proj": "att.key", "linear_attn.v_proj": "att.value",
			"linear_attn.o_proj": "att.output", "linear_attn.g_norm": "att.ln_x",
			"mlp.x_k": "ffn.x_k", "mlp.key": "ffn.key", "mlp.value": "ffn.value", "mlp.up_proj": "ffn.key", "mlp.down_proj": "ffn.value",
		}, lastNames("linear_attn.%s", "att.%s", "x_r", "x_w", "x_k", "x_v", "x_a", "x_g", "k_k", "k_a", "r_k",
			"w0", "w1", "w2", "a0", "a1", "a2", "v0", "v1", "v2", "g1", "g2")),
	},
	fused: true,
}

// transformersV7 are the candidates for Rwkv7ForCausalLM in transformers: original names and orientation behind a
// prefix, the embedding perhaps renamed and perhaps already normalised by ln0, low-rank matrices perhaps as linear
// layers (att.w1.weight), which store them transposed.
var transformersV7 = layout{
	name: "Hugging Face rwkv7",
	match: func(x index) (string, bool, error) {
		for _, prefix := range []string{"rwkv7.blocks.", "model.blocks."} {
			if n := x.find(prefix); strings.HasPrefix(n, prefix) {
				return "it has " + n, true, nil
			}
		}
		return "", false, nil
	},
	prepare: prepareTransformersV7,
	scheme: &scheme{
		whole: map[string]string{
			"rwkv7.embeddings": "emb", "rwkv7.emb": "emb", "rwkv7.ln_out": "ln_out", "rwkv7.head": "head",
			"model.embeddings": "emb", "model.emb": "emb", "model.ln_out": "ln_out", "model.head": "head",
			"lm_head": "head",
		},
		layers: []string{"rwkv7.blocks.", "model.blocks."},
	},
	fused: true,
}

// transformersOld is transformers' own RwkvForCausalLM (v4), and the remote code of the v5 and v6 directories, which
// spells the names the same way: original orientation, longer words.
var transformersOld = layout{
	name:  "Hugging Face rwkv",
	match: contains("rwkv.blocks.", ".attention."),
	scheme: &scheme{
		whole:  map[string]string{"rwkv.embeddings": "emb", "rwkv.ln_out": "ln_out"},
		layers: []string{"rwkv.blocks."},
		parts: withParts(
			map[string]string{"pre_ln": "ln0", "ln1": "ln1", "ln2": "ln2"},
			lastNames("attention.%s", "att.%s", "receptance", "key", "value", "gate", "output", "ln_x", "time_decay", "time_first",
				"time_faaaa", "time_decay_w1", "time_decay_w2", "time_maa_w1", "time_maa_w2", "time_state"),
			longMixes("attention.", "att.", "x", "w", "k", "v", "r", "g"),
			lastNames("feed_forward.%s", "ffn.%s", "receptance", "key", "value"),
			longMixes("feed_forward.", "ffn.", "k", "r"),
		),
	},
}

// longMixes maps the token-shift mixes of v4 to v6 under their short and long names.
func longMixes(from, to string, letters ...string) map[string]string {
	long := map[string]string{"k": "key", "v": "value", "r": "receptance", "g": "gate", "x": "x", "w": "w"}
	m := map[string]string{}
	for _, kind := range []string{"time_mix_", "time_maa_"} {
		for _, l := range letters {
			m[from+kind+l] = to + kind + l
			m[from+kind+long[l]] = to + kind + l
		}
	}
	return m
}

func prepareTransformersV7(x index) (index, error) {
	x, err := headedRK(x)
	if err != nil {
		return x, err
	}
	return x.edited(func(name string, t *tensor.Tensor) ([]*tensor.Tensor, error) {
		stem, ok := strings.CutSuffix(name, ".weight")
		if _, pair := lowRank(stem[max(strings.Index(stem, "blocks."), 0):]); !ok || !pair || len(t.Shape) != 2 {
			return []*tensor.Tensor{t}, nil
		}
		t = t.Transposed()
		return []*tensor.Tensor{t.Part(stem, t.Shape, t.Load)}, nil
	})
}

// prepareFla also cuts the token-shift mixes, which fla had in one tensor x_x [6, C] in early 2025.
func prepareFla(x index) (index, error) {
	x, err := headedRK(x)
	if err != nil {
		return x, err
	}
	mixes := fused{"attn.x_x", "attn.x_", "", "rwkvag"}
	return x.unfused(mixes).edited(mixes.cut)
}

// headedRK gives every r_k that was stored as a vector its heads, if the configuration tells the head size.
func headedRK(x index) (index, error) {
	size := "config.head_dim"
	if x.meta[size] == "" {
		size = "config.head_size"
	}
	return x.edited(func(name string, t *tensor.Tensor) ([]*tensor.Tensor, error) {
		if lastPart(name) != "r_k" || len(t.Shape) != 1 || x.meta[size] == "" {
			return []*tensor.Tensor{t}, nil
		}
		t, err := headed(t, x.meta, size)
		return []*tensor.Tensor{t}, err
	})
}

// fusedNorm is the key of a configuration that says whether the embedding went through ln0.
const fusedNorm = "config.embedding_layer_norm_fused"

// NormedEmbedding is the annotation, "true", of a safetensors file under the original names whose embedding went
// through ln0, as convert writes it.
const NormedEmbedding = "embedding_normed"

// checkFused sets f.EmbeddingNormed where the layout allows it, and refuses a configuration that contradicts the file.
func (f *File) checkFused(l layout) error {
	const norm = "blocks.0.ln0.weight"
	_, unread := f.Unread[norm] // then whoever wants it learns its type
	says, has := f.Meta[fusedNorm], f.Tensors[norm] != nil || unread
	if f.Layout == "original" && f.Meta[NormedEmbedding] == "true" {
		l.fused = true
	}
	if l.fused && has && says == "true" {
		return &Error{Tensor: norm, Field: fusedNorm, Want: "an embedding without its norm", Got: fmt.Sprintf("%s and the norm", says)}
	}
	f.EmbeddingNormed = l.fused && !has && says != "false" && f.Tensors["blocks.0.ln1.weight"] != nil
	return nil
}
