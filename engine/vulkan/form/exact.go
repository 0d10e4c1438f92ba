package form

import (
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel/emulated"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/layout"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/shaders/glsl"
)

// In an exact executor a token's numbers are the same, bit for bit, whatever other tokens and sequences a pass has. The
// other rows of a pass can change a row's result only through the kernel that their number chooses, since the kernel
// sets the order of its sums. So every product has kernels with one order for all numbers of tokens: matmul_reg and
// matmul_bcast, or matmul_narrow, on emulated lanes; matmul_segment for few tokens and matmul_tile for many on a GPU. A
// recurrence has one kernel, the serial one.

// segmentForm returns the form of matmul_segment for n tokens. The rows of its workgroup lie side by side in memory.
func segmentForm(n uint32) tune.Form {
	return tune.Form{Kernel: Segment, Rows: glsl.SegmentRows, Tokens: TileFor(n, FewTokens)}
}

// Exact returns the forms for a slab and n tokens whose sums have the same order for every n, the usual one first.
func (s Chooser) Exact(u *layout.Slab, n uint32) []tune.Form {
	switch {
	case s.Narrow.Usual && emulated.Takes(*s.Profile, Narrow, u):
		return []tune.Form{emulated.Form(Narrow, n)}
	case !s.CPU && n <= FewTokens:
		return []tune.Form{segmentForm(n)}
	case !s.CPU:
		return []tune.Form{s.Of(SegmentTile, n)}
	}
	list := []tune.Form{s.Usual(u, n)}
	if list[0].Kernel != Reg && list[0].Kernel != Bcast {
		list[0] = s.laneRows(s.Of(Reg, n), u, n)
	}
	for _, f := range s.Candidates(u, n) {
		if (f.Kernel == Reg || f.Kernel == Bcast) && !slices.Contains(list, f) {
			list = append(list, f)
		}
	}
	return list
}

// BandOf returns how many rows of a matrix lie side by side.
func (s Chooser) BandOf(exact bool) int {
	if exact && !s.CPU {
		return glsl.SegmentRows
	}
	return s.Band
}
