package kernel

import (
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/form"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel/emulated"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/layout"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/pipeline"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
	"github.com/rwkv-gpu/rwkv-gpu/shaders/glsl"
)

// Bound is what a product is bound to: the scratch of its parts' inputs, of the operands that they are combined with,
// and of their outputs. For a sparse form it has the weights in panels too.
type Bound struct{ X, From, Y, Panels gpu.Range }

// Record records a product's dispatch for n tokens, with at most so many workgroups of rows.
func (u *Product) Record(rec *gpu.Recording, at Bound, n uint32, f tune.Form, groups uint32) error {
	e, set := u.env, u.env.Set
	push := u.push(n)
	args := shaders.MatmulVecArgs{W: u.W, X: at.X, Params: e.params, From: at.From, Y: at.Y, Parts: e.parts}
	switch f.Kernel {
	case none:
		return e.noForm("products of type " + u.Type.String())
	case form.Sparse:
		return u.recordSparse(rec, args, at.Panels, f)
	case form.Narrow, form.Hold:
		return emulated.Product(set.Set, rec, &u.Slab, shaders.MatmulNarrowPush(push), f, shaders.MatmulNarrowArgs(args), groups)
	}
	texel := e.matMulTexel(args)
	x, y := set.forms.Groups(f, u.Rows, n)
	x = min(x, groups)
	switch f.Kernel {
	case form.Vec, form.Shared:
		k, err := set.matMulVec(u.Stored, texel, f)
		if err != nil {
			return err
		}
		k.Dispatch(rec, args, push, x, y, 1)
	case form.Reg:
		k, err := set.matMulReg(u.Stored, texel, f)
		if err != nil {
			return err
		}
		k.Dispatch(rec, shaders.MatmulRegArgs(args), shaders.MatmulRegPush(push), x, y, 1)
	case form.Bcast:
		k, err := set.matMulBcast(u.Stored, texel, f)
		if err != nil {
			return err
		}
		k.Dispatch(rec, shaders.MatmulBcastArgs(args), shaders.MatmulBcastPush(push), x, y, 1)
	case form.Segment:
		k, err := set.matMulSegment(u.Stored, texel, f)
		if err != nil {
			return err
		}
		k.Dispatch(rec, shaders.MatmulSegmentArgs(args), shaders.MatmulSegmentPush(push), x, y, 1)
	case form.Tile, form.SegmentTile:
		k, err := set.matMulTile(u.Stored, texel, f.Kernel)
		if err != nil {
			return err
		}
		k.Dispatch(rec, shaders.MatmulTileArgs(args), shaders.MatmulTilePush(push), x, y, 1)
	case form.Coop, form.Half, form.HalfWide:
		k, err := set.matMulCoop(u.Stored, f)
		if err != nil {
			return err
		}
		k.Dispatch(rec, shaders.MatmulCoopArgs(args), shaders.MatmulCoopPush(push), x, y, 1)
	default:
		return fmt.Errorf("vulkan: no kernel %s of products", f)
	}
	return nil
}

// push returns the push constants of the kernels of products for n tokens.
func (u *Product) push(n uint32) shaders.MatmulVecPush {
	rows := u.FirstRows()
	return shaders.MatmulVecPush{Part: uint32(u.first), Tokens: n,
		Row1: rows[0], Row2: rows[1], Row3: rows[2], Row4: rows[3], Row5: rows[4], Row6: rows[5], Row7: rows[6]}
}

// matMulTexel reports whether a product's inputs are bound as texels.
func (e *Env) matMulTexel(a shaders.MatmulVecArgs) bool {
	return e.Texel(texels(a.W, 16), texels(a.X, 16), texels(a.Parts, 16), floats(a.Params), floats(a.From))
}

// formKey is the key of a kernel that is made for a form.
type formKey[V any] struct {
	v    V
	f    tune.Form
	band int
}

func (k *Set) matMulVec(w layout.Stored, texel bool, f tune.Form) (*shaders.MatmulVec, error) {
	texel = texel && k.forms.FitsTexels(w.Type, f)
	v, err := pipeline.Variant(w.Type, texel, shaders.Variants[shaders.MatmulVecVariant]())
	if err != nil {
		return nil, err
	}
	spec := shaders.MatmulVecSpec{Band: uint32(w.Band), Local: k.Is.Local.Plain, Rows: f.Rows, Tokens: f.Tokens, Share: form.Share(f)}
	if k.forms.LoadsEarly(w.Type, texel, f) {
		spec.Early = 1
	}
	return pipeline.Get(k.Set, formKey[shaders.MatmulVecVariant]{v, f, w.Band}, func() (*shaders.MatmulVec, error) {
		return shaders.NewMatmulVec(k.Dev, v, spec, k.Full()...)
	})
}

func (k *Set) matMulReg(w layout.Stored, texel bool, f tune.Form) (*shaders.MatmulReg, error) {
	v, err := pipeline.Variant(w.Type, texel, shaders.Variants[shaders.MatmulRegVariant]())
	if err != nil {
		return nil, err
	}
	return pipeline.Get(k.Set, formKey[shaders.MatmulRegVariant]{v, f, w.Band}, func() (*shaders.MatmulReg, error) {
		return shaders.NewMatmulReg(k.Dev, v,
			shaders.MatmulRegSpec{Band: uint32(w.Band), Local: k.forms.Local.Reg, TileRows: f.Rows, TileTokens: f.Tokens})
	})
}

func (k *Set) matMulBcast(w layout.Stored, texel bool, f tune.Form) (*shaders.MatmulBcast, error) {
	v, err := pipeline.Variant(w.Type, texel, shaders.Variants[shaders.MatmulBcastVariant]())
	if err != nil {
		return nil, err
	}
	return pipeline.Get(k.Set, formKey[shaders.MatmulBcastVariant]{v, f, w.Band}, func() (*shaders.MatmulBcast, error) {
		return shaders.NewMatmulBcast(k.Dev, v,
			shaders.MatmulBcastSpec{Band: uint32(w.Band), Local: k.forms.Local.Reg, TileRows: f.Rows, TileTokens: f.Tokens}, k.Sized()...)
	})
}

func (k *Set) matMulTile(w layout.Stored, texel bool, kind string) (*shaders.MatmulTile, error) {
	v, err := pipeline.Variant(w.Type, texel, shaders.Variants[shaders.MatmulTileVariant]())
	if err != nil {
		return nil, err
	}
	spec := shaders.MatmulTileSpec{Band: uint32(w.Band), Segments: 1}
	if kind == form.SegmentTile {
		spec.Segments = glsl.Segments
	}
	return pipeline.Get(k.Set, specKey[shaders.MatmulTileVariant, shaders.MatmulTileSpec]{v, spec}, func() (*shaders.MatmulTile, error) {
		return shaders.NewMatmulTile(k.Dev, v, spec)
	})
}

func (k *Set) matMulSegment(w layout.Stored, texel bool, f tune.Form) (*shaders.MatmulSegment, error) {
	v, err := pipeline.Variant(w.Type, texel, shaders.Variants[shaders.MatmulSegmentVariant]())
	if err != nil {
		return nil, err
	}
	spec := shaders.MatmulSegmentSpec{Band: uint32(w.Band), Local: f.Rows, Tokens: f.Tokens}
	return pipeline.Get(k.Set, specKey[shaders.MatmulSegmentVariant, shaders.MatmulSegmentSpec]{v, spec}, func() (*shaders.MatmulSegment, error) {
		return shaders.NewMatmulSegment(k.Dev, v, spec)
	})
}
