package vulkan

import (
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
)

// DeepEmbed uploads the table.
func (p *preparer) DeepEmbed(o *op.DeepEmbed) error {
	pieces, err := p.load.Table(o.Table)
	p.ops.deepEmbeds[o] = pieces
	return err
}

// DeepEmbed records one dispatch for each piece of the table.
func (r *recorder) DeepEmbed(o *op.DeepEmbed) error {
	h := r.scratchOf(o.H)
	columns4 := o.Y.Width / 4
	for _, piece := range r.ops.deepEmbeds[o] {
		k, err := r.kernels.deepEmbed(o.Table.Source.Type, r.texel(texels(piece.Range, tableTexel(o.Table)), floatTexels(h)))
		if err != nil {
			return err
		}
		k.Dispatch(r.rec, shaders.DeepEmbedArgs{Tokens: r.tables.tokens, Table: piece.Range, H: h, Y: r.scratchOf(o.Y)},
			shaders.DeepEmbedPush{Rows: uint32(r.shape.rows), Inner: uint32(o.H.Width), Columns4: uint32(columns4),
				Width4: uint32(op.Stride(o.Table.Shape[1]) / 4), First: uint32(piece.First), Count: uint32(piece.Count),
				HStride: uint32(o.H.Stride()), YStride: uint32(o.Y.Stride())},
			groupsOf(r.shape.rows*columns4, r.kernels.shape.Local.Plain), 1, 1)
	}
	return nil
}
