package vulkan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
)

// Where a subgroup has few lanes, they are those of a processor's narrowest vectors, and the driver's compiler is as
// simple: SwiftShader's. It reads a word of a storage buffer for each lane by itself, unrolls nothing and keeps arrays in
// memory. matmul_narrow.comp, for few tokens, and matmul_hold.comp, for many, are the only forms of a product that such a
// device is not lost in.
const (
	narrowLeast = 4 // lanes that matmul_narrow's last step counts on
	narrowMost  = 7
	narrowAlone = 2 // tokens at most that take turns with one row of weights each
	narrowMany  = 4 // subgroups of a workgroup at most: units are small there, and a core should not wait for another's last
)

// isNarrow tells whether matmul_narrow is the device's usual form.
func isNarrow(info gpu.Info) bool {
	lanes := subgroupFor(info)
	return info.Type == gpu.CPU && lanes >= narrowLeast && lanes <= narrowMost
}

// texelBytes returns the most bytes that a texel buffer holds, 0 if it cannot begin at every place in an arena.
func texelBytes(l gpu.Limits) int {
	if l.TexelOffsetAlignment > 4*op.Align {
		return 0
	}
	return l.MaxTexelBufferElements * wordBytes
}

// fitsTexels tells whether a unit's weights, with what lies behind them, are one texel buffer.
func (s *kernelShape) fitsTexels(u *unit) bool { return u.weightBytes+weightPad*u.band <= s.texelBytes }

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
func (s *kernelShape) fitsNarrow(u *unit) bool {
	return s.fitsTexels(u) && !slices.Contains(superTypes, u.typ)
}

var superTypes = []tensor.Type{tensor.Q3_K, tensor.Q4_K, tensor.Q5_K, tensor.Q6_K}

// unitBytes returns the most bytes of a unit's weights with what lies behind them, for rows of so many bytes. Where
// matmul_narrow is the usual form, a unit is no larger than it can bind, if that holds a band at all.
func (p *preparer) unitBytes(rowBytes int) int {
	s := &p.kernels.shape
	if s.narrow && s.band*(rowBytes+weightPad) <= s.texelBytes {
		return min(s.texelBytes, p.pieceBytes())
	}
	return p.pieceBytes()
}

// matmul_hold's own: the tokens that a workgroup holds, the rows that pass them at most, and from how many tokens on it is
// the faster.
const holdTokens, holdRows, holdLeast = 32, 1024, 12

// holdForm is the only form of matmul_hold.
var holdForm = matMulForm{Hold, holdRows, holdTokens}

// fitsHold tells whether matmul_hold takes a unit.
func (s *kernelShape) fitsHold(u *unit) bool { return s.quads && s.fitsTexels(u) }

// holdGroups returns the rows of a workgroup of matmul_hold, and the workgroups. Many rows make up for the holding, but
// every core of the processor should have some, and as many.
func (s *kernelShape) holdGroups(rows int, n uint32) (each, x, y uint32) {
	y = groupsOf(int(n), holdTokens)
	each = groupsOf(rows, max(groupsOf(rows, holdRows), groupsOf(2*s.cores, y)))
	return each, groupsOf(rows, each), y
}

// held records a unit's dispatches of matmul_hold, one for each part, since what a workgroup holds is of one.
func (e *Exec) held(rec *gpu.Recording, u *unit, n uint32, args shaders.MatmulHoldArgs) error {
	k, err := e.kernels.matMulHold(u.stored)
	if err != nil {
		return err
	}
	for i, part := range u.parts {
		rows, x, y := e.kernels.shape.holdGroups(part.rows, n)
		k.Dispatch(rec, args, shaders.MatmulHoldPush{Part: uint32(u.first + i), Count: 1, Tokens: n, Rows: rows}, x, y, 1)
	}
	return nil
}

func (k *Kernels) matMulHold(w stored) (*shaders.MatmulHold, error) {
	v, err := variant(w.typ, false, shaders.MatmulHoldVariants)
	if err != nil {
		return nil, err
	}
	return kernel(k, formKey[shaders.MatmulHoldVariant]{v: v, band: w.band}, func() (*shaders.MatmulHold, error) {
		return shaders.NewMatmulHold(k.dev, v, shaders.MatmulHoldSpec{Band: uint32(w.band), Local: k.shape.lanes}, k.sized()...)
	})
}

func (k *Kernels) matMulNarrow(w stored, f matMulForm) (*shaders.MatmulNarrow, error) {
	name := fmt.Sprintf("%s_%dx%d", strings.ToLower(w.typ.String()), f.rows, f.tokens)
	for _, v := range shaders.MatmulNarrowVariants {
		if v.String() != name {
			continue
		}
		return kernel(k, formKey[shaders.MatmulNarrowVariant]{v, f, w.band}, func() (*shaders.MatmulNarrow, error) {
			return shaders.NewMatmulNarrow(k.dev, v,
				shaders.MatmulNarrowSpec{Band: uint32(w.band), Local: k.shape.narrowMany * k.shape.lanes}, k.full()...)
		})
	}
	return nil, gpu.Unsupportedf("vulkan: no kernel %s for weights of type %s", f, w.typ)
}
