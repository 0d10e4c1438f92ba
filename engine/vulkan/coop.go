package vulkan

import (
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
)

// What matmul_coop.comp fixes: the most rows and tokens of a subgroup's quarter, the depth of a tile, and the most shared
// memory that a variant takes.
const (
	coopSide     = 32
	coopDepth    = 32
	coopMemory   = 1280*16 + 32
	coopSubgroup = 64 // the largest of which 4 are a workgroup of no more than 256
)

// matricesFor returns the device's cooperative matrices that fill matmul_coop's tile, the deepest of those alike. There
// are none where subgroups may have any size, since the kernel counts on 4 of them.
func matricesFor(info gpu.Info) []gpu.MatrixShape {
	sub := subgroupFor(info)
	if !info.Features.CoopMatrix || !info.FixesSubgroup(sub) || sub > coopSubgroup || 4*sub > mostLanes(info) ||
		info.Limits.SharedMemory < coopMemory {
		return nil
	}
	fills := func(n, least, whole int) bool { return n >= least && whole%n == 0 }
	var list []gpu.MatrixShape
next:
	for _, s := range info.Matrices {
		if !fills(s.M, 4, coopSide) || !fills(s.N, 1, coopSide) || !fills(s.K, 8, coopDepth) { // a store writes 4 rows at once, a load reads 8 elements
			continue
		}
		for i, old := range list {
			if old.M == s.M && old.N == s.N {
				list[i].K = max(old.K, s.K)
				continue next
			}
		}
		list = append(list, s)
	}
	return list
}

// coop returns the form with the device's first matrices. The one without any is as wide as any other.
func (s *kernelShape) coop() matMulForm {
	if len(s.matrices) == 0 {
		return matMulForm{kernel: Coop, rows: coopSide, tokens: coopSide}
	}
	return matMulForm{Coop, uint32(s.matrices[0].M), uint32(s.matrices[0].N)}
}

// matricesOf returns the matrices for a unit. There are none if a row ends within a group of 8 elements: the vectors'
// padding, which may hold anything finite, would count for the scale of what it stands beside.
func (s *kernelShape) matricesOf(u *unit) []gpu.MatrixShape {
	for _, part := range u.parts {
		if op.Stride(part.W.Width) != part.W.Width {
			return nil
		}
	}
	return s.matrices
}

// coopSide returns the rows, and tokens, of a quarter: each matrix that is loaded serves two products or more. Where registers
// are few, they do not hold the sums for that (bench/README.md).
func (s *kernelShape) coopSide(f matMulForm) uint32 {
	side := max(f.rows, f.tokens)
	if !s.fewRegisters {
		side *= 2
	}
	return min(side, coopSide)
}

// Offers tells whether the device has what a kernel needs.
func (k *Kernels) Offers(kernel MatMulKernel) bool {
	switch kernel {
	case Coop:
		return len(k.shape.matrices) > 0
	case Bcast:
		return k.shape.shuffle
	case Narrow:
		return k.shape.lanes >= narrowLeast
	case Hold:
		return k.shape.quads
	}
	return true
}

func (k *Kernels) matMulCoop(w stored, f matMulForm) (*shaders.MatmulCoop, error) {
	v, err := variant(w.typ, false, shaders.MatmulCoopVariants)
	if err != nil {
		return nil, err
	}
	for _, s := range k.shape.matrices {
		if uint32(s.M) != f.rows || uint32(s.N) != f.tokens {
			continue
		}
		return kernel(k, formKey[shaders.MatmulCoopVariant]{v, f, w.band}, func() (*shaders.MatmulCoop, error) {
			local := 4 * uint32(subgroupFor(k.dev.Info()))
			return shaders.NewMatmulCoop(k.dev, v,
				shaders.MatmulCoopSpec{Local: local, Rows: f.rows, Tokens: f.tokens, Deep: uint32(s.K), Side: k.shape.coopSide(f), Band: uint32(w.band)}, k.full()...)
		})
	}
	return nil, gpu.Unsupportedf("vulkan: kernel %s: device %s has no cooperative matrices of a shape that it takes", f, k.dev.Info().Name)
}
