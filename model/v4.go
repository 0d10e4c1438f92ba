package model

import (
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// version4 is RWKV-4 (Pile, Raven, World), after BlinkDL's ChatRWKV, model.py.
var version4 = &version{
	name: "v4", stateLayout: vectors,
	has: []string{"blocks.0.att.time_decay"},
	tensors: slices.Concat(
		layer("C", "att.time_decay", "att.time_first"),
		layer("1 1 C", "att.time_mix_k", "att.time_mix_v", "att.time_mix_r"),
		products("C C", "att.receptance.weight", "att.key.weight", "att.value.weight", "att.output.weight"),
		channelMixTensors("time_mix"),
	),
	derive:     func(*Config, dims) *weights.Error { return nil },
	timeMix:    timeMix4,
	channelMix: channelMix4,
}

// channelMixTensors returns the tensors of the channel mix of RWKV-4, 5 and 6. The names of its coefficients begin with
// mix.
func channelMixTensors(mix string) []spec {
	return slices.Concat(layer("1 1 C", "ffn."+mix+"_k", "ffn."+mix+"_r"), products("F C", "ffn.key.weight"),
		products("C C", "ffn.receptance.weight"), products("C F", "ffn.value.weight"))
}

// kept returns the coefficients of the previous token. RWKV-4 and 5 store those of the current token.
func (b *block) kept(names ...string) []*op.Operand {
	list := make([]*op.Operand, len(names))
	for i, name := range names {
		list[i] = b.weightOf(mapped(b.t(name), oneMinus))
	}
	return list
}

func timeMix4(b *block) {
	c := b.cfg.Embed
	mix := b.shiftMix("att", "ln1", b.kept("att.time_mix_k", "att.time_mix_v", "att.time_mix_r"))
	k, v, r := b.row("att.k", c), b.row("att.v", c), b.row("att.r", c)
	b.emit("att.project", &op.MatMul{Parts: []op.Part{
		{W: b.w("att.key.weight"), X: mix.Mixed(0), Y: k.All()},
		{W: b.w("att.value.weight"), X: mix.Mixed(1), Y: v.All()},
		{W: b.w("att.receptance.weight"), X: mix.Mixed(2), Act: op.Sigmoid, Y: r.All()},
	}})
	y, shape := b.row("att.y", c), []int{c}
	b.emit("att.wkv", &op.WKV4{R: r, K: k, V: v, W: b.weightOf(b.mapped("att.time_decay", weights.NegExp)), U: b.w("att.time_first"),
		AA: b.state("att_aa", shape, 0), BB: b.state("att_bb", shape, 0), PP: b.state("att_pp", shape, op.MinExponent), Y: y})
	b.emit("att.output", &op.MatMul{Parts: []op.Part{b.residual("att.output.weight", y)}})
}

func channelMix4(b *block) { b.gatedMix(b.kept("ffn.time_mix_k", "ffn.time_mix_r")) }

// gatedMix emits the channel mix of RWKV-4, 5 and 6, with the coefficients of the previous token for key and
// receptance.
func (b *block) gatedMix(coefficients []*op.Operand) {
	mix := b.shiftMix("ffn", "ln2", coefficients)
	k, r := b.row("ffn.k", b.cfg.FFN), b.row("ffn.r", b.cfg.Embed)
	b.emit("ffn.key", &op.MatMul{Parts: []op.Part{
		{W: b.w("ffn.key.weight"), X: mix.Mixed(0), Act: op.ReLU2, Y: k.All()},
		{W: b.w("ffn.receptance.weight"), X: mix.Mixed(1), Act: op.Sigmoid, Y: r.All()},
	}})
	value := b.residual("ffn.value.weight", k)
	value.Combine, value.To = op.Gate, r.All()
	b.emit("ffn.value", &op.MatMul{Parts: []op.Part{value}})
}
