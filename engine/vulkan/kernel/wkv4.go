package kernel

import (
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/pipeline"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
)

// wkv4 holds the offsets of the op's weights in params.
type wkv4 struct {
	fixed
	o    *op.WKV4
	w, u uint32
}

// WKV4 places the weights.
func (b *builder) WKV4(o *op.WKV4) error {
	s := &wkv4{o: o}
	b.made = s
	return b.load.Vectors([]*uint32{&s.w, &s.u}, o.W, o.U)
}

// Record records one invocation for each channel of each sequence.
func (s *wkv4) Record(r *Recorder, _ []tune.Form) error {
	o, of := s.o, r.At.Of
	args := shaders.Wkv4Args{Spans: r.At.Spans, R: of(o.R), K: of(o.K), V: of(o.V),
		Params: r.env.params, Aa: of(o.AA), Bb: of(o.BB), Pp: of(o.PP), Y: of(o.Y)}
	k, err := r.env.Set.wkv4(r.Texel(floats(args.R), floats(args.Params)))
	if err != nil {
		return err
	}
	k.Dispatch(r.Rec, args,
		shaders.Wkv4Push{Width: uint32(o.Y.Width), Stride: uint32(o.Y.Stride()), W: s.w, U: s.u},
		pipeline.Groups(o.Y.Width, r.env.Set.Is.Local.Plain), uint32(r.Shape.Seqs), 1)
	return nil
}

func (k *Set) wkv4(texel bool) (*shaders.Wkv4, error) {
	v := pipeline.Way(texel, shaders.Wkv4Buf, shaders.Wkv4Tx)
	return pipeline.Get(k.Set, v, func() (*shaders.Wkv4, error) {
		return shaders.NewWkv4(k.Dev, v, shaders.Wkv4Spec{Local: k.Is.Local.Plain})
	})
}
