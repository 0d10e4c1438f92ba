package emulated

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/layout"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/pipeline"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
	"github.com/rwkv-gpu/rwkv-gpu/shaders/glsl"
)

// The kernels of products: for few tokens, and for many.
const (
	Narrow = "narrow"
	Hold   = "hold"
)

// narrowAlone is the number of tokens up to which matmul_narrow takes its tile for few tokens.
const narrowAlone = 2

// HoldLeast is the number of tokens from which on matmul_hold is faster than matmul_narrow.
const HoldLeast = 12

// Usual returns the form for a slab and n tokens. ok reports whether the device has few lanes and one of the forms
// suits the slab. Then no other form is nearly as fast.
func Usual(is profile.Profile, u *layout.Slab, n uint32) (f tune.Form, ok bool) {
	switch {
	case n >= HoldLeast && Takes(is, Hold, u):
		return Form(Hold, n), true
	case is.Narrow.Usual && Takes(is, Narrow, u):
		return Form(Narrow, n), true
	}
	return tune.Form{}, false
}

// Form returns the form of a kernel for n tokens. Larger tiles of matmul_narrow were faster by up to a quarter, but the
// driver took 5 seconds to compile each.
func Form(kernel string, n uint32) tune.Form {
	switch {
	case kernel == Hold:
		return tune.Form{Kernel: Hold, Rows: glsl.HoldRows, Tokens: glsl.HoldTokens}
	case n <= narrowAlone:
		return tune.Form{Kernel: Narrow, Rows: glsl.NarrowRows, Tokens: glsl.NarrowFewTokens}
	}
	return tune.Form{Kernel: Narrow, Rows: glsl.NarrowRows, Tokens: glsl.NarrowManyTokens}
}

// Takes reports whether a kernel can run a slab. The slab's weights, padding included, have to fit one texel buffer.
// SwiftShader compiles matmul_narrow with the scales of superblocks (Q3_K to Q6_K) for up to minutes, so it does not
// run these.
func Takes(is profile.Profile, kernel string, u *layout.Slab) bool {
	if u.Bytes+layout.Pad*u.Band > is.TexelBytes {
		return false
	}
	if kernel == Hold {
		return is.Narrow.Quads
	}
	return !slices.Contains(superTypes, u.Type)
}

var superTypes = []tensor.Type{tensor.Q3_K, tensor.Q4_K, tensor.Q5_K, tensor.Q6_K}

// Offers reports whether a device has what a kernel needs.
func Offers(is profile.Profile, kernel string) bool {
	if kernel == Hold {
		return is.Narrow.Quads
	}
	return is.Lanes >= profile.NarrowLeast
}

// Groups returns the workgroups of a dispatch of matmul_narrow.
func Groups(is profile.Profile, f tune.Form, rows int, n uint32) (x, y uint32) {
	return pipeline.Groups(rows, f.Rows*is.Narrow.Many), pipeline.Groups(int(n), f.Tokens)
}

// Product records a slab. matmul_narrow gets at most so many workgroups of rows.
func Product(s *pipeline.Set, rec *gpu.Recording, u *layout.Slab, push shaders.MatmulNarrowPush, f tune.Form, args shaders.MatmulNarrowArgs, groups uint32) error {
	if f.Kernel == Hold {
		return hold(s, rec, u, push.Part, push.Tokens, shaders.MatmulHoldArgs(args))
	}
	k, err := narrow(s, u.Stored, f)
	if err != nil {
		return err
	}
	x, y := Groups(s.Is, f, u.Rows, push.Tokens)
	k.Dispatch(rec, args, push, min(x, groups), y, 1)
	return nil
}

// hold records a slab's dispatches of matmul_hold, one for each part, since a workgroup holds weights of one part. first
// is the place of the first part in the table of parts.
func hold(s *pipeline.Set, rec *gpu.Recording, u *layout.Slab, first, n uint32, args shaders.MatmulHoldArgs) error {
	v, err := pipeline.Variant(u.Type, false, shaders.Variants[shaders.MatmulHoldVariant]())
	if err != nil {
		return err
	}
	k, err := pipeline.Get(s, formKey[shaders.MatmulHoldVariant]{v: v, band: u.Band}, func() (*shaders.MatmulHold, error) {
		return shaders.NewMatmulHold(s.Dev, v, shaders.MatmulHoldSpec{Band: uint32(u.Band), Local: s.Is.Lanes}, s.Sized()...)
	})
	if err != nil {
		return err
	}
	for i, part := range u.Parts {
		rows, x, y := holdGroups(part.Rows, n, s.Is.Cores)
		k.Dispatch(rec, args, shaders.MatmulHoldPush{Part: first + uint32(i), Tokens: n, Rows: rows}, x, y, 1)
	}
	return nil
}

// holdGroups returns the rows of a workgroup of matmul_hold, and the workgroups. A workgroup of many rows loads tokens
// less often. But every core of the processor should have work, and all as much.
func holdGroups(rows int, n uint32, cores int) (each, x, y uint32) {
	y = pipeline.Groups(int(n), glsl.HoldTokens)
	each = pipeline.Groups(rows, max(pipeline.Groups(rows, glsl.HoldRows), pipeline.Groups(2*cores, y)))
	return each, pipeline.Groups(rows, each), y
}

// formKey is the key of a kernel that is made for a form.
type formKey[V any] struct {
	v    V
	f    tune.Form
	band int
}

func narrow(s *pipeline.Set, w layout.Stored, f tune.Form) (*shaders.MatmulNarrow, error) {
	name := fmt.Sprintf("%s_%dx%d", strings.ToLower(w.Type.String()), f.Rows, f.Tokens)
	for _, v := range shaders.Variants[shaders.MatmulNarrowVariant]() {
		if v.String() != name {
			continue
		}
		return pipeline.Get(s, formKey[shaders.MatmulNarrowVariant]{v, f, w.Band}, func() (*shaders.MatmulNarrow, error) {
			return shaders.NewMatmulNarrow(s.Dev, v,
				shaders.MatmulNarrowSpec{Band: uint32(w.Band), Local: s.Is.Narrow.Many * s.Is.Lanes}, s.Full()...)
		})
	}
	return nil, gpu.Unsupportedf("vulkan: no kernel %s for weights of type %s", f, w.Type)
}
