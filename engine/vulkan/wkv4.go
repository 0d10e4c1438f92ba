package vulkan

import (
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
)

// wkv4Op holds the offsets of the op's weights in params.
type wkv4Op struct{ w, u uint32 }

// WKV4 places the weights.
func (p *preparer) WKV4(o *op.WKV4) error {
	var w wkv4Op
	err := p.load.Vectors([]*uint32{&w.w, &w.u}, o.W, o.U)
	p.ops.wkv4s[o] = w
	return err
}

// WKV4 records one invocation for each channel of each sequence.
func (r *recorder) WKV4(o *op.WKV4) error {
	w := r.ops.wkv4s[o]
	args := shaders.Wkv4Args{Spans: r.tables.spans, R: r.scratchOf(o.R), K: r.scratchOf(o.K), V: r.scratchOf(o.V),
		Params: r.params.All(), Aa: r.stateOf(o.AA), Bb: r.stateOf(o.BB), Pp: r.stateOf(o.PP), Y: r.scratchOf(o.Y)}
	k, err := r.kernels.wkv4(r.texel(floatTexels(args.R), floatTexels(args.Params)))
	if err != nil {
		return err
	}
	k.Dispatch(r.rec, args,
		shaders.Wkv4Push{Width: uint32(o.Y.Width), Stride: uint32(o.Y.Stride()), W: w.w, U: w.u},
		groupsOf(o.Y.Width, r.kernels.shape.Local.Plain), uint32(r.shape.seqs), 1)
	return nil
}
