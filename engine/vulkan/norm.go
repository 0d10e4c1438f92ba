package vulkan

import (
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
)

// normOp holds the offsets of a norm's weights in params.
type normOp struct{ w, b uint32 }

type embedOp struct {
	norm   normOp
	pieces []piece
}

// piece is a run of rows of an embedding table that one binding can hold.
type piece struct {
	table        gpu.Range
	first, count int
}

// Embed uploads the table, in as many pieces as the device's binding limit asks for.
func (p *preparer) Embed(o *op.Embed) error {
	e := &embedOp{}
	var err error
	if o.Normed() {
		err = p.vectors([]*uint32{&e.norm.w, &e.norm.b}, o.NormW, o.NormB)
	}
	if err != nil {
		return err
	}
	e.pieces, err = p.table(o.Table)
	p.ops.embeds[o] = e
	return err
}

// table uploads the rows of a table.
func (p *preparer) table(w *op.Operand) ([]piece, error) {
	m, err := p.matrix(w)
	if err != nil {
		return nil, err
	}
	most, err := p.rowsWithin(w, m.to, p.pieceBytes())
	if err != nil {
		return nil, err
	}
	var pieces []piece
	for first := 0; first < m.rows; first += most {
		n := min(most, m.rows-first)
		b, err := p.buffer(w.Name, n*m.to, gpu.DeviceLocal)
		if err != nil {
			return nil, err
		}
		p.weights = append(p.weights, b)
		if err := m.upload(b, 0, first, n); err != nil {
			return nil, err
		}
		pieces = append(pieces, piece{b.All(), first, n})
	}
	return pieces, nil
}

// Embed records one dispatch for each piece of the table.
func (r *recorder) Embed(o *op.Embed) error {
	e := r.ops.embeds[o]
	params, plain := r.tables.tokens, uint32(1) // without a norm, nothing is read there
	if o.Normed() {
		params, plain = r.params.All(), 0
	}
	for _, piece := range e.pieces {
		k, err := r.kernels.embed(o.Table.Source.Type, r.texel(texels{piece.table, 16}, floatTexels(params)))
		if err != nil {
			return err
		}
		k.Dispatch(r.rec, shaders.EmbedArgs{Tokens: r.tables.tokens, W: piece.table, Params: params, Y: r.scratchOf(o.Y)},
			shaders.EmbedPush{Width: uint32(o.Y.Width), Units: uint32(unitsOf(o.Table)), First: uint32(piece.first),
				Count: uint32(piece.count), NormW: e.norm.w, NormB: e.norm.b, Eps: o.Eps, Plain: plain},
			uint32(r.shape.rows), 1, 1)
	}
	return nil
}

// LayerNorm places the norm's weights.
func (p *preparer) LayerNorm(o *op.LayerNorm) error {
	var n normOp
	if err := p.vectors([]*uint32{&n.w, &n.b}, o.NormW, o.NormB); err != nil {
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
