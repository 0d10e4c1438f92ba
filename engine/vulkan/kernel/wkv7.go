package kernel

import (
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/form"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel/emulated"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/pipeline"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
)

// wkv7 holds the offsets of the op's weights in params.
type wkv7 struct {
	*Recurrent
	rk, normW, normB uint32
}

// WKV7 places the weights.
func (b *builder) WKV7(o *op.WKV7) error {
	if err := b.fitsHead(o.N); err != nil {
		return err
	}
	s := &wkv7{Recurrent: &Recurrent{Op: o, env: b.env}}
	b.made = s
	return b.load.Vectors([]*uint32{&s.kk, &s.ka, &s.rk, &s.normW, &s.normB}, o.KK, o.KA, o.RK, o.NormW, o.NormB)
}

// stepwise reports whether one dispatch does the whole op: each sequence has one token.
func (s *wkv7) stepwise(shape Shape) bool {
	return s.env.Set.heads.TakesStep(s.Op.N) && shape.Single() && !s.env.Exact && !s.env.lacks(recurrence7, Stepwise)
}

// Choices returns the forms of the recurrence.
func (s *wkv7) Choices(shape Shape) []Choice {
	if s.stepwise(shape) {
		return nil
	}
	return []Choice{s.choice(shape)}
}

// Record records the recurrence. A dispatch of its own, which runs rows side by side too, does what follows. For one
// token of each sequence a single dispatch does all.
func (s *wkv7) Record(r *Recorder, chosen []tune.Form) error {
	o, of, params := s.Op, r.At.Of, r.env.params
	if s.stepwise(r.Shape) {
		return s.step(r)
	}
	state, y := of(o.State), of(o.Y)
	args := shaders.Wkv7Args{Spans: r.At.Spans, R: of(o.R), W: of(o.W), K: of(o.K), V: of(o.V), A: of(o.A),
		Params: params, State: state, StateOut: state, Y: y}
	if err := s.Recurrent.Record(r.Rec, chosen[0], r.Shape, args, s.room(r.Shape)); err != nil {
		return err
	}
	norm, err := r.env.Set.wkv7Norm(s.texel(args))
	if err != nil {
		return err
	}
	norm.Dispatch(r.Rec, shaders.Wkv7NormArgs{R: of(o.R), K: of(o.K), V: of(o.V), A: of(o.A), G: of(o.G), O: y, Params: params, Y: y},
		shaders.Wkv7NormPush{N: uint32(o.N), Heads: uint32(o.Heads), Tokens: uint32(r.Shape.Rows), Stride: uint32(o.Y.Stride()),
			Ka: s.ka, Rk: s.rk, NormW: s.normW, NormB: s.normB, Eps: o.Eps},
		pipeline.Groups(r.Shape.Rows*o.Heads, r.env.Set.Is.Local.Subgroups), 1, 1)
	return nil
}

// step records the op for one token of each sequence.
func (s *wkv7) step(r *Recorder) error {
	o, of, params := s.Op, r.At.Of, r.env.params
	state := of(o.State)
	k, err := r.env.Set.wkv7Step(o.N, r.Texel(floats(of(o.R)), floats(params), texels(state, 16)))
	if err != nil {
		return err
	}
	k.Dispatch(r.Rec, shaders.Wkv7StepArgs{Spans: r.At.Spans, R: of(o.R), W: of(o.W), K: of(o.K), V: of(o.V), A: of(o.A),
		G: of(o.G), Params: params, State: state, StateOut: state, Y: of(o.Y)},
		shaders.Wkv7StepPush{Stride: uint32(o.Y.Stride() / 4), StateStride: uint32(o.State.Stride() / 4),
			Kk: s.kk / 4, Ka: s.ka / 4, Rk: s.rk / 4, NormW: s.normW / 4, NormB: s.normB / 4, Eps: o.Eps},
		uint32(o.Heads), uint32(r.Shape.Seqs), 1)
	return nil
}

// Recurrent is RWKV-7's recurrence of one step.
type Recurrent struct {
	Op     *op.WKV7
	env    *Env
	kk, ka uint32 // offsets in params
}

// Params returns where the op's weights lie, as Wkv7Args has it.
func (w *Recurrent) Params() gpu.Range { return w.env.params }

func (w *Recurrent) texel(a shaders.Wkv7Args) bool {
	return w.env.Texel(floats(a.R), floats(a.Params), texels(a.State, 16))
}

// Record records the recurrence in a form. The chunked form writes chunks to room, which has Room(s) bytes.
func (w *Recurrent) Record(rec *gpu.Recording, f tune.Form, s Shape, args shaders.Wkv7Args, room gpu.Range) error {
	set, o := w.env.Set, w.Op
	push := shaders.Wkv7Push{Stride: uint32(o.Y.Stride() / 4), StateStride: uint32(o.State.Stride() / 4), Kk: w.kk / 4, Ka: w.ka / 4}
	heads, seqs, texel := uint32(o.Heads), uint32(s.Seqs), w.texel(args)
	switch {
	case f.Kernel == none:
		return w.env.noForm(recurrence7)
	case f.Kernel == Chunked:
		return w.chunked(rec, s, texel, args, push, room)
	case emulated.TakesHead(set.Is, o.N):
		return emulated.WKV7(set.Set, rec, o, s.Rows, s.Seqs, s.Single() && !w.env.Exact, args, push)
	case set.Is.Shared && set.Is.Shuffle:
		k, err := set.wkv7Shared(o.N, texel)
		if err != nil {
			return err
		}
		parts := uint32(o.N) / set.heads.SharedRows(uint32(o.N))
		k.Dispatch(rec, shaders.Wkv7SharedArgs(args), shaders.Wkv7SharedPush(push), heads*parts, seqs, 1)
		return nil
	}
	k, err := set.wkv7(o.N, texel)
	if err != nil {
		return err
	}
	k.Dispatch(rec, args, push, heads*form.Split7(o.N), seqs, 1)
	return nil
}

// headKey is the key of a kernel that is made for a head size, and for workgroups of a size where that varies.
type headKey[V any] struct {
	v     V
	n     int
	local uint32
}

func (k *Set) wkv7(n int, texel bool) (*shaders.Wkv7, error) {
	v := pipeline.Way(k.heads.RecursTexels(texel), shaders.Wkv7Buf, shaders.Wkv7Tx)
	return pipeline.Get(k.Set, headKey[shaders.Wkv7Variant]{v: v, n: n}, func() (*shaders.Wkv7, error) {
		return shaders.NewWkv7(k.Dev, v, shaders.Wkv7Spec{N: uint32(n), Split: form.Split7(n)})
	})
}

func (k *Set) wkv7Shared(n int, texel bool) (*shaders.Wkv7Shared, error) {
	v, s := pipeline.Way(texel, shaders.Wkv7SharedBuf, shaders.Wkv7SharedTx), k.heads
	return pipeline.Get(k.Set, headKey[shaders.Wkv7SharedVariant]{v: v, n: n}, func() (*shaders.Wkv7Shared, error) {
		return shaders.NewWkv7Shared(k.Dev, v,
			shaders.Wkv7SharedSpec{Local: s.Lanes, N: uint32(n), Rows: s.SharedRows(uint32(n))}, k.Full()...)
	})
}

func (k *Set) wkv7Step(n int, texel bool) (*shaders.Wkv7Step, error) {
	v, s := pipeline.Way(k.heads.RecursTexels(texel), shaders.Wkv7StepBuf, shaders.Wkv7StepTx), k.heads
	return pipeline.Get(k.Set, headKey[shaders.Wkv7StepVariant]{v, n, s.Local.Step}, func() (*shaders.Wkv7Step, error) {
		return shaders.NewWkv7Step(k.Dev, v, shaders.Wkv7StepSpec{Local: s.Local.Step, Single: pipeline.Flag(s.Local.Step == s.Lanes, 1),
			N: uint32(n), Lanes: s.Lanes, Across: s.StepAcross(uint32(n)), Rows: s.StepRows(uint32(n)), Exchange: pipeline.Flag(s.CPU, 1)}, k.Full()...)
	})
}

func (k *Set) wkv7Norm(texel bool) (*shaders.Wkv7Norm, error) {
	v := pipeline.Way(texel, shaders.Wkv7NormBuf, shaders.Wkv7NormTx)
	return pipeline.Get(k.Set, v, func() (*shaders.Wkv7Norm, error) {
		return shaders.NewWkv7Norm(k.Dev, v, shaders.Wkv7NormSpec{Local: k.forms.Local.Plain}, k.Full()...)
	})
}
