package vulkan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/layout"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
)

// narrowAlone is how many tokens at most take turns with one row of weights each.
const narrowAlone = 2

// fitsTexels tells whether a unit's weights, with what lies behind them, are one texel buffer.
func (s *kernelShape) fitsTexels(u *layout.Unit) bool {
	return u.Bytes+layout.Pad*u.Band <= s.TexelBytes
}

// narrowForm returns the form of matmul_narrow for n tokens. Larger tiles were faster by up to a quarter, but took the
// driver 5 seconds each to compile.
func narrowForm(n uint32) matMulForm {
	if n <= narrowAlone {
		return matMulForm{Narrow, 8, 1}
	}
	return matMulForm{Narrow, 8, 8}
}

// fitsNarrow tells whether matmul_narrow takes a unit: with the scales of superblocks (Q3_K to Q6_K), SwiftShader compiles
// it for up to minutes.
func (s *kernelShape) fitsNarrow(u *layout.Unit) bool {
	return s.fitsTexels(u) && !slices.Contains(superTypes, u.Type)
}

var superTypes = []tensor.Type{tensor.Q3_K, tensor.Q4_K, tensor.Q5_K, tensor.Q6_K}

// matmul_hold's own: the tokens that a workgroup holds, the rows that pass them at most, and from how many tokens on it is
// the faster.
const holdTokens, holdRows, holdLeast = 32, 1024, 12

// holdForm is the only form of matmul_hold.
var holdForm = matMulForm{Hold, holdRows, holdTokens}

// fitsHold tells whether matmul_hold takes a unit.
func (s *kernelShape) fitsHold(u *layout.Unit) bool { return s.Narrow.Quads && s.fitsTexels(u) }

// holdGroups returns the rows of a workgroup of matmul_hold, and the workgroups. Many rows make up for the holding, but
// every core of the processor should have some, and as many.
func (s *kernelShape) holdGroups(rows int, n uint32) (each, x, y uint32) {
	y = groupsOf(int(n), holdTokens)
	each = groupsOf(rows, max(groupsOf(rows, holdRows), groupsOf(2*s.Cores, y)))
	return each, groupsOf(rows, each), y
}

// held records a unit's dispatches of matmul_hold, one for each part, since what a workgroup holds is of one.
func (e *Exec) held(rec *gpu.Recording, u *unit, n uint32, args shaders.MatmulHoldArgs) error {
	k, err := e.kernels.matMulHold(u.Stored)
	if err != nil {
		return err
	}
	for i, part := range u.Parts {
		rows, x, y := e.kernels.shape.holdGroups(part.Rows, n)
		k.Dispatch(rec, args, shaders.MatmulHoldPush{Part: uint32(u.first + i), Count: 1, Tokens: n, Rows: rows}, x, y, 1)
	}
	return nil
}

func (k *Kernels) matMulHold(w layout.Stored) (*shaders.MatmulHold, error) {
	v, err := variant(w.Type, false, shaders.Variants[shaders.MatmulHoldVariant]())
	if err != nil {
		return nil, err
	}
	return kernel(k, formKey[shaders.MatmulHoldVariant]{v: v, band: w.Band}, func() (*shaders.MatmulHold, error) {
		return shaders.NewMatmulHold(k.dev, v, shaders.MatmulHoldSpec{Band: uint32(w.Band), Local: k.shape.Lanes}, k.sized()...)
	})
}

func (k *Kernels) matMulNarrow(w layout.Stored, f matMulForm) (*shaders.MatmulNarrow, error) {
	name := fmt.Sprintf("%s_%dx%d", strings.ToLower(w.Type.String()), f.rows, f.tokens)
	for _, v := range shaders.Variants[shaders.MatmulNarrowVariant]() {
		if v.String() != name {
			continue
		}
		return kernel(k, formKey[shaders.MatmulNarrowVariant]{v, f, w.Band}, func() (*shaders.MatmulNarrow, error) {
			return shaders.NewMatmulNarrow(k.dev, v,
				shaders.MatmulNarrowSpec{Band: uint32(w.Band), Local: k.shape.Narrow.Many * k.shape.Lanes}, k.full()...)
		})
	}
	return nil, gpu.Unsupportedf("vulkan: no kernel %s for weights of type %s", f, w.Type)
}
