package kernel

import (
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/layout"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/pipeline"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
)

// normAt holds the offsets of a norm's weights in params.
type normAt struct{ w, b uint32 }

type embed struct {
	fixed
	o      *op.Embed
	norm   normAt
	pieces []layout.Rows
}

// Embed uploads the table, in as many pieces as the device's binding limit needs.
func (b *builder) Embed(o *op.Embed) (err error) {
	s := &embed{o: o}
	b.made = s
	if o.Normed() {
		err = b.load.Vectors([]*uint32{&s.norm.w, &s.norm.b}, o.NormW, o.NormB)
	}
	if err == nil {
		s.pieces, err = b.load.Table(o.Table)
	}
	return err
}

// Record records one dispatch for each piece of the table.
func (s *embed) Record(r *Recorder, _ []tune.Form) error {
	params, plain := r.At.Tokens, uint32(1) // without a norm the kernel reads nothing from params
	if s.o.Normed() {
		params, plain = r.env.params, 0
	}
	for _, piece := range s.pieces {
		k, err := r.env.Set.embed(s.o.Table.Source.Type, r.Texel(texels(piece.Range, 16), floats(params)))
		if err != nil {
			return err
		}
		k.Dispatch(r.Rec, shaders.EmbedArgs{Tokens: r.At.Tokens, W: piece.Range, Params: params, Y: r.At.Of(s.o.Y)},
			shaders.EmbedPush{Width: uint32(s.o.Y.Width), Units: uint32(layout.Words(s.o.Table)), First: uint32(piece.First),
				Count: uint32(piece.Count), NormW: s.norm.w, NormB: s.norm.b, Eps: s.o.Eps, Plain: plain},
			uint32(r.Shape.Rows), 1, 1)
	}
	return nil
}

func (k *Set) embed(t tensor.Type, texel bool) (*shaders.Embed, error) {
	v, err := pipeline.Variant(t, texel, shaders.Variants[shaders.EmbedVariant]())
	if err != nil {
		return nil, err
	}
	return pipeline.Get(k.Set, v, func() (*shaders.Embed, error) {
		return shaders.NewEmbed(k.Dev, v, shaders.EmbedSpec{Local: k.Is.Local.Norm, Single: k.Is.Local.Single}, k.Full()...)
	})
}

type layerNorm struct {
	fixed
	o    *op.LayerNorm
	norm normAt
}

// LayerNorm places the norm's weights.
func (b *builder) LayerNorm(o *op.LayerNorm) error {
	s := &layerNorm{o: o}
	b.made = s
	return b.load.Vectors([]*uint32{&s.norm.w, &s.norm.b}, o.NormW, o.NormB)
}

// Record records the norm of the wanted rows.
func (s *layerNorm) Record(r *Recorder, _ []tune.Form) error {
	if r.Shape.Outs == 0 {
		return nil
	}
	args := shaders.LayerNormArgs{Outs: r.At.Outs, X: r.At.Of(s.o.X), Params: r.env.params, Y: r.At.Of(s.o.Y)}
	k, err := r.env.Set.layerNorm(r.Texel(floats(args.X), floats(args.Params)))
	if err != nil {
		return err
	}
	k.Dispatch(r.Rec, args, shaders.LayerNormPush{Width: uint32(s.o.X.Width), NormW: s.norm.w, NormB: s.norm.b, Eps: s.o.Eps},
		uint32(r.Shape.Outs), 1, 1)
	return nil
}

func (k *Set) layerNorm(texel bool) (*shaders.LayerNorm, error) {
	v := pipeline.Way(texel, shaders.LayerNormBuf, shaders.LayerNormTx)
	return pipeline.Get(k.Set, v, func() (*shaders.LayerNorm, error) {
		return shaders.NewLayerNorm(k.Dev, v, shaders.LayerNormSpec{Local: k.Is.Local.Norm, Single: k.Is.Local.Single}, k.Full()...)
	})
}

type deepEmbed struct {
	fixed
	o      *op.DeepEmbed
	pieces []layout.Rows
}

// DeepEmbed uploads the table.
func (b *builder) DeepEmbed(o *op.DeepEmbed) error {
	pieces, err := b.load.Table(o.Table)
	b.made = &deepEmbed{o: o, pieces: pieces}
	return err
}

// Record records one dispatch for each piece of the table.
func (s *deepEmbed) Record(r *Recorder, _ []tune.Form) error {
	o, h := s.o, r.At.Of(s.o.H)
	columns4 := o.Y.Width / 4
	for _, piece := range s.pieces {
		of4 := o.Table.Source.Type.Bytes(4) // a texel holds 4 elements of the table
		k, err := r.env.Set.deepEmbed(o.Table.Source.Type, r.Texel(texels(piece.Range, of4), floats(h)))
		if err != nil {
			return err
		}
		k.Dispatch(r.Rec, shaders.DeepEmbedArgs{Tokens: r.At.Tokens, Table: piece.Range, H: h, Y: r.At.Of(o.Y)},
			shaders.DeepEmbedPush{Rows: uint32(r.Shape.Rows), Inner: uint32(o.H.Width), Columns4: uint32(columns4),
				Width4: uint32(op.Stride(o.Table.Shape[1]) / 4), First: uint32(piece.First), Count: uint32(piece.Count),
				HStride: uint32(o.H.Stride()), YStride: uint32(o.Y.Stride())},
			pipeline.Groups(r.Shape.Rows*columns4, r.env.Set.Is.Local.Plain), 1, 1)
	}
	return nil
}

func (k *Set) deepEmbed(t tensor.Type, texel bool) (*shaders.DeepEmbed, error) {
	v, err := pipeline.Variant(t, texel, shaders.Variants[shaders.DeepEmbedVariant]())
	if err != nil {
		return nil, err
	}
	return pipeline.Get(k.Set, v, func() (*shaders.DeepEmbed, error) {
		return shaders.NewDeepEmbed(k.Dev, v, shaders.DeepEmbedSpec{Local: k.Is.Local.Plain})
	})
}
