package form

import (
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel/emulated"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/layout"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/pipeline"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/shaders/glsl"
)

// The kernels of products. The tuner chooses from them, and tests force one of them. Sparse is for one token whose
// vector has many zeros. A product that a forced kernel does not suit runs in its usual form.
const (
	Vec    = "vec"
	Reg    = "reg"
	Tile   = "tile"
	Bcast  = "bcast"
	Sparse = "sparse"
	Coop   = "coop"
	Narrow = emulated.Narrow // few emulated lanes
	Hold   = emulated.Hold   // few emulated lanes and many tokens
	Shared = "shared"        // matmul_vec, as Vec, where four lanes share a unit of a block type

	Half     = "half"      // as Coop, where numbers are rounded to float16 once; only if the executor may do that
	HalfWide = "half wide" // tiles of twice the rows and tokens

	Segment     = "segment"      // few tokens; a row's sum is made of segments, as SegmentTile makes it
	SegmentTile = "segment tile" // many tokens
)

// Chooser chooses the forms of products, and their kernels' constants, by what the device is.
type Chooser struct{ *profile.Profile }

// Products lists the kernels whose results are those of float32.
var Products = []string{Vec, Reg, Tile, Bcast, Sparse, Coop, Narrow, Hold, Shared, Segment, SegmentTile}

// The rows and tokens of a tune.Form are those that a subgroup (Vec, Shared, Narrow), a lane (Reg, Bcast) or a
// cooperative matrix (Coop) takes at once, or that a workgroup takes at most (Hold).

// FewTokens is the largest number of tokens that are one tile of matmul_vec or matmul_reg. For matmul_bcast it is
// bcastTokens.
const FewTokens, bcastTokens = glsl.VecTokens, glsl.BcastTokens

// TileFor returns the smallest power of two that is no less than n, or most if that is smaller.
func TileFor(n, most uint32) uint32 {
	tile := uint32(1)
	for tile < n && tile < most {
		tile *= 2
	}
	return tile
}

// Tile returns how many tokens a workgroup of the form takes.
func (s Chooser) Tile(f tune.Form) uint32 {
	switch f.Kernel {
	case Tile, SegmentTile:
		return glsl.TileTokens
	case Coop, Half, HalfWide:
		return 2 * s.CoopSide(f)
	}
	return f.Tokens
}

// handsRound reports whether emulated lanes use matmul_bcast, which they do if they can hand round what they load.
func (s Chooser) handsRound() bool { return s.Vectors() && s.Shuffle }

// laneRows returns the form with the rows that an emulated lane takes: 8 if that leaves each core some workgroups, else
// 4. With 8 rows lavapipe does a tenth less work than with 4, whatever the type and the number of tokens.
func (s Chooser) laneRows(f tune.Form, u *layout.Slab, n uint32) tune.Form {
	f.Rows = 8
	if x, y := s.Groups(f, u.Rows, n); !s.Vectors() || f.Rows*s.Local.Reg > layout.RowAlign || int(x*y) < 4*s.Cores {
		f.Rows = 4
	}
	return f
}

// Of returns the usual form of a kernel for n tokens.
func (s Chooser) Of(kernel string, n uint32) tune.Form {
	switch kernel {
	case Coop, Half, HalfWide:
		f := s.coop()
		f.Kernel = kernel
		return f
	case Narrow, Hold:
		return emulated.Form(kernel, n)
	case Tile, SegmentTile:
		return tune.Form{Kernel: kernel}
	case Segment:
		return segmentForm(n)
	}
	f := tune.Form{Kernel: kernel, Rows: 4, Tokens: 1}
	most := uint32(FewTokens)
	if kernel == Bcast {
		most = bcastTokens
	}
	f.Tokens = TileFor(n, most)
	if isVec(f) && !s.CPU {
		f.Rows = vec{s}.rows(f.Tokens, 2)
	}
	return f
}

// Usual returns the form for a slab and n tokens on a device that nobody has measured.
func (s Chooser) Usual(u *layout.Slab, n uint32) tune.Form {
	if f, ok := emulated.Usual(*s.Profile, u, n); ok {
		return f
	}
	switch {
	case s.handsRound():
		return s.laneRows(s.Of(Bcast, n), u, n)
	case s.CPU:
		return s.laneRows(s.Of(Reg, n), u, n)
	case n <= FewTokens:
		f := s.Of(vec{s}.kernel(u), n)
		if u.Type.IsBlock() && u.Rows >= manyRows && !s.FewRegisters {
			f.Rows = vec{s}.rows(f.Tokens, 4)
		}
		return s.Within(f, u, n)
	}
	return s.Of(Tile, n)
}

// Groups returns the workgroups of a dispatch of some rows for n tokens.
func (s Chooser) Groups(f tune.Form, rows int, n uint32) (x, y uint32) {
	switch f.Kernel {
	case Vec, Shared:
		return pipeline.Groups(rows, f.Rows*s.Local.Subgroups), pipeline.Groups(int(n), f.Tokens)
	case Narrow:
		return emulated.Groups(*s.Profile, f, rows, n)
	case Segment:
		return pipeline.Groups(rows, f.Rows), pipeline.Groups(int(n), f.Tokens)
	case Tile, SegmentTile:
		return pipeline.Groups(rows, glsl.TileRows), pipeline.Groups(int(n), glsl.TileTokens)
	case Coop, Half, HalfWide:
		return pipeline.Groups(rows, 2*s.CoopSide(f)), pipeline.Groups(int(n), 2*s.CoopSide(f))
	}
	return pipeline.Groups(rows, s.Local.Reg*f.Rows), pipeline.Groups(int(n), f.Tokens)
}

// mostRows returns the most rows of a slab: as many as every kernel's usual form can take in one dispatch.
func (s Chooser) mostRows() int {
	fewest := uint32(layout.RowAlign)
	for _, kernel := range Products {
		f := s.Of(kernel, 1)
		x, _ := s.Groups(f, layout.RowAlign, 1)
		fewest = min(fewest, layout.RowAlign/x)
	}
	return max(s.MostGroups*int(fewest)/layout.RowAlign, 1) * layout.RowAlign
}

// Candidates returns the forms worth measuring for a slab and n tokens, the usual one first. Matmul_reg and
// matmul_bcast are for emulated lanes alone. On a GPU their workgroups leave most lanes of a subgroup idle, and
// compilers for GPUs spill their sums.
func (s Chooser) Candidates(u *layout.Slab, n uint32) []tune.Form {
	list := []tune.Form{s.Usual(u, n)}
	if _, ok := emulated.Usual(*s.Profile, u, n); ok {
		return list
	}
	add := func(f tune.Form) {
		if x, _ := s.Groups(f, u.Rows, n); int(x) <= s.MostGroups && !slices.Contains(list, f) {
			list = append(list, f)
		}
	}
	lanes := func(kernel string) {
		f := s.Of(kernel, n)
		for _, f.Rows = range []uint32{4, 8} {
			if f.Rows*s.Local.Reg <= layout.RowAlign {
				add(f)
			}
		}
	}
	switch {
	case s.Vectors():
	case n <= FewTokens:
		vec{s}.forms(u, n, add)
	default:
		add(s.Of(Tile, n))
		for _, m := range s.matricesOf(u) {
			add(tune.Form{Kernel: Coop, Rows: uint32(m.M), Tokens: uint32(m.N)})
		}
	}
	if s.CPU && !s.handsRound() {
		lanes(Reg)
	}
	if s.CPU && s.Shuffle && (n > 1 || s.handsRound()) {
		lanes(Bcast)
	}
	return list
}
