package vulkan

import (
	"fmt"
	"math"
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/layout"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
)

// MatMulKernel names a kernel of op.MatMul.
type MatMulKernel uint8

// The kernels. Auto chooses by the number of rows and the device.
const (
	Auto MatMulKernel = iota
	Vec
	Reg
	Tile
	Bcast
	Sparse // one token whose vector has many zeros; products that it does not suit run in their usual forms
	Coop
	Narrow // few emulated lanes; weights beyond its limit run in their usual forms
	Hold   // few emulated lanes and many tokens; the same
	Shared // matmul_vec, as Vec, where four lanes share a unit of a block type; plain types run in their usual forms

	Segment     // few tokens; a row's sum is made of segments, as SegmentTile makes it
	SegmentTile // many tokens
)

// MatMulKernels lists the kernels that Auto chooses from.
var MatMulKernels = []MatMulKernel{Vec, Reg, Tile, Bcast, Sparse, Coop, Narrow, Hold, Shared, Segment, SegmentTile}

// String returns the kernel's name.
func (k MatMulKernel) String() string {
	return [...]string{"auto", "vec", "reg", "tile", "bcast", "sparse", "coop", "narrow", "hold", "shared", "segment", "segment tile"}[k]
}

// matMulForm is a kernel with what a subgroup (Vec, Shared, Narrow), a lane (Reg, Bcast) or a cooperative matrix (Coop) takes at
// once, or a workgroup at most (Hold).
type matMulForm struct {
	kernel       MatMulKernel
	rows, tokens uint32
}

func (f matMulForm) String() string {
	if f.kernel == Tile || f.kernel == SegmentTile {
		return f.kernel.String()
	}
	return fmt.Sprintf("%s %dx%d", f.kernel, f.rows, f.tokens)
}

func (f matMulForm) kept() tuned {
	return tuned{Kernel: f.kernel.String(), Rows: f.rows, Tokens: f.tokens}
}

// fewTokens is the largest number of tokens that are one tile of matmul_vec or matmul_reg, bcastTokens of matmul_bcast.
const fewTokens, bcastTokens = 8, 16

// tileFor returns the smallest power of two that holds n tokens, or most.
func tileFor(n, most uint32) uint32 {
	tile := uint32(1)
	for tile < n && tile < most {
		tile *= 2
	}
	return tile
}

// tile returns how many tokens a workgroup of the form takes.
func (s *kernelShape) tile(f matMulForm) uint32 {
	switch f.kernel {
	case Tile, SegmentTile:
		return tileTokens
	case Coop:
		return 2 * s.coopSide(f)
	}
	return f.tokens
}

// handsRound tells whether such lanes do better with matmul_bcast: with more than two tokens, or where the 32 elements that
// one token has for a block, and the scales of eight blocks, are loaded at once. Two tokens are a tenth slower without, but
// their sums have the order of one token's.
func (s *kernelShape) handsRound(u *layout.Unit, n uint32) bool {
	return s.Vectors() && s.Shuffle && (n > 2 || n == 1 && u.Type.IsBlock())
}

// laneRows returns how many rows such a lane takes in a form of a unit: 8, which lavapipe does with a tenth less work
// than 4 whatever the type and the number of tokens, where that leaves each core some workgroups.
func (s *kernelShape) laneRows(f matMulForm, u *layout.Unit, n uint32) matMulForm {
	f.rows = 8
	if x, y := s.groups(f, u.Rows, n); !s.Vectors() || f.rows*s.Local.Reg > layout.RowAlign || int(x*y) < 4*s.Cores {
		f.rows = 4
	}
	return f
}

// The tile of matmul_tile.comp.
const tileRows, tileTokens = 64, 32

// of returns the usual form of a kernel for n tokens.
func (s *kernelShape) of(kernel MatMulKernel, n uint32) matMulForm {
	f := matMulForm{kernel: kernel, rows: 4, tokens: 1}
	if kernel == Coop {
		return s.coop()
	}
	if kernel == Narrow {
		return narrowForm(n)
	}
	if kernel == Hold {
		return holdForm
	}
	if kernel == Segment {
		return segmentForm(n)
	}
	most := uint32(fewTokens)
	if kernel == Bcast {
		most = bcastTokens
	}
	f.tokens = tileFor(n, most)
	if f.isVec() && !s.CPU {
		f.rows = s.vecRows(f.tokens, 2)
	}
	return f
}

// usual returns the form for a unit and n tokens on a device that nobody has measured.
func (s *kernelShape) usual(u *layout.Unit, n uint32) matMulForm {
	switch {
	case n >= holdLeast && s.fitsHold(u):
		return holdForm
	case s.Narrow.Usual && s.fitsNarrow(u):
		return narrowForm(n)
	case s.handsRound(u, n):
		return s.laneRows(s.of(Bcast, n), u, n)
	case s.CPU:
		return s.laneRows(s.of(Reg, n), u, n)
	case n <= fewTokens:
		f := s.of(s.vecFor(u), n)
		if u.Type.IsBlock() && u.Rows >= manyRows && !s.FewRegisters {
			f.rows = s.vecRows(f.tokens, 4)
		}
		return s.within(f, u, n)
	}
	return s.of(Tile, n)
}

// groups returns the workgroups of a dispatch of some rows for n tokens.
func (s *kernelShape) groups(f matMulForm, rows int, n uint32) (x, y uint32) {
	switch f.kernel {
	case Vec, Shared:
		return groupsOf(rows, f.rows*s.Local.Subgroups), groupsOf(int(n), f.tokens)
	case Narrow:
		return groupsOf(rows, f.rows*s.Narrow.Many), groupsOf(int(n), f.tokens)
	case Segment:
		return groupsOf(rows, f.rows), groupsOf(int(n), f.tokens)
	case Tile, SegmentTile:
		return groupsOf(rows, tileRows), groupsOf(int(n), tileTokens)
	case Coop:
		return groupsOf(rows, 2*s.coopSide(f)), groupsOf(int(n), 2*s.coopSide(f))
	}
	return groupsOf(rows, s.Local.Reg*f.rows), groupsOf(int(n), f.tokens)
}

// mostRows returns the most rows of a unit: as many as every kernel's usual form can take in one dispatch.
func (s *kernelShape) mostRows() int {
	fewest := uint32(layout.RowAlign)
	for _, kernel := range MatMulKernels {
		f := s.of(kernel, 1)
		x, _ := s.groups(f, layout.RowAlign, 1)
		fewest = min(fewest, layout.RowAlign/x)
	}
	return max(s.MostGroups*int(fewest)/layout.RowAlign, 1) * layout.RowAlign
}

// candidates returns the forms worth measuring for a unit and n tokens, the usual one first. Matmul_reg and matmul_bcast
// are for emulated lanes alone: their workgroups leave most lanes of a GPU's subgroups idle, and compilers for GPUs spill
// their sums.
func (s *kernelShape) candidates(u *layout.Unit, n uint32) []matMulForm {
	list := []matMulForm{s.usual(u, n)}
	if list[0].kernel == Narrow || list[0].kernel == Hold {
		return list // nothing else comes near
	}
	add := func(f matMulForm) {
		if x, _ := s.groups(f, u.Rows, n); int(x) <= s.MostGroups && !slices.Contains(list, f) {
			list = append(list, f)
		}
	}
	lanes := func(kernel MatMulKernel) {
		f := s.of(kernel, n)
		for _, f.rows = range []uint32{4, 8} {
			if f.rows*s.Local.Reg <= layout.RowAlign {
				add(f)
			}
		}
	}
	switch {
	case s.Vectors():
	case n <= fewTokens:
		s.vecForms(u, n, add)
	default:
		add(s.of(Tile, n))
		for _, m := range s.matricesOf(u) {
			add(matMulForm{Coop, uint32(m.M), uint32(m.N)})
		}
	}
	if s.CPU && !s.handsRound(u, n) {
		lanes(Reg)
	}
	if s.CPU && s.Shuffle && (n > 1 || s.handsRound(u, n)) {
		lanes(Bcast)
	}
	return list
}

// product records a unit's dispatch for n tokens.
func (e *Exec) product(rec *gpu.Recording, u *unit, n uint32, f matMulForm) error {
	return e.productPart(rec, u, n, f, math.MaxUint32)
}

// productPart is product with at most so many workgroups of rows, of forms that probe takes.
func (e *Exec) productPart(rec *gpu.Recording, u *unit, n uint32, f matMulForm, groups uint32) error {
	s := &e.kernels.shape
	push := shaders.MatmulVecPush{Part: uint32(u.first), Count: uint32(len(u.Parts)), Tokens: n}
	args := shaders.MatmulVecArgs{W: u.W, X: e.hullRange(u.x), Params: e.params0(), From: e.hullRange(u.from),
		Y: e.hullRange(u.y), Parts: e.parts.All()}
	if f.kernel == Sparse {
		return e.sparseProduct(rec, u, args, f)
	}
	if f.kernel == Hold {
		return e.held(rec, u, n, shaders.MatmulHoldArgs(args))
	}
	texel := e.matMulTexel(args)
	x, y := s.groups(f, u.Rows, n)
	x = min(x, groups)
	switch f.kernel {
	case Vec, Shared:
		k, err := e.kernels.matMulVec(u.Stored, texel, f)
		if err != nil {
			return err
		}
		k.Dispatch(rec, args, push, x, y, 1)
	case Narrow:
		k, err := e.kernels.matMulNarrow(u.Stored, f)
		if err != nil {
			return err
		}
		k.Dispatch(rec, shaders.MatmulNarrowArgs(args), shaders.MatmulNarrowPush(push), x, y, 1)
	case Reg:
		k, err := e.kernels.matMulReg(u.Stored, texel, f)
		if err != nil {
			return err
		}
		k.Dispatch(rec, shaders.MatmulRegArgs(args), shaders.MatmulRegPush(push), x, y, 1)
	case Bcast:
		k, err := e.kernels.matMulBcast(u.Stored, texel, f)
		if err != nil {
			return err
		}
		k.Dispatch(rec, shaders.MatmulBcastArgs(args), shaders.MatmulBcastPush(push), x, y, 1)
	case Segment:
		k, err := e.kernels.matMulSegment(u.Stored, texel, f)
		if err != nil {
			return err
		}
		k.Dispatch(rec, shaders.MatmulSegmentArgs(args), shaders.MatmulSegmentPush(push), x, y, 1)
	case Tile, SegmentTile:
		k, err := e.kernels.matMulTile(u.Stored, texel, f.kernel)
		if err != nil {
			return err
		}
		k.Dispatch(rec, shaders.MatmulTileArgs(args), shaders.MatmulTilePush(push), x, y, 1)
	case Coop:
		k, err := e.kernels.matMulCoop(u.Stored, f)
		if err != nil {
			return err
		}
		k.Dispatch(rec, shaders.MatmulCoopArgs(args), shaders.MatmulCoopPush(push), x, y, 1)
	default:
		return fmt.Errorf("vulkan: no MatMul kernel %d", f.kernel)
	}
	return nil
}

// matMulTexel tells whether a product's inputs are bound as texels.
func (e *Exec) matMulTexel(a shaders.MatmulVecArgs) bool {
	return e.texel(texels(a.W, 16), texels(a.X, 16), texels(a.Parts, 16), floatTexels(a.Params), floatTexels(a.From))
}

// formKey is the key of a kernel that is made for a form.
type formKey[V any] struct {
	v    V
	f    matMulForm
	band int
}

func (k *Kernels) matMulReg(w layout.Stored, texel bool, f matMulForm) (*shaders.MatmulReg, error) {
	v, err := variant(w.Type, texel, shaders.Variants[shaders.MatmulRegVariant]())
	if err != nil {
		return nil, err
	}
	return kernel(k, formKey[shaders.MatmulRegVariant]{v, f, w.Band}, func() (*shaders.MatmulReg, error) {
		return shaders.NewMatmulReg(k.dev, v,
			shaders.MatmulRegSpec{Band: uint32(w.Band), Local: k.shape.Local.Reg, TileRows: f.rows, TileTokens: f.tokens})
	})
}

func (k *Kernels) matMulBcast(w layout.Stored, texel bool, f matMulForm) (*shaders.MatmulBcast, error) {
	v, err := variant(w.Type, texel, shaders.Variants[shaders.MatmulBcastVariant]())
	if err != nil {
		return nil, err
	}
	return kernel(k, formKey[shaders.MatmulBcastVariant]{v, f, w.Band}, func() (*shaders.MatmulBcast, error) {
		return shaders.NewMatmulBcast(k.dev, v,
			shaders.MatmulBcastSpec{Band: uint32(w.Band), Local: k.shape.Local.Reg, TileRows: f.rows, TileTokens: f.tokens}, k.sized()...)
	})
}

func (k *Kernels) matMulTile(w layout.Stored, texel bool, kind MatMulKernel) (*shaders.MatmulTile, error) {
	v, err := variant(w.Type, texel, shaders.Variants[shaders.MatmulTileVariant]())
	if err != nil {
		return nil, err
	}
	spec := shaders.MatmulTileSpec{Band: uint32(w.Band), Segments: 1}
	if kind == SegmentTile {
		spec.Segments = segments
	}
	return kernel(k, specKey[shaders.MatmulTileVariant, shaders.MatmulTileSpec]{v, spec}, func() (*shaders.MatmulTile, error) {
		return shaders.NewMatmulTile(k.dev, v, spec)
	})
}
