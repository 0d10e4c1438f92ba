package kernel

import (
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel/emulated"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/pipeline"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
)

// wkv6 holds the offsets of the op's weights in params.
type wkv6 struct {
	fixed
	o                  *op.WKV6
	w, u, normW, normB uint32
}

// WKV6 places the weights.
func (b *builder) WKV6(o *op.WKV6) error {
	if err := b.fitsHead(o.N); err != nil {
		return err
	}
	s := &wkv6{o: o}
	b.made = s
	err := b.load.Vectors([]*uint32{&s.u, &s.normW, &s.normB}, o.U, o.NormW, o.NormB)
	if err == nil && o.W.Kind == op.Weight {
		s.w, err = b.load.Vector(o.W)
	}
	return err
}

// maxHead is the size of the largest head for which wkv6.comp and wkv7.comp have a workgroup.
const maxHead = 256

// fitsHead returns an error if a head is too large for a workgroup of the device.
func (b *builder) fitsHead(n int) error {
	if most := min(b.env.Set.Dev.Info().Limits.MaxWorkgroupInvocations, maxHead); n > most {
		return gpu.Unsupportedf("vulkan: head size %d: the device runs at most %d invocations together", n, most)
	}
	return nil
}

// Record records the recurrence. A dispatch of its own, which runs rows side by side too, does what follows.
func (s *wkv6) Record(r *Recorder, _ []tune.Form) error {
	o, of, stride := s.o, r.At.Of, uint32(s.o.Y.Stride())
	params, state, y := r.env.params, of(o.State), of(o.Y)
	decay, decayStride := params, uint32(0)
	if o.W.Kind == op.Row {
		decay, decayStride = of(o.W), stride
	}
	texel := r.Texel(floats(of(o.R)), floats(params), floats(state))

	args := shaders.Wkv6Args{Spans: r.At.Spans, R: of(o.R), W: decay, K: of(o.K), V: of(o.V),
		Params: params, State: state, StateOut: state, Y: y}
	push := shaders.Wkv6Push{Stride: stride / 4, StateStride: uint32(o.State.Stride()), W: s.w / 4, WStride: decayStride / 4, U: s.u / 4}
	if err := s.recur(r, texel, args, push); err != nil {
		return err
	}

	norm, err := r.env.Set.wkv6Norm(texel)
	if err != nil {
		return err
	}
	gate, gated := y, uint32(0)
	if o.G != nil {
		gate, gated = of(o.G), 1
	}
	norm.Dispatch(r.Rec, shaders.Wkv6NormArgs{G: gate, O: y, Params: params, Y: y},
		shaders.Wkv6NormPush{N: uint32(o.N), Heads: uint32(o.Heads), Tokens: uint32(r.Shape.Rows), Stride: stride,
			NormW: s.normW, NormB: s.normB, Eps: o.Eps, Gated: gated},
		pipeline.Groups(r.Shape.Rows*o.Heads, r.env.Set.Is.Local.Subgroups), 1, 1)
	return nil
}

// recur records the recurrence.
func (s *wkv6) recur(r *Recorder, texel bool, args shaders.Wkv6Args, push shaders.Wkv6Push) error {
	set := r.env.Set
	if emulated.TakesHead(set.Is, s.o.N) {
		return emulated.WKV6(set.Set, r.Rec, s.o, r.Shape.Rows, r.Shape.Seqs, args, push)
	}
	k, err := set.wkv6(s.o.N, texel)
	if err != nil {
		return err
	}
	k.Dispatch(r.Rec, args, push, uint32(s.o.Heads)*set.heads.Split6(s.o.N), uint32(r.Shape.Seqs), 1)
	return nil
}

// specKey is the key of a kernel with the constants that it is made for.
type specKey[V, S any] struct {
	v    V
	spec S
}

func (k *Set) wkv6(n int, texel bool) (*shaders.Wkv6, error) {
	v := pipeline.Way(k.heads.RecursTexels(texel), shaders.Wkv6Buf, shaders.Wkv6Tx)
	spec := shaders.Wkv6Spec{N: uint32(n), Split: k.heads.Split6(n), Direct: pipeline.Flag(k.heads.Direct6(n), 1)}
	return pipeline.Get(k.Set, specKey[shaders.Wkv6Variant, shaders.Wkv6Spec]{v, spec}, func() (*shaders.Wkv6, error) {
		return shaders.NewWkv6(k.Dev, v, spec)
	})
}

func (k *Set) wkv6Norm(texel bool) (*shaders.Wkv6Norm, error) {
	v := pipeline.Way(texel, shaders.Wkv6NormBuf, shaders.Wkv6NormTx)
	return pipeline.Get(k.Set, v, func() (*shaders.Wkv6Norm, error) {
		return shaders.NewWkv6Norm(k.Dev, v, shaders.Wkv6NormSpec{Local: k.Is.Local.Plain}, k.Full()...)
	})
}
