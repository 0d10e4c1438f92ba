package form

import (
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/layout"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// isVec reports whether the form is one of matmul_vec.
func isVec(f tune.Form) bool { return f.Kernel == Vec || f.Kernel == Shared }

// Share returns how many lanes share a unit of a row in matmul_vec.
func Share(f tune.Form) uint32 {
	if f.Kernel == Shared {
		return sharers
	}
	return 1
}

// vec chooses among the forms of matmul_vec.
type vec struct{ Chooser }

// sums returns how many sums a lane of matmul_vec has registers for, with every type of weights. A sum is of one row
// and one token. The numbers are what compilers find (bench/README.md).
func (s vec) sums() uint32 {
	if s.FewRegisters {
		return 4
	}
	return 8
}

// rows returns how many rows a subgroup of matmul_vec takes on a GPU for a tile of so many tokens. It is at most
// most.
func (s vec) rows(tokens, most uint32) uint32 {
	return max(min(s.sums()/tokens, most), 1)
}

// sharers is how many lanes of matmul_vec share a unit of a block type in its shared form: a group of 8 elements each.
const sharers = 4

// TakesShared reports whether the shared form of matmul_vec can run a product.
func (s Chooser) TakesShared(u *layout.Slab) bool { return u.Type.IsBlock() && s.Lanes >= sharers }

// kernel returns the usual one of the two kernels Vec and Shared. In Vec each lane has a unit and unpacks its scales
// once, not four times. But if a row is short, or a little longer than a subgroup takes at a time, Vec leaves many
// lanes idle. If more than a third of all lanes would be idle, the kernel is Shared.
func (s vec) kernel(u *layout.Slab) string {
	busy, all := 0, 0
	for _, p := range u.Parts {
		units, lanes := layout.Words(p.W), int(s.Lanes)
		busy += p.Rows * units
		all += p.Rows * ((units + lanes - 1) / lanes * lanes)
	}
	if s.TakesShared(u) && 3*busy < 2*all {
		return Shared
	}
	return Vec
}

// Within gives each subgroup of matmul_vec more rows if the dispatch would have more workgroups than the device allows.
// Two rows are enough, since mostRows goes by the form for one token.
func (s Chooser) Within(f tune.Form, u *layout.Slab, n uint32) tune.Form {
	for isVec(f) && f.Rows < 2 {
		if x, _ := s.Groups(f, u.Rows, n); int(x) <= s.MostGroups {
			break
		}
		f.Rows *= 2
	}
	return f
}

// manyRows is the number of rows from which a subgroup takes 4 of them: they leave a large GPU enough subgroups, 8 for
// each of 128 cores. A lane takes 32 elements of a block type's row. So its neighbour's x lies 128 bytes further, and
// each of its 8 loads makes 32 lanes touch a line of the first cache each: up to 256 turns of that cache. DRAM brings
// the weights of a row, 576 bytes of Q4_0, in 40 to 200 turns of a large GPU's cores. All rows of the subgroup share
// the loads of x.
const manyRows = 4096

// FitsTexels reports whether a form of matmul_vec may read its inputs as texels. Texels need more registers, since they
// come with addresses and components that nobody needs. If the registers are too few, the form reads buffers.
func (s Chooser) FitsTexels(typ tensor.Type, f tune.Form) bool {
	return !s.FewRegisters || !typ.IsBlock() || f.Tokens == 1 || f.Rows == 1 && f.Tokens <= 4
}

// LoadsEarly reports whether lanes of matmul_vec load what they will need later: a product's bias and what it is
// combined with, before the row is read, and the next 8 elements of a row, before the ones before them are multiplied.
// Then those loads take no time of their own. Where registers are few, two sums leave enough for it, but not of a block
// type in texels. A lane finishes one sum.
func (s Chooser) LoadsEarly(typ tensor.Type, texel bool, f tune.Form) bool {
	sums := f.Rows * f.Tokens
	return sums <= s.Lanes && (!s.FewRegisters || sums <= 2 && !(texel && typ.IsBlock()))
}

// forms adds the forms of matmul_vec for n tokens for which a lane has enough registers. Forms of a few rows keep
// the weights while tokens pass, and may have twice the sums of other forms. Where registers are few, tokens come in
// tiles of two sizes, and Vec takes no more than two rows of a block type.
func (s vec) forms(u *layout.Slab, n uint32, add func(tune.Form)) {
	rows := uint32(8)
	if s.FewRegisters && u.Type.IsBlock() {
		rows = 2
	}
	s.formsOf(Vec, rows, n, add)
	if s.TakesShared(u) {
		s.formsOf(Shared, 8, n, add)
	}
}

func (s vec) formsOf(kernel string, rows, n uint32, add func(tune.Form)) {
	f := s.Of(kernel, n)
	tiles, most := []uint32{f.Tokens}, 2*s.sums()
	if s.FewRegisters {
		tiles = append(tiles, max(f.Tokens/2, 1))
	}
	for _, f.Tokens = range tiles {
		for f.Rows = 1; f.Rows <= rows; f.Rows *= 2 {
			if f.Rows*f.Tokens <= s.sums() || f.Rows <= 4 && f.Rows*f.Tokens <= most && !s.FewRegisters {
				add(f)
			}
		}
	}
}
