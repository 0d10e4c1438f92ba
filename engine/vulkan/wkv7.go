package vulkan

import (
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
)

// wkv7Op holds the offsets of the op's weights in params.
type wkv7Op struct{ kk, ka, rk, normW, normB uint32 }

// maxHead is the largest head that wkv6.comp and wkv7.comp give a workgroup.
const maxHead = 256

// WKV7 places the weights.
func (p *preparer) WKV7(o *op.WKV7) error {
	if most := min(p.dev.Info().Limits.MaxWorkgroupInvocations, maxHead); o.N > most {
		return gpu.Unsupportedf("vulkan: head size %d: the device runs at most %d invocations together", o.N, most)
	}
	var w wkv7Op
	err := p.load.Vectors([]*uint32{&w.kk, &w.ka, &w.rk, &w.normW, &w.normB}, o.KK, o.KA, o.RK, o.NormW, o.NormB)
	p.ops.wkv7s[o] = w
	return err
}

// WKV7 records the recurrence and, as a dispatch of its own that is parallel over rows too, what follows it; for one token
// of each sequence, one dispatch of all.
func (r *recorder) WKV7(o *op.WKV7) error {
	w, heads, n, stride := r.ops.wkv7s[o], uint32(o.Heads), uint32(o.N), uint32(o.Y.Stride())
	in := func(x *op.Operand) gpu.Range { return r.scratchOf(x) }
	params, state, y := r.params.All(), r.stateOf(o.State), r.scratchOf(o.Y)
	texel := r.texel(floatTexels(in(o.R)), floatTexels(params), texels(state, 16))

	if r.kernels.shape.takesStep(o.N) && r.shape.rows == r.shape.seqs && !r.exact {
		return r.step7(o, texel)
	}

	args := shaders.Wkv7Args{Spans: r.tables.spans, R: in(o.R), W: in(o.W), K: in(o.K), V: in(o.V), A: in(o.A),
		Params: params, State: state, StateOut: state, Y: y}
	push := shaders.Wkv7Push{Stride: stride / 4, StateStride: uint32(o.State.Stride() / 4), Kk: w.kk / 4, Ka: w.ka / 4}
	if err := r.recur7(o, texel, args, push); err != nil {
		return err
	}

	norm, err := r.kernels.wkv7Norm(texel)
	if err != nil {
		return err
	}
	units := r.shape.rows * o.Heads
	norm.Dispatch(r.rec, shaders.Wkv7NormArgs{R: in(o.R), K: in(o.K), V: in(o.V), A: in(o.A), G: in(o.G), O: y, Params: params, Y: y},
		shaders.Wkv7NormPush{N: n, Heads: heads, Tokens: uint32(r.shape.rows), Stride: stride, Ka: w.ka, Rk: w.rk,
			NormW: w.normW, NormB: w.normB, Eps: o.Eps},
		groupsOf(units, r.kernels.shape.Local.Subgroups), 1, 1)
	return nil
}

// step7 records the op for one token of each sequence.
func (r *recorder) step7(o *op.WKV7, texel bool) error {
	k, err := r.kernels.wkv7Step(o.N, texel)
	if err != nil {
		return err
	}
	w, in, state := r.ops.wkv7s[o], func(x *op.Operand) gpu.Range { return r.scratchOf(x) }, r.stateOf(o.State)
	k.Dispatch(r.rec, shaders.Wkv7StepArgs{Spans: r.tables.spans, R: in(o.R), W: in(o.W), K: in(o.K), V: in(o.V), A: in(o.A),
		G: in(o.G), Params: r.params.All(), State: state, StateOut: state, Y: in(o.Y)},
		shaders.Wkv7StepPush{Stride: uint32(o.Y.Stride() / 4), StateStride: uint32(o.State.Stride() / 4),
			Kk: w.kk / 4, Ka: w.ka / 4, Rk: w.rk / 4, NormW: w.normW / 4, NormB: w.normB / 4, Eps: o.Eps},
		uint32(o.Heads), uint32(r.shape.seqs), 1)
	return nil
}

// recur7 records the recurrence in the form for the pass.
func (r *recorder) recur7(o *op.WKV7, texel bool, args shaders.Wkv7Args, push shaders.Wkv7Push) error {
	f, err := r.recurrence(o)
	if err != nil {
		return err
	}
	return r.recurBy(f, o, texel, args, push)
}

func (r *recorder) recurBy(f Recurrence, o *op.WKV7, texel bool, args shaders.Wkv7Args, push shaders.Wkv7Push) error {
	if f == Chunked {
		return r.chunked7(o, texel, args, push)
	}
	heads, seqs := uint32(o.Heads), uint32(r.shape.seqs)
	if r.kernels.shape.takesQuads(o.N) {
		return r.quads7(o, args, push)
	}
	if s := &r.kernels.shape; s.Shared {
		k, err := r.kernels.wkv7Shared(o.N, texel)
		if err != nil {
			return err
		}
		parts := uint32(o.N) / s.sharedRows(uint32(o.N))
		k.Dispatch(r.rec, shaders.Wkv7SharedArgs(args), shaders.Wkv7SharedPush(push), heads*parts, seqs, 1)
		return nil
	}
	k, err := r.kernels.wkv7(o.N, texel)
	if err != nil {
		return err
	}
	k.Dispatch(r.rec, args, push, heads*split7(o.N), seqs, 1)
	return nil
}
