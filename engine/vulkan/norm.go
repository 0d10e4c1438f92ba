package vulkan

import (
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/layout"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
)

// normOp holds the offsets of a norm's weights in params.
type normOp struct{ w, b uint32 }

type embedOp struct {
	norm   normOp
	pieces []layout.Rows
}

// Embed uploads the table, in as many pieces as the device's binding limit asks for.
func (p *preparer) Embed(o *op.Embed) error {
	e := &embedOp{}
	var err error
	if o.Normed() {
		err = p.load.Vectors([]*uint32{&e.norm.w, &e.norm.b}, o.NormW, o.NormB)
	}
	if err != nil {
		return err
	}
	e.pieces, err = p.load.Table(o.Table)
	p.ops.embeds[o] = e
	return err
}

// Embed records one dispatch for each piece of the table.
func (r *recorder) Embed(o *op.Embed) error {
	e := r.ops.embeds[o]
	params, plain := r.tables.tokens, uint32(1) // without a norm, nothing is read there
	if o.Normed() {
		params, plain = r.params.All(), 0
	}
	for _, piece := range e.pieces {
		k, err := r.kernels.embed(o.Table.Source.Type, r.texel(texels(piece.Range, 16), floatTexels(params)))
		if err != nil {
			return err
		}
		k.Dispatch(r.rec, shaders.EmbedArgs{Tokens: r.tables.tokens, W: piece.Range, Params: params, Y: r.scratchOf(o.Y)},
			shaders.EmbedPush{Width: uint32(o.Y.Width), Units: uint32(layout.Words(o.Table)), First: uint32(piece.First),
				Count: uint32(piece.Count), NormW: e.norm.w, NormB: e.norm.b, Eps: o.Eps, Plain: plain},
			uint32(r.shape.rows), 1, 1)
	}
	return nil
}

// LayerNorm places the norm's weights.
func (p *preparer) LayerNorm(o *op.LayerNorm) error {
	var n normOp
	if err := p.load.Vectors([]*uint32{&n.w, &n.b}, o.NormW, o.NormB); err != nil {
		return err
	}
	p.ops.layerNorms[o] = n
	return nil
}

// LayerNorm records the norm of the wanted rows.
func (r *recorder) LayerNorm(o *op.LayerNorm) error {
	if r.shape.outs == 0 {
		return nil
	}
	args := shaders.LayerNormArgs{Outs: r.tables.outs, X: r.scratchOf(o.X), Params: r.params.All(), Y: r.scratchOf(o.Y)}
	k, err := r.kernels.layerNorm(r.texel(floatTexels(args.X), floatTexels(args.Params)))
	if err != nil {
		return err
	}
	n := r.ops.layerNorms[o]
	k.Dispatch(r.rec, args,
		shaders.LayerNormPush{Width: uint32(o.X.Width), NormW: n.w, NormB: n.b, Eps: o.Eps}, uint32(r.shape.outs), 1, 1)
	return nil
}

// tableTexel returns the bytes of 4 elements of the table, which a texel holds.
func tableTexel(w *op.Operand) int { return w.Source.Type.Bytes(4) }
