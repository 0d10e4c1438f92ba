package model

import (
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// version7 is RWKV-7 "Goose" (x070), after BlinkDL's rwkv_v7_numpy.py.
var version7 = &version{
	name: "v7", stateLayout: valueMajor,
	has: []string{"blocks.0.att.r_k", "blocks.0.att.w0"},
	tensors: slices.Concat(
		layer("H N", "att.r_k"),
		layer("1 1 C", "att.x_r", "att.x_w", "att.x_k", "att.x_v", "att.x_a", "att.x_g"),
		layer("1 1 C", "att.w0", "att.a0", "att.k_k", "att.k_a"),
		layer("C Rw", "att.w1"), layer("Rw C", "att.w2"),
		layer("C Ra", "att.a1"), layer("Ra C", "att.a2"),
		layer("C Rg", "att.g1"), layer("Rg C", "att.g2"),
		layerFrom(1, "1 1 C", "att.v0"), layerFrom(1, "C Rv", "att.v1"), layerFrom(1, "Rv C", "att.v2"),
		products("C C", "att.receptance.weight", "att.key.weight", "att.value.weight", "att.output.weight"),
		layer("C", "att.ln_x.weight", "att.ln_x.bias"), []spec{timeState},
		layer("1 1 C", "ffn.x_k"),
		products("F C", "ffn.key.weight"), products("C F", "ffn.value.weight"),
	),
	idle:       idle7,
	derive:     derive7,
	timeMix:    timeMix7,
	channelMix: channelMix7,
	llama: &Llama{LlamaLayout: weights.LlamaRWKV7, Ranks: []LlamaRank{
		{Key: "attention.decay_lora_rank", Rank: "w"}, {Key: "attention.iclr_lora_rank", Rank: "a"},
		{Key: "attention.value_residual_mix_lora_rank", Rank: "v", Or: "a"}, // a model of one layer has a's stand-ins
		{Key: "attention.gate_lora_rank", Rank: "g"},
	}},
}

// idle7 are tensors of a value residual of layer 0, which does not use one.
var idle7 = []string{"blocks.0.att.v0", "blocks.0.att.v1", "blocks.0.att.v2"}

func derive7(c *Config, d dims) *weights.Error {
	c.Ranks = map[string]int{"w": d["Rw"], "a": d["Ra"], "g": d["Rg"]}
	if r, ok := d["Rv"]; ok { // a model of one layer has none
		c.Ranks["v"] = r
	}
	return deriveHeads(c, d, "blocks.0.att.r_k")
}

func timeMix7(b *block) {
	c := b.cfg.Embed
	mix := b.shiftMix("att", "ln1", b.ws("att.x_r", "att.x_w", "att.x_k", "att.x_v", "att.x_a", "att.x_g"))
	xr, xw, xk, xv, xa, xg := mix.Mixed(0), mix.Mixed(1), mix.Mixed(2), mix.Mixed(3), mix.Mixed(4), mix.Mixed(5)
	r, k, v := b.row("att.r", c), b.row("att.k", c), b.row("att.v", c)
	w, a, g := b.row("att.w", c), b.row("att.a", c), b.row("att.g", c)

	down := []op.Part{
		{W: b.w("att.receptance.weight"), X: xr, Y: r.All()},
		{W: b.w("att.key.weight"), X: xk, Y: k.All()},
		{W: b.w("att.value.weight"), X: xv, Y: v.All()},
	}
	var up []op.Part
	lowRank := func(letter string, x op.View, act op.Act, last op.Part) {
		low := b.row("att.low_"+letter, b.cfg.Ranks[letter])
		down = append(down, op.Part{W: b.wT("att." + letter + "1"), X: x, Act: act, Y: low.All()})
		last.W, last.X = b.wT("att."+letter+"2"), low.All()
		up = append(up, last)
	}
	lowRank("w", xw, op.Tanh, op.Part{Bias: b.w("att.w0"), Act: op.Decay, Y: w.All()})
	lowRank("a", xa, op.Identity, op.Part{Bias: b.w("att.a0"), Act: op.Sigmoid, Y: a.All()})
	lowRank("g", xg, op.Sigmoid, op.Part{Y: g.All()})
	if b.layer == 0 {
		b.vFirst = v.All()
	} else {
		lowRank("v", xv, op.Identity, op.Part{Bias: b.w("att.v0"), Act: op.Sigmoid,
			Combine: op.Lerp, From: v.All(), To: b.vFirst, Y: v.All()})
	}
	b.emit("att.project", &op.MatMul{Parts: down})
	b.emit("att.lora", &op.MatMul{Parts: up})

	y := b.row("att.y", c)
	b.emit("att.wkv", &op.WKV7{
		R: r, W: w, K: k, V: v, A: a, G: g,
		KK: b.w("att.k_k"), KA: b.w("att.k_a"), RK: b.w("att.r_k"),
		NormW: b.w("att.ln_x.weight"), NormB: b.w("att.ln_x.bias"), Eps: b.cfg.GroupNormEps,
		Heads: b.cfg.Heads, N: b.cfg.HeadSize,
		State: b.tuned(b.state("att_kv", []int{b.cfg.Heads, b.cfg.HeadSize, b.cfg.HeadSize}, 0)), Y: y,
	})
	b.emit("att.output", &op.MatMul{Parts: []op.Part{b.residual("att.output.weight", y)}})
}

func channelMix7(b *block) {
	b.emit("ffn.value", &op.MatMul{Parts: []op.Part{b.reluMix()}})
}

// reluMix emits the channel mix up to its last product, which it returns.
func (b *block) reluMix() op.Part {
	mix := b.shiftMix("ffn", "ln2", b.ws("ffn.x_k"))
	k := b.row("ffn.k", b.cfg.FFN)
	b.emit("ffn.key", &op.MatMul{Parts: []op.Part{{W: b.w("ffn.key.weight"), X: mix.Mixed(0), Act: op.ReLU2, Y: k.All()}}})
	return b.residual("ffn.value.weight", k)
}
