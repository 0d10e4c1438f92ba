package weightstest

import (
	"fmt"
	"math/rand/v2"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// Versions are those that RWKV makes models of.
var Versions = []string{"v4", "v5.0", "v5.1", "v5.2", "v6", "v7", "v7a", "v8-rc00"}

// RWKV returns the tensors of a model of one of Versions, as RWKV7 does. Of the ranks,
// v6 has W for the decay and A for the token shift, and v7a multiplies with matrices of 4 * V rows and 8 columns. A v6
// model carries an initial state.
func RWKV(version string, s Size, typ tensor.Type, seed uint64) []*tensor.Tensor {
	if version == "v7" {
		return RWKV7(s, typ, seed)
	}
	g := generator{typ: typ, rng: rand.New(rand.NewPCG(seed, 7))}
	if version == "v7a" {
		g.tensors = RWKV7(s, typ, seed)
		for i := range s.Layers {
			g.deepEmbed(fmt.Sprintf("blocks.%d.ffn.", i), s)
		}
		return g.tensors
	}
	if version == "v8-rc00" {
		g.tensors = RWKV7(s, typ, seed)
		for i := range s.Layers {
			g.add(fmt.Sprintf("blocks.%d.ffn.enn.weight", i), 1, s.Vocab, s.Embed)
		}
		return g.tensors
	}
	c := s.Embed
	g.add("emb.weight", 1, s.Vocab, c)
	for i := range s.Layers {
		b := fmt.Sprintf("blocks.%d.", i)
		if i == 0 {
			g.norm(b+"ln0", c)
		}
		g.norm(b+"ln1", c)
		g.norm(b+"ln2", c)
		for _, m := range []string{"receptance", "key", "value", "output"} {
			g.matrix(b+"att."+m+".weight", c, c)
		}
		mix := "time_mix_"
		switch version {
		case "v4":
			g.add(b+"att.time_decay", 1, c)
			g.add(b+"att.time_first", 1, c)
		case "v6":
			mix = "time_maa_"
			g.finch(b+"att.", s)
		default:
			g.eagle(version, b+"att.", s)
		}
		for _, x := range []string{"att." + mix + "k", "att." + mix + "v", "att." + mix + "r", "ffn." + mix + "k", "ffn." + mix + "r"} {
			g.add(b+x, 0.5, 1, 1, c)
		}
		g.matrix(b+"ffn.key.weight", s.FFN, c)
		g.matrix(b+"ffn.receptance.weight", c, c)
		g.matrix(b+"ffn.value.weight", c, s.FFN)
	}
	g.norm("ln_out", c)
	g.matrix("head.weight", s.Vocab, c)
	return g.tensors
}

// eagle appends what v5 has in its time mix besides.
func (g *generator) eagle(version, b string, s Size) {
	shape, first := []int{s.Embed / s.Head}, "time_faaaa"
	switch version {
	case "v5.0":
		first = "time_first"
	case "v5.2":
		shape = append(shape, s.Head)
	}
	g.add(b+"time_decay", 1, shape...)
	g.add(b+first, 0.5, shape...)
	g.norm(b+"ln_x", s.Embed)
	if version != "v5.0" {
		g.add(b+"time_mix_g", 0.5, 1, 1, s.Embed)
		g.matrix(b+"gate.weight", s.Embed, s.Embed)
	}
}

// finch appends what v6 has in its time mix besides.
func (g *generator) finch(b string, s Size) {
	c := s.Embed
	for _, x := range []string{"x", "w", "g"} {
		g.add(b+"time_maa_"+x, 0.5, 1, 1, c)
	}
	g.add(b+"time_maa_w1", 0.2, c, 5*s.A)
	g.add(b+"time_maa_w2", 0.2, 5, s.A, c)
	g.add(b+"time_decay", 1, 1, 1, c)
	g.add(b+"time_decay_w1", 0.2, c, s.W)
	g.add(b+"time_decay_w2", 0.2, s.W, c)
	g.add(b+"time_faaaa", 0.5, c/s.Head, s.Head)
	g.add(b+"time_state", 0.5, c/s.Head, s.Head, s.Head)
	g.norm(b+"ln_x", c)
	g.matrix(b+"gate.weight", c, c)
}

// deepEmbed appends what v7a has in its channel mix besides v7.
func (g *generator) deepEmbed(b string, s Size) {
	inner, width := 4*s.V, 8
	g.add(b+"s_emb.weight", 0.3, s.Vocab, inner*width)
	g.add(b+"s_emb_x.weight", 0.02, inner*width, s.Embed)
	g.add(b+"s1", 0.2, s.Embed, inner)
	g.add(b+"s2", 0.3, width, s.FFN)
	g.add(b+"s0", 1, 1, 1, s.FFN)
}
