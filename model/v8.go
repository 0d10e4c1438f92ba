package model

import (
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// version8 is RWKV-8 "Heron", release candidate 00: RWKV-7 whose channel mix is multiplied by a row of the token's own,
// after BlinkDL's RWKV-LM, rwkv_v8_rc00_demo.py.
var version8 = &version{
	name: "v8-rc00", stateLayout: valueMajor,
	has:        []string{"blocks.0.ffn.enn.weight"},
	tensors:    slices.Concat(version7.tensors, layer("V C", "ffn.enn.weight")),
	idle:       idle7,
	derive:     derive7,
	timeMix:    timeMix7,
	channelMix: channelMix8,
}

func channelMix8(b *block) {
	scale := b.row("ffn.enn", b.cfg.Embed)
	b.emit("ffn.enn", &op.Embed{Table: b.w("ffn.enn.weight"), Y: scale})
	value := b.reluMix()
	value.Combine, value.To = op.Gate, scale.All()
	b.emit("ffn.value", &op.MatMul{Parts: []op.Part{value}})
}
