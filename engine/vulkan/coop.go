package vulkan

import (
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/layout"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
)

// coop returns the form with the device's first matrices. The one without any is as wide as any other.
func (s *kernelShape) coop() matMulForm {
	if len(s.Matrices) == 0 {
		return matMulForm{kernel: Coop, rows: profile.CoopSide, tokens: profile.CoopSide}
	}
	return matMulForm{Coop, uint32(s.Matrices[0].M), uint32(s.Matrices[0].N)}
}

// matricesOf returns the matrices for a unit. There are none if a row ends within a group of 8 elements: the vectors'
// padding, which may hold anything finite, would count for the scale of what it stands beside.
func (s *kernelShape) matricesOf(u *layout.Unit) []gpu.MatrixShape {
	for _, part := range u.Parts {
		if op.Stride(part.W.Width) != part.W.Width {
			return nil
		}
	}
	return s.Matrices
}

// profile.CoopSide returns the rows, and tokens, of a quarter: each matrix that is loaded serves two products or more. Where registers
// are few, they do not hold the sums for that (bench/README.md).
func (s *kernelShape) coopSide(f matMulForm) uint32 {
	side := max(f.rows, f.tokens)
	if !s.FewRegisters {
		side *= 2
	}
	return min(side, profile.CoopSide)
}

// Offers tells whether the device has what a kernel needs.
func (k *Kernels) Offers(kernel MatMulKernel) bool {
	switch kernel {
	case Coop:
		return len(k.shape.Matrices) > 0
	case Bcast:
		return k.shape.Shuffle
	case Narrow:
		return k.shape.Lanes >= profile.NarrowLeast
	case Shared:
		return k.shape.Lanes >= sharers
	case Hold:
		return k.shape.Narrow.Quads
	}
	return true
}

func (k *Kernels) matMulCoop(w layout.Stored, f matMulForm) (*shaders.MatmulCoop, error) {
	v, err := variant(w.Type, false, shaders.Variants[shaders.MatmulCoopVariant]())
	if err != nil {
		return nil, err
	}
	for _, s := range k.shape.Matrices {
		if uint32(s.M) != f.rows || uint32(s.N) != f.tokens {
			continue
		}
		return kernel(k, formKey[shaders.MatmulCoopVariant]{v, f, w.Band}, func() (*shaders.MatmulCoop, error) {
			local := 4 * uint32(profile.Subgroup(k.dev.Info()))
			return shaders.NewMatmulCoop(k.dev, v,
				shaders.MatmulCoopSpec{Local: local, Rows: f.rows, Tokens: f.tokens, Deep: uint32(s.K), Side: k.shape.coopSide(f), Band: uint32(w.Band)}, k.full()...)
		})
	}
	return nil, gpu.Unsupportedf("vulkan: kernel %s: device %s has no cooperative matrices of a shape that it takes", f, k.dev.Info().Name)
}
