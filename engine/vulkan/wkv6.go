package vulkan

import (
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
)

// wkv6Op holds the offsets of the op's weights in params.
type wkv6Op struct{ w, u, normW, normB uint32 }

// WKV6 places the weights.
func (p *preparer) WKV6(o *op.WKV6) error {
	if most := min(p.dev.Info().Limits.MaxWorkgroupInvocations, maxHead); o.N > most {
		return gpu.Unsupportedf("vulkan: head size %d: the device runs at most %d invocations together", o.N, most)
	}
	var w wkv6Op
	err := p.load.Vectors([]*uint32{&w.u, &w.normW, &w.normB}, o.U, o.NormW, o.NormB)
	if err == nil && o.W.Kind == op.Weight {
		w.w, err = p.load.Vector(o.W)
	}
	p.ops.wkv6s[o] = w
	return err
}

// WKV6 records the recurrence and, as a dispatch of its own that is parallel over rows too, what follows it.
func (r *recorder) WKV6(o *op.WKV6) error {
	w, stride := r.ops.wkv6s[o], uint32(o.Y.Stride())
	params, state, y := r.params.All(), r.stateOf(o.State), r.scratchOf(o.Y)
	decay, decayStride := params, uint32(0)
	if o.W.Kind == op.Row {
		decay, decayStride = r.scratchOf(o.W), stride
	}
	in := func(x *op.Operand) gpu.Range { return r.scratchOf(x) }
	texel := r.texel(floatTexels(in(o.R)), floatTexels(params), floatTexels(state))

	args := shaders.Wkv6Args{Spans: r.tables.spans, R: in(o.R), W: decay, K: in(o.K), V: in(o.V),
		Params: params, State: state, StateOut: state, Y: y}
	push := shaders.Wkv6Push{Stride: stride / 4, StateStride: uint32(o.State.Stride()), W: w.w / 4, WStride: decayStride / 4, U: w.u / 4}
	if err := r.recur6(o, texel, args, push); err != nil {
		return err
	}

	norm, err := r.kernels.wkv6Norm(texel)
	if err != nil {
		return err
	}
	gate, gated := y, uint32(0)
	if o.G != nil {
		gate, gated = in(o.G), 1
	}
	norm.Dispatch(r.rec, shaders.Wkv6NormArgs{G: gate, O: y, Params: params, Y: y},
		shaders.Wkv6NormPush{N: uint32(o.N), Heads: uint32(o.Heads), Tokens: uint32(r.shape.rows), Stride: stride,
			NormW: w.normW, NormB: w.normB, Eps: o.Eps, Gated: gated},
		groupsOf(r.shape.rows*o.Heads, r.kernels.shape.Local.Subgroups), 1, 1)
	return nil
}

// recur6 records the recurrence.
func (r *recorder) recur6(o *op.WKV6, texel bool, args shaders.Wkv6Args, push shaders.Wkv6Push) error {
	if r.kernels.shape.takesQuads(o.N) {
		return r.quads6(o, args, push)
	}
	k, err := r.kernels.wkv6(o.N, texel)
	if err != nil {
		return err
	}
	k.Dispatch(r.rec, args, push, uint32(o.Heads)*r.kernels.shape.split6(o.N), uint32(r.shape.seqs), 1)
	return nil
}
