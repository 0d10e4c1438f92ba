package vulkan

import (
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/layout"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
)

// isVec tells whether the form is one of matmul_vec.
func (f matMulForm) isVec() bool { return f.kernel == Vec || f.kernel == Shared }

// share returns how many lanes share a unit of a row in matmul_vec.
func (f matMulForm) share() uint32 {
	if f.kernel == Shared {
		return sharers
	}
	return 1
}

// vecSums returns how many sums, of a row and a token each, compilers find registers for in a lane of matmul_vec with every
// type of weights (bench/README.md).
func (s *kernelShape) vecSums() uint32 {
	if s.FewRegisters {
		return 4
	}
	return 8
}

// vecRows returns how many rows a subgroup of matmul_vec takes on a GPU for a tile of so many tokens, up to some.
func (s *kernelShape) vecRows(tokens, most uint32) uint32 {
	return max(min(s.vecSums()/tokens, most), 1)
}

// sharers is how many lanes of matmul_vec share a unit of a block type in its shared form: a group of 8 elements each.
const sharers = 4

// takesShared tells whether that form takes a product.
func (s *kernelShape) takesShared(u *layout.Unit) bool { return u.Type.IsBlock() && s.Lanes >= sharers }

// vecFor returns the usual of the two kernels that are matmul_vec. Lanes with a unit each unpack its scales once and not four
// times, but of a row that is short, or a little longer than its subgroup can take at a time, they leave many lanes idle. If
// that is more than a third of all, lanes share units.
func (s *kernelShape) vecFor(u *layout.Unit) MatMulKernel {
	busy, all := 0, 0
	for _, p := range u.Parts {
		units, lanes := layout.Words(p.W), int(s.Lanes)
		busy += p.Rows * units
		all += p.Rows * ((units + lanes - 1) / lanes * lanes)
	}
	if s.takesShared(u) && 3*busy < 2*all {
		return Shared
	}
	return Vec
}

// within gives subgroups of matmul_vec so many rows that the device has the workgroups for all: up to mostRows, which goes
// by one token, that is 2.
func (s *kernelShape) within(f matMulForm, u *layout.Unit, n uint32) matMulForm {
	for f.isVec() && f.rows < 2 {
		if x, _ := s.groups(f, u.Rows, n); int(x) <= s.MostGroups {
			break
		}
		f.rows *= 2
	}
	return f
}

// manyRows are so many that 4 of them to a subgroup leave a large GPU subgroups enough: 8 for each of 128 cores. A lane
// takes 32 elements of a block type's row, so that its neighbour's x lies 128 bytes further and 32 lanes touch a line of
// the first cache each, with every one of 8 loads: up to 256 turns of that cache. DRAM brings what they need of a row, 576
// bytes of Q4_0, in 40 to 200 turns of a large GPU's cores; all rows of the subgroup share the loads of x.
const manyRows = 4096

// holdsTexels tells whether registers hold what a form of matmul_vec takes where its inputs are texels, which come with addresses
// and components that nobody needs. If not, it reads buffers.
func (s *kernelShape) holdsTexels(typ tensor.Type, f matMulForm) bool {
	return !s.FewRegisters || !typ.IsBlock() || f.tokens == 1 || f.rows == 1 && f.tokens <= 4
}

// vecForms adds the forms of matmul_vec for n tokens that registers hold: of a few rows, which are held while tokens pass, twice
// the sums of others. Where registers are few, tokens come in two tiles too, and of whole units of a block type no more than
// two rows.
func (s *kernelShape) vecForms(u *layout.Unit, n uint32, add func(matMulForm)) {
	rows := uint32(8)
	if s.FewRegisters && u.Type.IsBlock() {
		rows = 2
	}
	s.vecFormsOf(Vec, rows, n, add)
	if s.takesShared(u) {
		s.vecFormsOf(Shared, 8, n, add)
	}
}

func (s *kernelShape) vecFormsOf(kernel MatMulKernel, rows, n uint32, add func(matMulForm)) {
	f := s.of(kernel, n)
	tiles, most := []uint32{f.tokens}, 2*s.vecSums()
	if s.FewRegisters {
		tiles = append(tiles, max(f.tokens/2, 1))
	}
	for _, f.tokens = range tiles {
		for f.rows = 1; f.rows <= rows; f.rows *= 2 {
			if f.rows*f.tokens <= s.vecSums() || f.rows <= 4 && f.rows*f.tokens <= most && !s.FewRegisters {
				add(f)
			}
		}
	}
}

func (k *Kernels) matMulVec(w layout.Stored, texel bool, f matMulForm) (*shaders.MatmulVec, error) {
	v, err := variant(w.Type, texel && k.shape.holdsTexels(w.Type, f), shaders.Variants[shaders.MatmulVecVariant]())
	if err != nil {
		return nil, err
	}
	return kernel(k, formKey[shaders.MatmulVecVariant]{v, f, w.Band}, func() (*shaders.MatmulVec, error) {
		return shaders.NewMatmulVec(k.dev, v,
			shaders.MatmulVecSpec{Band: uint32(w.Band), Local: k.shape.Local.Plain, Rows: f.rows, Tokens: f.tokens, Share: f.share()}, k.full()...)
	})
}
