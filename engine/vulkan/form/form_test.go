package form

import (
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel/emulated"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/layout"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/shaders/glsl"
)

// of is a form of a product.
func of(kernel string, rows, tokens uint32) tune.Form {
	return tune.Form{Kernel: kernel, Rows: rows, Tokens: tokens}
}

func chooserFor(info gpu.Info) Chooser {
	is := profile.Of(info)
	return Chooser{&is}
}

// wave64 are the constants of a GPU with subgroups of 64, which has as many workgroups as every device must.
var wave64 = Chooser{&profile.Profile{Lanes: 64, MostGroups: 65535, Local: profile.Workgroups{Subgroups: 1, Reg: 16}, Narrow: profile.Narrow{Many: 1}}}

// lanes8 are the constants of a processor that runs 8 lanes at once.
var lanes8 = Chooser{&profile.Profile{CPU: true, Lanes: 8, Shuffle: true, MostGroups: 65535, Cores: 2, Local: profile.Workgroups{Subgroups: 8, Reg: 8}, Narrow: profile.Narrow{Many: 1}}}

// lanes16 are those of one that runs 16.
var lanes16 = Chooser{&profile.Profile{CPU: true, Lanes: 16, Shuffle: true, MostGroups: 65535, Cores: 2, Local: profile.Workgroups{Subgroups: 16, Reg: 16}, Narrow: profile.Narrow{Many: 1}}}

// Many rows of a block type go to subgroups four at a time; of a plain type, or of few, two. Emulated lanes take rows
// each, eight where each core gets some workgroups of them.
func TestUsual(t *testing.T) {
	for _, c := range []struct {
		shape Chooser
		typ   tensor.Type
		rows  int
		want  tune.Form
	}{
		{wave64, tensor.Q4_0, manyRows, of(Vec, 4, 1)}, {wave64, tensor.Q4_0, manyRows - 64, of(Vec, 2, 1)},
		{wave64, tensor.F16, 1 << 16, of(Vec, 2, 1)},
		{lanes8, tensor.F16, 512, of(Bcast, 8, 1)}, {lanes8, tensor.Q8_0, 512, of(Bcast, 8, 1)},
		{lanes8, tensor.F16, 448, of(Bcast, 4, 1)}, {lanes8, tensor.Q8_0, 448, of(Bcast, 4, 1)},
		{lanes16, tensor.F16, 4096, of(Bcast, 4, 1)}, // 8 rows to a lane are more than a workgroup may have
		{Chooser{&profile.Profile{CPU: true, TexelBytes: 1 << 20, Narrow: profile.Narrow{Usual: true}}}, tensor.F16, 64, of(Narrow, 8, 1)},
		{Chooser{&profile.Profile{CPU: true, TexelBytes: -1, Local: profile.Workgroups{Reg: 4}, Narrow: profile.Narrow{Usual: true}}}, tensor.F16, 64, of(Reg, 4, 1)}, // too large for it
	} {
		if f := c.shape.Usual(&layout.Slab{Stored: layout.Stored{Type: c.typ}, Rows: c.rows}, 1); f != c.want {
			t.Errorf("%d rows of %s: want %s, got %s", c.rows, c.typ, c.want, f)
		}
	}
	// With more tokens a subgroup takes fewer rows, so that registers hold their sums.
	for _, c := range []struct {
		few    bool
		typ    tensor.Type
		rows   int
		tokens uint32
		want   tune.Form
	}{
		{false, tensor.F16, 64, 3, of(Vec, 2, 4)}, {false, tensor.F16, 64, 5, of(Vec, 1, 8)},
		{false, tensor.Q6_K, manyRows, 2, of(Vec, 4, 2)}, {false, tensor.Q6_K, manyRows, 4, of(Vec, 2, 4)},
		{true, tensor.Q6_K, manyRows, 1, of(Vec, 2, 1)}, {true, tensor.F16, 64, 2, of(Vec, 2, 2)},
		{true, tensor.F16, 64, 3, of(Vec, 1, 4)}, {true, tensor.Q6_K, manyRows, 8, of(Vec, 1, 8)},
	} {
		is := *wave64.Profile
		is.FewRegisters = c.few
		s := Chooser{&is}
		if f := s.Usual(&layout.Slab{Stored: layout.Stored{Type: c.typ}, Rows: c.rows}, c.tokens); f != c.want {
			t.Errorf("few registers %t, %d rows of %s, %d tokens: want %s, got %s", c.few, c.rows, c.typ, c.tokens, c.want, f)
		}
	}
	for n, want := range map[uint32]tune.Form{2: of(Bcast, 8, 2), 3: of(Bcast, 8, 4), 100: of(Bcast, 8, 16)} {
		if f := lanes8.Usual(&layout.Slab{Rows: 512}, n); f != want {
			t.Errorf("%d tokens: want %s, got %s", n, want, f)
		}
	}
	few := Chooser{&profile.Profile{CPU: true, TexelBytes: 1 << 20, Local: profile.Workgroups{Reg: 4}, Narrow: profile.Narrow{Usual: true, Quads: true}}}
	for _, c := range []struct {
		typ    tensor.Type
		tokens uint32
		want   tune.Form
	}{
		{tensor.F16, emulated.HoldLeast - 1, of(Narrow, 8, 8)}, {tensor.F16, emulated.HoldLeast, emulated.Form(Hold, 100)},
		{tensor.Q4_K, emulated.HoldLeast - 1, of(Reg, 4, 8)}, {tensor.Q4_K, emulated.HoldLeast, emulated.Form(Hold, 100)},
	} {
		u := &layout.Slab{Stored: layout.Stored{Type: c.typ}, Rows: 64}
		if f := few.Usual(u, c.tokens); f != c.want || c.want.Kernel != Reg && len(few.Candidates(u, c.tokens)) != 1 {
			t.Errorf("few lanes, %s, %d tokens: want %s alone, got %s", c.typ, c.tokens, c.want, f)
		}
	}
}

// Lanes share units of a block type where one each would leave more than a third of them idle, whatever the number of
// tokens.
func TestUsualShares(t *testing.T) {
	for _, c := range []struct {
		lanes    uint32
		typ      tensor.Type
		matrices [][2]int // rows and columns
		want     string
	}{
		{64, tensor.Q4_K, [][2]int{{768, 768}}, Shared},               // 24 of 64 lanes
		{64, tensor.Q8_0, [][2]int{{2560, 2560}}, Shared},             // 80 of 128
		{64, tensor.Q4_0, [][2]int{{768, 3072}}, Vec},                 // 96 of 128
		{64, tensor.Q4_K, [][2]int{{2048, 2048}}, Vec},                // 64 of 64
		{32, tensor.Q4_K, [][2]int{{768, 768}}, Vec},                  // 24 of 32
		{128, tensor.Q4_K, [][2]int{{2048, 2048}}, Shared},            // 64 of 128
		{16, tensor.Q8_0, [][2]int{{64, 96}}, Shared},                 // 3 of 16
		{64, tensor.F16, [][2]int{{768, 64}}, Vec},                    // a lane takes no less of a plain type
		{64, tensor.Q4_K, [][2]int{{2048, 2048}, {256, 768}}, Vec},    // few rows are short
		{64, tensor.Q4_K, [][2]int{{256, 2048}, {2048, 768}}, Shared}, // many are
		{2, tensor.Q4_K, [][2]int{{768, 96}, {768, 32}}, Vec},         // too few lanes to share
	} {
		is := *wave64.Profile
		is.Lanes = c.lanes
		s := Chooser{&is}
		u := slabOf(c.typ, c.matrices...)
		for _, n := range []uint32{1, 3, FewTokens} {
			list := s.Candidates(u, n)
			if list[0].Kernel != c.want {
				t.Errorf("%d lanes, %s of %v, %d tokens: want %s, got %s", c.lanes, c.typ, c.matrices, n, c.want, list[0])
			}
			shared := 0
			for _, f := range list {
				if f.Kernel == Shared {
					shared++
				}
			}
			if takes := c.typ.IsBlock() && c.lanes >= sharers; takes != (shared > 0) || takes && 2*shared != len(list) {
				t.Errorf("%d lanes, %s, %d tokens: %d of forms %v share units", c.lanes, c.typ, n, shared, list)
			}
		}
	}
}

// slabOf returns a slab of matrices of so many rows and columns.
func slabOf(typ tensor.Type, matrices ...[2]int) *layout.Slab {
	u := &layout.Slab{Stored: layout.Stored{Type: typ, Band: 1}}
	for _, m := range matrices {
		w := &op.Operand{Shape: m[:], Source: tensor.New("w", typ, m[:], nil)}
		u.Parts = append(u.Parts, layout.Part{Part: &op.Part{W: w}, Rows: m[0]})
		u.Rows += m[0]
	}
	return u
}

// No form is measured that needs more workgroups than the device has, and the usual one never does.
func TestFormsWithinLimits(t *testing.T) {
	has := func(rows int, want tune.Form) bool {
		for _, f := range wave64.Candidates(&layout.Slab{Rows: rows}, 1) {
			if f == want {
				return true
			}
		}
		return false
	}
	one := of(Vec, 1, 1)
	if has(65536, one) || !has(65535/64*64, one) || !has(65536, of(Vec, 2, 1)) {
		t.Error("want one row to a subgroup for at most 65535 of them")
	}
	most := wave64.mostRows()
	if x, _ := wave64.Groups(wave64.Of(Vec, 1), most, 1); most%layout.RowAlign != 0 || most < 65536 || int(x) > wave64.MostGroups {
		t.Errorf("%d rows take %d workgroups of %d", most, x, wave64.MostGroups)
	}
	for n := uint32(1); n <= FewTokens; n++ {
		for _, few := range []bool{false, true} {
			is := *wave64.Profile
			is.FewRegisters = few
			s := Chooser{&is}
			u := &layout.Slab{Rows: most}
			for _, f := range []tune.Form{s.Usual(u, n), s.Within(s.Of(Vec, n), u, n), s.Within(s.Of(Shared, n), u, n)} {
				if x, _ := s.Groups(f, most, n); int(x) > s.MostGroups {
					t.Errorf("%d rows, %d tokens, few registers %t: %s takes %d workgroups of %d", most, n, few, f, x, s.MostGroups)
				}
			}
		}
	}
}

// Subgroups are as wide as a device's own, but 16 where it lets a kernel ask for that; where their size is known, one
// token is one dispatch of wkv7_step, which loads no more rows at once than registers hold.
func TestShapes(t *testing.T) {
	for _, c := range []struct {
		name     string
		typ      gpu.Type
		subgroup gpu.Subgroup
		control  bool // of the size
		full     bool
		lanes    uint32
		step     uint32    // workgroup of wkv7_step
		across   [3]uint32 // lanes that share a row there, for heads of 64, 128 and 256
		rows     [3]uint32 // that these load at once; 0 where a head is not for it
	}{
		{"RDNA", gpu.Discrete, gpu.Subgroup{Size: 64, Min: 32, Max: 64}, true, true, 64, 256, [3]uint32{16, 32, 64}, [3]uint32{4, 8, 8}},
		{"GCN", gpu.Discrete, gpu.Subgroup{Size: 64, Min: 64, Max: 64}, true, true, 64, 256, [3]uint32{16, 32, 64}, [3]uint32{4, 8, 8}},
		{"GCN, without size control", gpu.Discrete, gpu.Subgroup{Size: 64, Min: 64, Max: 64}, false, true, 64, 256, [3]uint32{16, 32, 64}, [3]uint32{4, 8, 8}},
		{"Xe", gpu.Discrete, gpu.Subgroup{Size: 32, Min: 8, Max: 32}, true, true, 16, 256, [3]uint32{16, 16, 16}, [3]uint32{4, 0, 0}},
		{"Xe2", gpu.Discrete, gpu.Subgroup{Size: 32, Min: 16, Max: 32}, true, true, 16, 256, [3]uint32{16, 16, 16}, [3]uint32{4, 0, 0}},
		{"Apple", gpu.Integrated, gpu.Subgroup{Size: 32, Min: 32, Max: 32}, false, true, 32, 256, [3]uint32{32, 32, 32}, [3]uint32{8, 8, 0}},
		{"of unknown width", gpu.Discrete, gpu.Subgroup{Size: 32, Min: 16, Max: 64}, false, true, 32, 0, [3]uint32{}, [3]uint32{}},
		{"that may leave lanes idle", gpu.Discrete, gpu.Subgroup{Size: 32, Min: 32, Max: 32}, true, false, 32, 0, [3]uint32{}, [3]uint32{}},
		{"whose lanes cannot read one another", gpu.Discrete, gpu.Subgroup{Size: 32, Min: 32, Max: 32, Ops: []string{"arithmetic"}}, true, true, 32, 0, [3]uint32{}, [3]uint32{}},
		{"processor", gpu.CPU, gpu.Subgroup{Size: 8, Min: 8, Max: 8}, false, false, 8, 8, [3]uint32{8, 8, 8}, [3]uint32{4, 2, 1}},
	} {
		info := gpu.Info{Type: c.typ, Subgroup: c.subgroup, Limits: gpu.Limits{MaxWorkgroupInvocations: 1024, MaxStorageBuffers: glsl.StepBuffers}}
		info.Features.SubgroupControl, info.Features.FullSubgroups = c.control, c.full
		if info.Subgroup.Ops == nil {
			info.Subgroup.Ops = []string{"arithmetic", "shuffle"}
		}
		s := Heads{chooserFor(info).Profile}
		if s.Lanes != c.lanes || s.Local.Step != c.step {
			t.Errorf("%s: want subgroups of %d, wkv7_step with %d, got %d, %d", c.name, c.lanes, c.step, s.Lanes, s.Local.Step)
		}
		for i, n := range []uint32{64, 128, 256} {
			if took := s.TakesStep(int(n)); took != (c.rows[i] > 0) {
				t.Errorf("%s, heads of %d: wkv7_step takes them: %t", c.name, n, took)
			} else if took && (s.StepAcross(n) != c.across[i] || s.StepRows(n) != c.rows[i]) {
				t.Errorf("%s, heads of %d: want rows of %d lanes, %d at once, got %d, %d", c.name, n, c.across[i], c.rows[i], s.StepAcross(n), s.StepRows(n))
			}
		}
	}
}

// Invocations that share a row of a head's state are so many that they divide it, and that each has place for its part.
func TestHeadSplit(t *testing.T) {
	gpus, lanes8 := Heads{&profile.Profile{}}, Heads{&profile.Profile{Shared: true}}
	for n := 4; n <= 256; n += 4 {
		for _, c := range []struct {
			name            string
			split           uint32
			most, mostParts int // elements of an invocation; vec4 that the shader has place for
		}{
			{"wkv6", gpus.Split6(n), 64, 32}, {"wkv6, emulated", lanes8.Split6(n), 128, 32}, {"wkv7", Split7(n), 64, 16},
		} {
			split := int(c.split)
			if split < 1 || split > 8 || n%split != 0 {
				t.Errorf("%s, heads of %d: want a split of 1, 2, 4 or 8 that divides them, got %d", c.name, n, split)
				continue
			}
			if parts := (n/4 + split - 1) / split; parts > c.mostParts || n/split > c.most {
				t.Errorf("%s, heads of %d, split %d: want at most %d vec4 and %d elements each, got %d and %d", c.name, n, split, c.mostParts, c.most, parts, n/split)
			}
		}
	}
	for n, want := range map[int][2]uint32{4: {1, 1}, 32: {1, 1}, 36: {2, 1}, 64: {2, 1}, 68: {4, 2}, 128: {4, 2}, 132: {4, 4}, 136: {8, 4}, 252: {4, 4}, 256: {8, 4}} {
		if got := [2]uint32{gpus.Split6(n), Split7(n)}; got != want {
			t.Errorf("heads of %d: want rows shared by %v in wkv6 and wkv7, got %v", n, want, got)
		}
	}
}

// A GPU is offered no kernel that is made for lanes8 lanes, and none with more sums to a lane than its registers hold.
func TestCandidatesOfGPUs(t *testing.T) {
	for _, c := range []struct {
		name string
		info gpu.Info
		few  bool
		most uint32 // sums of a lane
	}{
		{"large", gpu.Info{Type: gpu.Discrete, Subgroup: gpu.Subgroup{Size: 64, Min: 32, Max: 64}}, false, 16},
		{"of one size", gpu.Info{Type: gpu.Discrete, Subgroup: gpu.Subgroup{Size: 32, Min: 32, Max: 32}}, false, 16},
		{"mobile", gpu.Info{Type: gpu.Integrated, Subgroup: gpu.Subgroup{Size: 128, Min: 64, Max: 128}}, true, 4},
		{"of narrow subgroups", gpu.Info{Type: gpu.Discrete, Subgroup: gpu.Subgroup{Size: 32, Min: 8, Max: 32}}, true, 4},
		{"newer of the kind", gpu.Info{Type: gpu.Discrete, Subgroup: gpu.Subgroup{Size: 32, Min: 16, Max: 32}}, true, 4},
		{"integrated of one size", gpu.Info{Type: gpu.Integrated, Subgroup: gpu.Subgroup{Size: 32, Min: 32, Max: 32}}, true, 4},
		{"behind another API", gpu.Info{Type: gpu.Discrete, Subgroup: gpu.Subgroup{Size: 32, Min: 32, Max: 32}, Features: gpu.Features{Portability: true}}, true, 4},
	} {
		c.info.Subgroup.Ops = []string{"basic", "arithmetic", "ballot", "shuffle"}
		c.info.Features.SubgroupControl, c.info.Features.FullSubgroups = true, true
		c.info.Limits = gpu.Limits{MaxWorkgroupInvocations: 1024, MaxWorkgroupCount: [3]int{65535, 65535, 65535}, MaxStorageBuffers: 16}
		s := chooserFor(c.info)
		if s.FewRegisters != c.few {
			t.Errorf("%s: few registers: want %t, got %t", c.name, c.few, s.FewRegisters)
		}
		tried := map[string]bool{}
		for _, typ := range []tensor.Type{tensor.F16, tensor.Q4_K} {
			for _, n := range []uint32{1, 2, 3, 5, 8, 9, 256} {
				u := &layout.Slab{Stored: layout.Stored{Type: typ}, Rows: 4096}
				list := s.Candidates(u, n)
				if list[0] != s.Usual(u, n) {
					t.Errorf("%s, %d tokens: want the usual form first, got %v", c.name, n, list)
				}
				for _, f := range list[1:] {
					tried[f.Kernel] = true
					if f.Kernel == Reg || f.Kernel == Bcast || isVec(f) && f.Rows*f.Tokens > c.most {
						t.Errorf("%s, %d tokens: %s is offered", c.name, n, f)
					}
				}
			}
		}
		if !tried[Vec] || !tried[Shared] || len(tried) != 2 {
			t.Errorf("%s: want other forms of %s and %s tried, got %v", c.name, Vec, Shared, tried)
		}
	}
}

// Quarters are twice as wide where registers hold the sums.
func TestCoopSide(t *testing.T) {
	for _, few := range []bool{false, true} {
		s := Chooser{&profile.Profile{FewRegisters: few}}
		for f, want := range map[tune.Form]uint32{of(Coop, 8, 16): 32, of(Coop, 8, 8): 16, of(Coop, 32, 8): 64} {
			if few {
				want /= 2
			}
			if side := s.CoopSide(f); side != min(want, glsl.CoopSide) {
				t.Errorf("%s, few registers %t: want quarters of %d, got %d", f, few, min(want, glsl.CoopSide), side)
			}
		}
	}
}

// Lanes that cannot read one another's registers hand nothing round.
func TestCandidatesWithoutShuffle(t *testing.T) {
	for _, cpu := range []bool{false, true} {
		s := Chooser{&profile.Profile{CPU: cpu, Lanes: 8, MostGroups: 65535, Local: profile.Workgroups{Subgroups: 1, Reg: 8}}}
		for _, n := range []uint32{1, 8, 40} {
			for _, f := range s.Candidates(&layout.Slab{Rows: 64}, n) {
				if f.Kernel == Bcast {
					t.Errorf("cpu %v, %d tokens: want no form of %s, got %s", cpu, n, Bcast, f)
				}
			}
		}
	}
}

// Forms that round are for executors that may round, for many tokens, with matrices that fit: a wide tile needs
// registers, and its sums the tile's memory.
func TestHalves(t *testing.T) {
	slab := func(width int) *layout.Slab {
		w := &op.Operand{Shape: []int{768, width}, Width: width, Source: tensor.New("w", tensor.F16, []int{768, width}, nil)}
		return &layout.Slab{Stored: layout.Stored{Type: tensor.F16, Band: 1}, Rows: 768, Parts: []layout.Part{{Part: &op.Part{W: w}, Rows: 768}}}
	}
	for _, c := range []struct {
		what     string
		few      bool
		width    int
		matrices []gpu.MatrixShape
		want     []tune.Form
	}{
		{"none", false, 768, nil, []tune.Form{of(Tile, 0, 0)}},
		{"16 x 16", false, 768, []gpu.MatrixShape{{M: 16, N: 16, K: 16}}, []tune.Form{of(Half, 16, 16), of(HalfWide, 16, 16)}},
		{"a row that ends within 8 elements", false, 764, []gpu.MatrixShape{{M: 16, N: 16, K: 16}}, []tune.Form{of(Tile, 0, 0)}},
		{"few registers", true, 768, []gpu.MatrixShape{{M: 8, N: 8, K: 16}}, []tune.Form{of(Half, 8, 8)}},
		{"32 tokens", false, 768, []gpu.MatrixShape{{M: 8, N: 32, K: 16}, {M: 16, N: 16, K: 16}},
			[]tune.Form{of(Half, 8, 32), of(Half, 16, 16), of(HalfWide, 16, 16)}},
	} {
		is := *wave64.Profile
		is.FewRegisters, is.Matrices = c.few, c.matrices
		s, u := Chooser{&is}, slab(c.width)
		if got := s.Halves(u, 64); !slices.Equal(got, c.want) {
			t.Errorf("%s: want %v, got %v", c.what, c.want, got)
		}
		for _, f := range slices.Concat(s.Candidates(u, 64), s.Candidates(u, 1), s.Exact(u, 64)) {
			if f.Kernel == Half || f.Kernel == HalfWide {
				t.Errorf("%s: %s without leave to round", c.what, f)
			}
		}
	}
}
