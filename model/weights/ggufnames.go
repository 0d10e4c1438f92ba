package weights

import (
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// llamaWhole are llama.cpp's names outside the layers.
var llamaWhole = map[string]string{
	"token_embd": "emb", "token_embd_norm": "blocks.0.ln0", "output_norm": "ln_out", "output": "head",
}

// llamaParts are llama.cpp's names inside a layer that v6 and v7 share.
var llamaParts = map[string]string{
	"attn_norm": "ln1", "attn_norm_2": "ln2",
	"time_mix_receptance": "att.receptance", "time_mix_key": "att.key", "time_mix_value": "att.value",
	"time_mix_output": "att.output", "time_mix_ln": "att.ln_x",
	"channel_mix_key": "ffn.key", "channel_mix_value": "ffn.value",
}

// llamaV6 is the layout that llama.cpp's converter writes for v6: low-rank matrices transposed, the five mixes in one
// tensor.
var llamaV6 = layout{
	name:  "llama.cpp",
	match: llama("rwkv6"),
	prepare: func(x index) (index, error) {
		return x.unfused(llamaMixes("wkvrg")).edited(llamaMixes("wkvrg").cut)
	},
	scheme: &scheme{whole: llamaWhole, layers: []string{"blk."}, parts: withParts(llamaParts, map[string]string{
		"time_mix_gate":          "att.gate",
		"time_mix_lerp_x.weight": "att.time_maa_x", "time_mix_lerp_w.weight": "att.time_maa_w",
		"time_mix_lerp_k.weight": "att.time_maa_k", "time_mix_lerp_v.weight": "att.time_maa_v",
		"time_mix_lerp_r.weight": "att.time_maa_r", "time_mix_lerp_g.weight": "att.time_maa_g",
		"time_mix_w1.weight": "att.time_maa_w1", "time_mix_w2.weight": "att.time_maa_w2",
		"time_mix_first.weight": "att.time_faaaa", "time_mix_decay.weight": "att.time_decay",
		"time_mix_decay_w1.weight": "att.time_decay_w1", "time_mix_decay_w2.weight": "att.time_decay_w2",
		"channel_mix_receptance":    "ffn.receptance",
		"channel_mix_lerp_k.weight": "ffn.time_maa_k", "channel_mix_lerp_r.weight": "ffn.time_maa_r",
	})},
	swapped: []string{"time_maa_w1", "time_maa_w2", "time_decay_w1", "time_decay_w2"},
}

// llamaV7 is the layout that llama.cpp's converter writes for v7: low-rank matrices transposed, the six mixes in one
// tensor, r_k as a vector, and copies of a0 a1 a2 in layer 0 in place of v0 v1 v2.
var llamaV7 = layout{
	name:    "llama.cpp",
	match:   llama("rwkv7"),
	prepare: prepareLlamaV7,
	scheme: &scheme{whole: llamaWhole, layers: []string{"blk."}, parts: withParts(llamaParts,
		lastNames("time_mix_lerp_%s.weight", "att.x_%s", "r", "w", "k", "v", "a", "g"),
		lastNames("time_mix_%s.weight", "att.%s", "w0", "w1", "w2", "a0", "a1", "a2", "v0", "v1", "v2", "g1", "g2", "k_k", "k_a", "r_k"),
		map[string]string{"channel_mix_lerp_k.weight": "ffn.x_k"},
	)},
	swapped: []string{"w1", "w2", "a1", "a2", "v1", "v2", "g1", "g2"},
}

func withParts(all ...map[string]string) map[string]string {
	sum := map[string]string{}
	for _, m := range all {
		maps.Copy(sum, m)
	}
	return sum
}

// lastNames maps one pattern to another for each name.
func lastNames(from, to string, names ...string) map[string]string {
	m := map[string]string{}
	for _, n := range names {
		m[fmt.Sprintf(from, n)] = fmt.Sprintf(to, n)
	}
	return m
}

// llama matches a file that says it holds that architecture, in llama.cpp's names.
func llama(architecture string) func(index) (string, bool, error) {
	return func(x index) (string, bool, error) {
		evidence := x.find("token_embd.")
		if x.meta[ggufArchitecture] != architecture || evidence == "" {
			return "", false, nil
		}
		return fmt.Sprintf("it has %s, and %s is %s", evidence, ggufArchitecture, architecture), true, nil
	}
}

// fused says how a layer's mixes lie in one tensor [n, ..., C], a row for each. Its name ends in name, in the place of
// which each vector has its letter between before and after.
type fused struct{ name, before, after, letters string }

func llamaMixes(letters string) fused {
	return fused{"time_mix_lerp_fused.weight", "time_mix_lerp_", ".weight", letters}
}

// names returns the vectors' names where name is that of fused mixes.
func (f fused) names(name string) (names []string) {
	if layer, ok := strings.CutSuffix(name, f.name); ok {
		for _, letter := range f.letters {
			names = append(names, layer+f.before+string(letter)+f.after)
		}
	}
	return names
}

// cut cuts fused mixes into vectors, in order, and keeps any other tensor.
func (f fused) cut(name string, t *tensor.Tensor) ([]*tensor.Tensor, error) {
	names := f.names(name)
	if names == nil {
		return []*tensor.Tensor{t}, nil
	}
	if t.Type.IsBlock() || len(t.Shape) < 2 || t.Shape[0] != len(names) {
		return nil, &Error{Tensor: name, Field: "shape", Want: fmt.Sprintf("[%d ... C], a row for each of %s", len(names), strings.Join(strings.Split(f.letters, ""), " ")),
			Got: fmt.Sprintf("%s%v", t.Type, t.Shape)}
	}
	return slicesOf(t, names), nil
}

// unfused returns x with fused mixes of a type that is not read as such vectors: whoever wants one of them learns its
// type.
func (x index) unfused(f fused) index {
	var list []unread
	for _, u := range x.unread {
		names := f.names(unwrapped(u.name))
		if names == nil {
			list = append(list, u)
		}
		for _, n := range names {
			list = append(list, unread{n, u.typ})
		}
	}
	x.unread = list
	return x
}

func prepareLlamaV7(x index) (index, error) {
	mixes := llamaMixes("rwkvag")
	return x.unfused(mixes).edited(func(name string, t *tensor.Tensor) ([]*tensor.Tensor, error) {
		switch strings.TrimPrefix(name, "blk.0.") {
		case "time_mix_v0.weight", "time_mix_v1.weight", "time_mix_v2.weight":
			return nil, nil
		}
		if strings.HasSuffix(name, ".time_mix_r_k.weight") {
			t, err := headed(t, x.meta, "rwkv7.wkv.head_size")
			return []*tensor.Tensor{t}, err
		}
		return mixes.cut(name, t)
	})
}

// headed returns the vector t of all heads as [H, N], with N from the annotation of that name.
func headed(t *tensor.Tensor, meta map[string]string, annotation string) (*tensor.Tensor, error) {
	if len(t.Shape) == 2 && t.Shape[0] > 1 {
		return t, nil
	}
	n, err := strconv.Atoi(meta[annotation])
	if err != nil || n < 1 || t.Len()%n != 0 {
		return nil, &Error{Tensor: t.Name, Field: annotation, Want: fmt.Sprintf("a head size that divides the tensor's length %d", t.Len()), Got: fmt.Sprintf("%q", meta[annotation])}
	}
	return t.Reshaped(t.Len()/n, n), nil
}
