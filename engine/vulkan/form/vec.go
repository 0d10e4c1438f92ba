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

// vecSums returns how many sums, of a row and a token each, compilers find registers for in a lane of matmul_vec with
// every type of weights (bench/README.md).
func (s Chooser) vecSums() uint32 {
	if s.FewRegisters {
		return 4
	}
	return 8
}

// vecRows returns how many rows a subgroup of matmul_vec takes on a GPU for a tile of so many tokens, up to some.
func (s Chooser) vecRows(tokens, most uint32) uint32 {
	return max(min(s.vecSums()/tokens, most), 1)
}

// sharers is how many lanes of matmul_vec share a unit of a block type in its shared form: a group of 8 elements each.
const sharers = 4

// TakesShared reports whether that form takes a product.
func (s Chooser) TakesShared(u *layout.Unit) bool { return u.Type.IsBlock() && s.Lanes >= sharers }

// vecFor returns the usual of the two kernels that are matmul_vec. Lanes with a unit each unpack its scales once and
// not four times, but of a row that is short, or a little longer than its subgroup can take at a time, they leave many
// lanes idle. If that is more than a third of all, lanes share units.
func (s Chooser) vecFor(u *layout.Unit) string {
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

// Within gives subgroups of matmul_vec so many rows that the device has the workgroups for all: up to mostRows, which
// goes by one token, that is 2.
func (s Chooser) Within(f tune.Form, u *layout.Unit, n uint32) tune.Form {
	for isVec(f) && f.Rows < 2 {
		if x, _ := s.Groups(f, u.Rows, n); int(x) <= s.MostGroups {
			break
		}
		f.Rows *= 2
	}
	return f
}

// manyRows are so many that 4 of them to a subgroup leave a large GPU subgroups enough: 8 for each of 128 cores. A lane
// takes 32 elements of a block type's row, so that its neighbour's x lies 128 bytes further and 32 lanes touch a line
// of the first cache each, with every one of 8 loads: up to 256 turns of that cache. DRAM brings what they need of a
// row, 576 bytes of Q4_0, in 40 to 200 turns of a large GPU's cores; all rows of the subgroup share the loads of x.
const manyRows = 4096

// HoldsTexels reports whether registers hold what a form of matmul_vec takes where its inputs are texels, which come
// with addresses and components that nobody needs. If not, it reads buffers.
func (s Chooser) HoldsTexels(typ tensor.Type, f tune.Form) bool {
	return !s.FewRegisters || !typ.IsBlock() || f.Tokens == 1 || f.Rows == 1 && f.Tokens <= 4
}

// vecForms adds the forms of matmul_vec for n tokens that registers hold: of a few rows, which are held while tokens
// pass, twice the sums of others. Where registers are few, tokens come in two tiles too, and of whole units of a block
// type no more than two rows.
func (s Chooser) vecForms(u *layout.Unit, n uint32, add func(tune.Form)) {
	rows := uint32(8)
	if s.FewRegisters && u.Type.IsBlock() {
		rows = 2
	}
	s.vecFormsOf(Vec, rows, n, add)
	if s.TakesShared(u) {
		s.vecFormsOf(Shared, 8, n, add)
	}
}

func (s Chooser) vecFormsOf(kernel string, rows, n uint32, add func(tune.Form)) {
	f := s.Of(kernel, n)
	tiles, most := []uint32{f.Tokens}, 2*s.vecSums()
	if s.FewRegisters {
		tiles = append(tiles, max(f.Tokens/2, 1))
	}
	for _, f.Tokens = range tiles {
		for f.Rows = 1; f.Rows <= rows; f.Rows *= 2 {
			if f.Rows*f.Tokens <= s.vecSums() || f.Rows <= 4 && f.Rows*f.Tokens <= most && !s.FewRegisters {
				add(f)
			}
		}
	}
}
