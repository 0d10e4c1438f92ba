package model

import (
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// madeUp is a version that nobody trains: RWKV-7 whose channel mix has a second token shift. It is all that a new
// version needs, as a file beside v7.go and a line in versions would have it.
var madeUp = &version{
	name: "made-up", stateLayout: valueMajor,
	has:        []string{"blocks.0.ffn.x_v"},
	tensors:    slices.Concat(version7.tensors, layer("1 1 C", "ffn.x_v")),
	idle:       idle7,
	derive:     derive7,
	timeMix:    timeMix7,
	channelMix: madeUpMix,
}

func madeUpMix(b *block) {
	mix := b.shiftMix("ffn", "ln2", b.ws("ffn.x_k", "ffn.x_v"))
	k, v := b.row("ffn.k", b.cfg.FFN), b.row("ffn.v", b.cfg.FFN)
	b.emit("ffn.key", &op.MatMul{Parts: []op.Part{
		{W: b.w("ffn.key.weight"), X: mix.Mixed(0), Act: op.ReLU2, Y: k.All()},
		{W: b.w("ffn.key.weight"), X: mix.Mixed(1), Act: op.Sigmoid, Y: v.All()},
	}})
	b.emit("ffn.value", &op.MatMul{Parts: []op.Part{b.residual("ffn.value.weight", k)}})
	b.emit("ffn.gate", &op.MatMul{Parts: []op.Part{b.residual("ffn.value.weight", v)}})
}

// UseMadeUp has New accept models of the version made-up while the test runs.
func UseMadeUp(t *testing.T) {
	before := versions
	versions = slices.Insert(slices.Clone(versions), 0, madeUp)
	t.Cleanup(func() { versions = before })
}
