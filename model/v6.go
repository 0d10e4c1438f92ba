package model

import (
	"fmt"
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// version6 is RWKV-6 "Finch" (x060), after BlinkDL's ChatRWKV, model.py.
var version6 = &version{
	name: "v6", stateLayout: keyMajor,
	has: []string{"blocks.0.att.time_maa_x"},
	tensors: slices.Concat(
		layer("H N", "att.time_faaaa"),
		layer("1 1 C", "att.time_maa_x", "att.time_maa_w", "att.time_maa_k", "att.time_maa_v", "att.time_maa_r", "att.time_maa_g"),
		layer("5 R C", "att.time_maa_w2"), layer("C 5R", "att.time_maa_w1"),
		layer("1 1 C", "att.time_decay"), layer("C Rd", "att.time_decay_w1"), layer("Rd C", "att.time_decay_w2"),
		products("C C", "att.receptance.weight", "att.key.weight", "att.value.weight", "att.gate.weight", "att.output.weight"),
		headTensors, channelMixTensors("time_maa"),
	),
	derive:     derive6,
	timeMix:    timeMix6,
	channelMix: channelMix6,
	llama: &Llama{LlamaLayout: weights.LlamaRWKV6, Divided: true,
		Ranks: []LlamaRank{{Key: "time_mix_extra_dim", Rank: "mix"}, {Key: "time_decay_extra_dim", Rank: "decay"}}},
}

func derive6(c *Config, d dims) *weights.Error {
	c.Ranks = map[string]int{"mix": d["R"], "decay": d["Rd"]}
	if r := d["R"]; d["5R"] != 5*r {
		return &weights.Error{Tensor: "blocks.0.att.time_maa_w1", Field: "shape",
			Want: fmt.Sprintf("[%d %d], 5 times the rank of time_maa_w2", c.Embed, 5*r), Got: fmt.Sprintf("[%d %d]", c.Embed, d["5R"])}
	}
	return deriveHeads(c, d, "blocks.0.att.time_faaaa")
}

func timeMix6(b *block) {
	c := b.cfg.Embed
	mixed := b.dataMix()
	r, k, v := b.row("att.r", c), b.row("att.k", c), b.row("att.v", c)
	w, g, low := b.row("att.w", c), b.row("att.g", c), b.row("att.low_w", b.cfg.Ranks["decay"])
	b.emit("att.project", &op.MatMul{Parts: []op.Part{
		{W: b.w("att.receptance.weight"), X: mixed["r"], Y: r.All()},
		{W: b.w("att.key.weight"), X: mixed["k"], Y: k.All()},
		{W: b.w("att.value.weight"), X: mixed["v"], Y: v.All()},
		{W: b.w("att.gate.weight"), X: mixed["g"], Act: op.SiLU, Y: g.All()},
		{W: b.wT("att.time_decay_w1"), X: mixed["w"], Act: op.Tanh, Y: low.All()},
	}})
	b.emit("att.decay", &op.MatMul{Parts: []op.Part{
		{W: b.wT("att.time_decay_w2"), X: low.All(), Bias: b.w("att.time_decay"), Act: op.ExpDecay, Y: w.All()}}})
	b.wkv6(&op.WKV6{R: r, K: k, V: v, W: w, G: g, U: b.w("att.time_faaaa")})
}

// dataMix emits RWKV-6's token shift, whose coefficients depend on the tokens, and returns its results by their letter.
func (b *block) dataMix() map[string]op.View {
	c, rank := b.cfg.Embed, b.cfg.Ranks["mix"]
	shift := b.shiftMix("att", "ln1", []*op.Operand{b.w("att.time_maa_x"), b.constant(0), b.constant(1)})
	x, now, prev := shift.Mixed(0), shift.Mixed(1), shift.Mixed(2)
	w1, w2 := op.Finite(b.t("att.time_maa_w1")).Transposed().Reshaped(5, rank, c), op.Finite(b.t("att.time_maa_w2")).Transposed()
	mixed := make(map[string]op.View)
	var down, up []op.Part
	for i, letter := range []string{"w", "k", "v", "r", "g"} {
		low, y := b.row("att.low_mix_"+letter, rank), b.row("att.x"+letter, c)
		down = append(down, op.Part{W: b.weightOf(part(w1, i)), X: x, Act: op.Tanh, Y: low.All()})
		up = append(up, op.Part{W: b.weightOf(part(w2, i)), X: low.All(), Bias: b.w("att.time_maa_" + letter),
			Combine: op.Lerp, From: now, To: prev, Y: y.All()})
		mixed[letter] = y.All()
	}
	b.emit("att.mix_down", &op.MatMul{Parts: down})
	b.emit("att.mix_up", &op.MatMul{Parts: up})
	return mixed
}

func channelMix6(b *block) { b.gatedMix(b.ws("ffn.time_maa_k", "ffn.time_maa_r")) }
