package vulkan

import (
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/layout"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
)

// With Options.Exact, a token's numbers are the same, bit for bit, whatever other tokens and sequences a pass has. An op's
// result for a row depends on the others only by the kernel that their number chooses, through the order of its sums. So
// every product has kernels with one order for all numbers of tokens: on emulated lanes matmul_reg and matmul_bcast, or
// matmul_narrow; on a GPU matmul_segment for few tokens and matmul_tile for many. A recurrence has one kernel, the serial one.

// The segments of matmul_segment and matmul_tile (shaders/lib/matmul.glsl), and the rows of a workgroup of the first, which lie
// side by side in memory.
const segments, segmentRows = 8, 8

// segmentForm returns the form of matmul_segment for n tokens.
func segmentForm(n uint32) matMulForm {
	return matMulForm{Segment, segmentRows, tileFor(n, fewTokens)}
}

// exactForms returns the forms for a unit and n tokens that have the same sums for every n, the usual one first.
func (s *kernelShape) exactForms(u *layout.Unit, n uint32) []matMulForm {
	switch {
	case s.Narrow.Usual && s.fitsNarrow(u):
		return []matMulForm{narrowForm(n)}
	case !s.CPU && n <= fewTokens:
		return []matMulForm{segmentForm(n)}
	case !s.CPU:
		return []matMulForm{s.of(SegmentTile, n)}
	}
	list := []matMulForm{s.usual(u, n)}
	if list[0].kernel != Reg && list[0].kernel != Bcast {
		list[0] = s.laneRows(s.of(Reg, n), u, n)
	}
	for _, f := range s.candidates(u, n) {
		if (f.kernel == Reg || f.kernel == Bcast) && !slices.Contains(list, f) {
			list = append(list, f)
		}
	}
	return list
}

// band returns how many rows of a matrix lie side by side.
func (s *kernelShape) band(exact bool) int {
	if exact && !s.CPU {
		return segmentRows
	}
	return s.Band
}

func (k *Kernels) matMulSegment(w layout.Stored, texel bool, f matMulForm) (*shaders.MatmulSegment, error) {
	v, err := variant(w.Type, texel, shaders.Variants[shaders.MatmulSegmentVariant]())
	if err != nil {
		return nil, err
	}
	spec := shaders.MatmulSegmentSpec{Band: uint32(w.Band), Local: f.rows, Tokens: f.tokens}
	return kernel(k, specKey[shaders.MatmulSegmentVariant, shaders.MatmulSegmentSpec]{v, spec}, func() (*shaders.MatmulSegment, error) {
		return shaders.NewMatmulSegment(k.dev, v, spec)
	})
}
