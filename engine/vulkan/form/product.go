package form

import (
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel/emulated"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/layout"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/shaders/glsl"
)

// coop returns the form with the device's first cooperative matrices. For a device without any it returns the widest
// form.
func (s Chooser) coop() tune.Form {
	if len(s.Matrices) == 0 {
		return tune.Form{Kernel: Coop, Rows: glsl.CoopSide, Tokens: glsl.CoopSide}
	}
	return tune.Form{Kernel: Coop, Rows: uint32(s.Matrices[0].M), Tokens: uint32(s.Matrices[0].N)}
}

// matricesOf returns the cooperative matrices that suit a slab. None do if a row ends within a group of 8 elements: the
// padding of the vectors may hold any finite number, and would count for the scale of the elements beside it.
func (s Chooser) matricesOf(u *layout.Slab) []gpu.MatrixShape {
	for _, part := range u.Parts {
		if op.Stride(part.W.Width) != part.W.Width {
			return nil
		}
	}
	return s.Matrices
}

// Halves returns the forms for a slab and n tokens, more than FewTokens, if products may round numbers to float16 once,
// the usual one first. They are those of Candidates if no cooperative matrices suit the slab, or a processor emulates
// them. Forms that round and forms that do not are never compared: they differ by more than the tuner allows. Few tokens
// get no form that rounds, since their products wait for weights, not for the matrices.
func (s Chooser) Halves(u *layout.Slab, n uint32) []tune.Form {
	matrices := s.matricesOf(u)
	if s.CPU || len(matrices) == 0 {
		return s.Candidates(u, n)
	}
	var list []tune.Form
	for _, m := range matrices {
		list = append(list, tune.Form{Kernel: Half, Rows: uint32(m.M), Tokens: uint32(m.N)})
	}
	for _, f := range list {
		f.Kernel = HalfWide
		if s.TakesWide(f) {
			list = append(list, f)
		}
	}
	return list
}

// Rounds reports whether a kernel rounds the numbers that it multiplies to float16.
func Rounds(kernel string) bool { return kernel == Half || kernel == HalfWide }

// TakesWide reports whether a lane has registers for the sums of a wide tile. They leave the registers by the tokens of
// one matrix at a time, which have to fit the tile's memory.
func (s Chooser) TakesWide(f tune.Form) bool { return !s.FewRegisters && f.Tokens <= 16 }

// CoopSide returns the number of rows, and of tokens, of a quarter of the tile. Each matrix that is loaded serves two
// products or more, except where a lane has too few registers for the sums (bench/README.md). A form that rounds has one
// set of sums instead of two, so its tile may be wide.
func (s Chooser) CoopSide(f tune.Form) uint32 {
	if f.Kernel == HalfWide && s.TakesWide(f) {
		return glsl.CoopOnceSide
	}
	side := max(f.Rows, f.Tokens)
	if !s.FewRegisters {
		side *= 2
	}
	return min(side, glsl.CoopSide)
}

// Wide returns how many lanes read one row of a panel together. Each reads 8 elements.
func (s Chooser) Wide(rows uint32) uint32 { return min(rows/8, s.Lanes) }

// Sparse returns the sparse forms worth measuring.
func (s Chooser) Sparse() []tune.Form {
	rows := []uint32{32, 64}
	if s.CPU { // a workgroup is one subgroup, and looks for the zeros alone
		rows = []uint32{16 * s.Lanes, 32 * s.Lanes, 48 * s.Lanes}
	}
	var list []tune.Form
	for _, r := range rows {
		if s.Wide(r)*8*glsl.SparseUnits >= r {
			list = append(list, tune.Form{Kernel: Sparse, Rows: r, Tokens: 1})
		}
	}
	return list
}

// Bounds returns how large slabs may be. If matmul_narrow is the usual form, a slab is no larger than what that kernel
// can bind.
func (s Chooser) Bounds(exact bool) layout.Bounds {
	b := layout.Bounds{Band: s.BandOf(exact), MostRows: s.mostRows()}
	if s.Narrow.Usual {
		b.Texels = s.TexelBytes
	}
	return b
}

// Offers reports whether the device has what a kernel needs.
func (s Chooser) Offers(kernel string) bool {
	switch kernel {
	case Coop, Half, HalfWide:
		return len(s.Matrices) > 0
	case Bcast:
		return s.Shuffle
	case Shared:
		return s.Lanes >= sharers
	case Narrow, Hold:
		return emulated.Offers(*s.Profile, kernel)
	}
	return true
}
