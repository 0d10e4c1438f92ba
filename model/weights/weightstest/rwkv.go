package weightstest

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// made is how the models of a version are made up, and what else this package knows of it.
type made struct {
	version string
	tensors func(s Size, typ tensor.Type, seed uint64) []*tensor.Tensor
	formats []format // of those that have names of their own
}

// versions lists those that RWKV makes models of.
var versions = []made{
	{"v4", older("time_mix_", pile), transformers},
	{"v5.0", older("time_mix_", eagle("time_first", false, false)), transformers},
	{"v5.1", older("time_mix_", eagle("time_faaaa", false, true)), transformers},
	{"v5.2", older("time_mix_", eagle("time_faaaa", true, true)), transformers},
	{"v6", older("time_maa_", finch), transformers},
	{"v7", RWKV7, sevens},
	{"v7a", with7((*generator).deepEmbed), nil},
	{"v8-rc00", with7((*generator).rows), nil},
}

// Versions are those that RWKV makes models of.
var Versions = func() (names []string) {
	for _, v := range versions {
		names = append(names, v.version)
	}
	return names
}()

// of returns what is known of a version; it panics for one that is not among Versions.
func of(version string) *made {
	i := slices.IndexFunc(versions, func(v made) bool { return v.version == version })
	if i < 0 {
		panic("weightstest: no models of version " + version)
	}
	return &versions[i]
}

// RWKV returns the tensors of a model of one of Versions, as RWKV7 does. v6 uses only two ranks: W for the decay and A
// for the token shift. v7a multiplies with matrices of 4 * V rows and 8 columns. A v6 model has an initial state.
func RWKV(version string, s Size, typ tensor.Type, seed uint64) []*tensor.Tensor {
	return of(version).tensors(s, typ, seed)
}

// older makes models of the versions before 7: their mixes are called by that name, and timeMix appends what else is in
// the time mix named b.
func older(mix string, timeMix func(g *generator, b string, s Size)) func(Size, tensor.Type, uint64) []*tensor.Tensor {
	return func(s Size, typ tensor.Type, seed uint64) []*tensor.Tensor {
		g := generator{typ: typ, rng: rand.New(rand.NewPCG(seed, 7))}
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
			timeMix(&g, b+"att.", s)
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
}

// with7 makes models of the versions that are RWKV-7 with more in the channel mix named b, which channelMix appends.
func with7(channelMix func(g *generator, b string, s Size)) func(Size, tensor.Type, uint64) []*tensor.Tensor {
	return func(s Size, typ tensor.Type, seed uint64) []*tensor.Tensor {
		g := generator{typ: typ, rng: rand.New(rand.NewPCG(seed, 7)), tensors: RWKV7(s, typ, seed)}
		for i := range s.Layers {
			channelMix(&g, fmt.Sprintf("blocks.%d.ffn.", i), s)
		}
		return g.tensors
	}
}

// pile appends what v4 has in its time mix besides.
func pile(g *generator, b string, s Size) {
	g.add(b+"time_decay", 1, s.Embed)
	g.add(b+"time_first", 1, s.Embed)
}

// eagle returns what appends what v5 has in its time mix besides: a bonus of that name, decay and bonus of each channel
// or of each head, and a gate from 5.1 on.
func eagle(first string, perChannel, gated bool) func(g *generator, b string, s Size) {
	return func(g *generator, b string, s Size) {
		shape := []int{s.Embed / s.Head}
		if perChannel {
			shape = append(shape, s.Head)
		}
		g.add(b+"time_decay", 1, shape...)
		g.add(b+first, 0.5, shape...)
		g.norm(b+"ln_x", s.Embed)
		if gated {
			g.add(b+"time_mix_g", 0.5, 1, 1, s.Embed)
			g.matrix(b+"gate.weight", s.Embed, s.Embed)
		}
	}
}

// finch appends what v6 has in its time mix besides.
func finch(g *generator, b string, s Size) {
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

// rows appends what v8 rc00 has in its channel mix besides v7: a row for each token.
func (g *generator) rows(b string, s Size) { g.add(b+"enn.weight", 1, s.Vocab, s.Embed) }
