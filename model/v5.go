package model

import (
	"fmt"
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// RWKV-5 "Eagle" in its three forms, after BlinkDL's ChatRWKV, model.py: 5.0 has one decay and bonus for each head and
// no gate, 5.1 has a gate, 5.2 a decay and bonus for each channel.
var (
	version52 = version5("v5.2", "blocks.0.att.gate.weight", "H N", decayPerChannel)
	version51 = version5("v5.1", "blocks.0.att.gate.weight", "H", nil)
	version50 = version5("v5.0", "blocks.0.att.ln_x.weight", "H", nil)
)

func version5(name, has, decay string, is func(*weights.File) bool) *version {
	v := &version{
		name: name, has: []string{has}, is: is, stateLayout: keyMajor, ownEps: true,
		tensors: slices.Concat(
			layer(decay, "att.time_decay"),
			[]spec{{name: "att.time_faaaa", or: "att.time_first", shape: decay, layer: true}},
			layer("1 1 C", "att.time_mix_k", "att.time_mix_v", "att.time_mix_r"),
			products("C C", "att.receptance.weight", "att.key.weight", "att.value.weight", "att.output.weight"),
			headTensors, channelMixTensors("time_mix"),
		),
		derive: derive5, timeMix: timeMix5, channelMix: channelMix4,
	}
	if has == "blocks.0.att.gate.weight" {
		v.tensors = slices.Concat(v.tensors, layer("1 1 C", "att.time_mix_g"), products("C C", "att.gate.weight"))
	}
	return v
}

// headTensors are the tensors of what follows the recurrence in RWKV-5 and 6, and of an initial state.
var headTensors = append(layer("C", "att.ln_x.weight", "att.ln_x.bias"),
	timeState)

// decayPerChannel reports whether the decay has more than one number for each head.
func decayPerChannel(f *weights.File) bool {
	t, ok := f.Tensors["blocks.0.att.time_decay"]
	return ok && len(t.Shape) > 1 && t.Len() > t.Shape[0]
}

func derive5(c *Config, d dims) *weights.Error {
	if _, ok := d["N"]; !ok && c.Embed%d["H"] == 0 {
		d["N"] = c.Embed / d["H"]
	}
	return deriveHeads(c, d, "blocks.0.att.time_decay")
}

// deriveHeads sets the heads of RWKV-5, 6 and 7 by the size of a tensor.
func deriveHeads(c *Config, d dims, name string) *weights.Error {
	c.Heads, c.HeadSize, c.GroupNormEps = d["H"], d["N"], OriginalGroupNormEps
	fail := func(want, got string) *weights.Error {
		return &weights.Error{Tensor: name, Field: "shape", Want: want, Got: got}
	}
	switch {
	case c.HeadSize == 0:
		return fail(fmt.Sprintf("heads that divide the width of %d", c.Embed), fmt.Sprint(c.Heads))
	case c.Heads*c.HeadSize != c.Embed:
		return fail(fmt.Sprintf("heads * head size = %d", c.Embed), fmt.Sprintf("%d * %d", c.Heads, c.HeadSize))
	case c.HeadSize%4 != 0:
		return fail("a head size that is a multiple of 4", fmt.Sprint(c.HeadSize))
	}
	return nil
}

func timeMix5(b *block) {
	c := b.cfg.Embed
	names := []string{"att.time_mix_k", "att.time_mix_v", "att.time_mix_r"}
	gated := b.t("att.gate.weight") != nil
	if gated {
		names = append(names, "att.time_mix_g")
	}
	mix := b.shiftMix("att", "ln1", b.kept(names...))
	k, v, r := b.row("att.k", c), b.row("att.v", c), b.row("att.r", c)
	parts := []op.Part{
		{W: b.w("att.key.weight"), X: mix.Mixed(0), Y: k.All()},
		{W: b.w("att.value.weight"), X: mix.Mixed(1), Y: v.All()},
		{W: b.w("att.receptance.weight"), X: mix.Mixed(2), Y: r.All()},
	}
	o := &op.WKV6{R: r, K: k, V: v, U: b.weightOf(b.bonus()),
		W: b.weightOf(perChannel(b.mapped("att.time_decay", weights.ExpNegExp), c))}
	if gated {
		o.G = b.row("att.g", c)
		parts = append(parts, op.Part{W: b.w("att.gate.weight"), X: mix.Mixed(3), Act: op.SiLU, Y: o.G.All()})
	}
	b.emit("att.project", &op.MatMul{Parts: parts})
	b.wkv6(o)
}

// bonus returns RWKV-5's bonus of the current token for each channel. Under one of its two names the file stores the
// bonus's exponent, under the other the bonus.
func (b *block) bonus() *tensor.Tensor {
	t := b.t("att.time_faaaa")
	if t == nil {
		t = b.mapped("att.time_first", weights.Exp)
	}
	return perChannel(t, b.cfg.Embed)
}

// wkv6 completes and emits the recurrence of RWKV-5 and 6, and the output product.
func (b *block) wkv6(o *op.WKV6) {
	h, n := b.cfg.Heads, b.cfg.HeadSize
	o.Heads, o.N, o.Eps = h, n, b.cfg.GroupNormEps
	o.NormW, o.NormB = b.w("att.ln_x.weight"), b.w("att.ln_x.bias")
	o.State = b.tuned(b.state("att_kv", []int{h, n, n}, 0))
	o.Y = b.row("att.y", b.cfg.Embed)
	b.emit("att.wkv", o)
	b.emit("att.output", &op.MatMul{Parts: []op.Part{b.residual("att.output.weight", o.Y)}})
}
