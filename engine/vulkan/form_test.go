package vulkan

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/layout"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/op/optest"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// wave64 are the constants of a GPU with subgroups of 64, which has as many workgroups as every device must.
var wave64 = kernelShape{profile.Profile{Lanes: 64, MostGroups: 65535, Local: profile.Workgroups{Subgroups: 1, Reg: 16}, Narrow: profile.Narrow{Many: 1}}}

// emulated are the constants of a processor that runs 8 lanes at once.
var emulated = kernelShape{profile.Profile{CPU: true, Lanes: 8, Shuffle: true, MostGroups: 65535, Cores: 2, Local: profile.Workgroups{Subgroups: 8, Reg: 8}, Narrow: profile.Narrow{Many: 1}}}

// emulated16 are those of one that runs 16.
var emulated16 = kernelShape{profile.Profile{CPU: true, Lanes: 16, Shuffle: true, MostGroups: 65535, Cores: 2, Local: profile.Workgroups{Subgroups: 16, Reg: 16}, Narrow: profile.Narrow{Many: 1}}}

// Many rows of a block type go to subgroups four at a time; of a plain type, or of few, two. Emulated lanes take rows each,
// eight where each core gets some workgroups of them.
func TestUsual(t *testing.T) {
	for _, c := range []struct {
		shape kernelShape
		typ   tensor.Type
		rows  int
		want  matMulForm
	}{
		{wave64, tensor.Q4_0, manyRows, matMulForm{Vec, 4, 1}}, {wave64, tensor.Q4_0, manyRows - 64, matMulForm{Vec, 2, 1}},
		{wave64, tensor.F16, 1 << 16, matMulForm{Vec, 2, 1}},
		{emulated, tensor.F16, 512, matMulForm{Reg, 8, 1}}, {emulated, tensor.Q8_0, 512, matMulForm{Bcast, 8, 1}},
		{emulated, tensor.F16, 448, matMulForm{Reg, 4, 1}}, {emulated, tensor.Q8_0, 448, matMulForm{Bcast, 4, 1}},
		{emulated16, tensor.F16, 4096, matMulForm{Reg, 4, 1}}, // 8 rows to a lane are more than a workgroup may have
		{kernelShape{profile.Profile{CPU: true, TexelBytes: 1 << 20, Narrow: profile.Narrow{Usual: true}}}, tensor.F16, 64, matMulForm{Narrow, 8, 1}},
		{kernelShape{profile.Profile{CPU: true, TexelBytes: -1, Local: profile.Workgroups{Reg: 4}, Narrow: profile.Narrow{Usual: true}}}, tensor.F16, 64, matMulForm{Reg, 4, 1}}, // too large for it
	} {
		if f := c.shape.usual(&layout.Unit{Stored: layout.Stored{Type: c.typ}, Rows: c.rows}, 1); f != c.want {
			t.Errorf("%d rows of %s: want %s, got %s", c.rows, c.typ, c.want, f)
		}
	}
	// With more tokens a subgroup takes fewer rows, so that registers hold their sums.
	for _, c := range []struct {
		few    bool
		typ    tensor.Type
		rows   int
		tokens uint32
		want   matMulForm
	}{
		{false, tensor.F16, 64, 3, matMulForm{Vec, 2, 4}}, {false, tensor.F16, 64, 5, matMulForm{Vec, 1, 8}},
		{false, tensor.Q6_K, manyRows, 2, matMulForm{Vec, 4, 2}}, {false, tensor.Q6_K, manyRows, 4, matMulForm{Vec, 2, 4}},
		{true, tensor.Q6_K, manyRows, 1, matMulForm{Vec, 2, 1}}, {true, tensor.F16, 64, 2, matMulForm{Vec, 2, 2}},
		{true, tensor.F16, 64, 3, matMulForm{Vec, 1, 4}}, {true, tensor.Q6_K, manyRows, 8, matMulForm{Vec, 1, 8}},
	} {
		s := wave64
		s.FewRegisters = c.few
		if f := s.usual(&layout.Unit{Stored: layout.Stored{Type: c.typ}, Rows: c.rows}, c.tokens); f != c.want {
			t.Errorf("few registers %t, %d rows of %s, %d tokens: want %s, got %s", c.few, c.rows, c.typ, c.tokens, c.want, f)
		}
	}
	for n, want := range map[uint32]matMulForm{2: {Reg, 8, 2}, 3: {Bcast, 8, 4}, 100: {Bcast, 8, 16}} {
		if f := emulated.usual(&layout.Unit{Rows: 512}, n); f != want {
			t.Errorf("%d tokens: want %s, got %s", n, want, f)
		}
	}
	few := kernelShape{profile.Profile{CPU: true, TexelBytes: 1 << 20, Local: profile.Workgroups{Reg: 4}, Narrow: profile.Narrow{Usual: true, Quads: true}}}
	for _, c := range []struct {
		typ    tensor.Type
		tokens uint32
		want   matMulForm
	}{
		{tensor.F16, holdLeast - 1, matMulForm{Narrow, 8, 8}}, {tensor.F16, holdLeast, holdForm},
		{tensor.Q4_K, holdLeast - 1, matMulForm{Reg, 4, 8}}, {tensor.Q4_K, holdLeast, holdForm},
	} {
		u := &layout.Unit{Stored: layout.Stored{Type: c.typ}, Rows: 64}
		if f := few.usual(u, c.tokens); f != c.want || c.want.kernel != Reg && len(few.candidates(u, c.tokens)) != 1 {
			t.Errorf("few lanes, %s, %d tokens: want %s alone, got %s", c.typ, c.tokens, c.want, f)
		}
	}
	e, u := &Exec{kernels: &Kernels{shape: few}, dev: &gpu.Device{}}, &unit{Unit: layout.Unit{Rows: 64}}
	if e.tuningKey(u, holdLeast-1) == e.tuningKey(u, holdLeast) || e.tuningKey(u, holdLeast) != e.tuningKey(u, 100) {
		t.Error("want one key from matmul_hold's first number of tokens on, and none of those before it")
	}
}

// Lanes share units of a block type where one each would leave more than a third of them idle, whatever the number of tokens.
func TestUsualShares(t *testing.T) {
	for _, c := range []struct {
		lanes    uint32
		typ      tensor.Type
		matrices [][2]int // rows and columns
		want     MatMulKernel
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
		s := wave64
		s.Lanes = c.lanes
		u := unitOf(c.typ, c.matrices...)
		for _, n := range []uint32{1, 3, fewTokens} {
			list := s.candidates(u, n)
			if list[0].kernel != c.want {
				t.Errorf("%d lanes, %s of %v, %d tokens: want %s, got %s", c.lanes, c.typ, c.matrices, n, c.want, list[0])
			}
			shared := 0
			for _, f := range list {
				if f.kernel == Shared {
					shared++
				}
			}
			if takes := c.typ.IsBlock() && c.lanes >= sharers; takes != (shared > 0) || takes && 2*shared != len(list) {
				t.Errorf("%d lanes, %s, %d tokens: %d of forms %v share units", c.lanes, c.typ, n, shared, list)
			}
		}
	}
}

// The workgroups of matmul_hold take every row once, no more rows than they have sums for, and are enough for all cores.
func TestHoldGroups(t *testing.T) {
	for _, cores := range []int{1, 2, 16, 100} {
		s := kernelShape{profile.Profile{Cores: cores}}
		for _, rows := range []int{1, 40, 168, 768, 1100, 3072, 65536} {
			for _, n := range []uint32{holdLeast, 64, 130, 256, 1000} {
				each, x, y := s.holdGroups(rows, n)
				if each < 1 || each > holdRows || int(each*x) < rows || int(each*(x-1)) >= rows || y*holdTokens < n || (y-1)*holdTokens >= n ||
					int(x*y) < min(rows, cores) {
					t.Errorf("%d cores, %d rows, %d tokens: got %d x %d workgroups of %d rows", cores, rows, n, x, y, each)
				}
			}
		}
	}
}

// No form is measured that needs more workgroups than the device has, and the usual one never does.
func TestFormsWithinLimits(t *testing.T) {
	has := func(rows int, want matMulForm) bool {
		for _, f := range wave64.candidates(&layout.Unit{Rows: rows}, 1) {
			if f == want {
				return true
			}
		}
		return false
	}
	one := matMulForm{Vec, 1, 1}
	if has(65536, one) || !has(65535/64*64, one) || !has(65536, matMulForm{Vec, 2, 1}) {
		t.Error("want one row to a subgroup for at most 65535 of them")
	}
	most := wave64.mostRows()
	if x, _ := wave64.groups(wave64.of(Vec, 1), most, 1); most%layout.RowAlign != 0 || most < 65536 || int(x) > wave64.MostGroups {
		t.Errorf("%d rows take %d workgroups of %d", most, x, wave64.MostGroups)
	}
	for n := uint32(1); n <= fewTokens; n++ {
		for _, few := range []bool{false, true} {
			s := wave64
			s.FewRegisters = few
			u := &layout.Unit{Rows: most}
			for _, f := range []matMulForm{s.usual(u, n), s.within(s.of(Vec, n), u, n), s.within(s.of(Shared, n), u, n)} {
				if x, _ := s.groups(f, most, n); int(x) > s.MostGroups {
					t.Errorf("%d rows, %d tokens, few registers %t: %s takes %d workgroups of %d", most, n, few, f, x, s.MostGroups)
				}
			}
		}
	}
}

// A device that has few workgroups for a dispatch makes products fall into several, by every kernel.
func TestFewGroups(t *testing.T) {
	k := kernels(t, gpu.DeviceOptions{LimitOverride: func(l *gpu.Limits) { l.MaxWorkgroupCount[0] = 4 }})
	for _, kernel := range append([]MatMulKernel{Auto}, MatMulKernels...) {
		if !k.Offers(kernel) {
			continue
		}
		split := false
		open := func(tb testing.TB, prog *op.Program, s op.Sizes, guard int) op.Prober {
			e := opener(k, kernel)(tb, prog, s, guard)
			for _, units := range e.(*Exec).ops.matMuls {
				split = split || len(units) > 1
			}
			return e
		}
		t.Run(kernel.String(), func(t *testing.T) {
			optest.RunIf(t, open, func(name string) bool {
				return name == "MatMul/Q4_0/512x512/rows1" || name == "MatMul/F16/100x130/rows33" || name == "MatMul/group/F16+F16/rows5"
			})
		})
		if !split {
			t.Errorf("%s: nothing was split", kernel)
		}
	}
}

// The weights of a layer's products take turns with those of the other layers, which differ in nothing else. The first
// layer's differ in more.
func TestAlikeUnits(t *testing.T) {
	m := golden.Demo(t, 0)
	e := opener(kernels(t), Auto)(t, m.Program, op.Sizes{Slots: 1, Rows: 1, Seqs: 1, Outs: 1}, 0).(*Exec)
	others := 0
	for _, step := range e.prog.Steps {
		o, ok := step.Op.(*op.MatMul)
		if !ok {
			continue
		}
		u := &e.ops.matMuls[o][0]
		list := e.alikeUnits(u)
		for i, v := range list {
			if v.Rows != u.Rows || v.x != u.x || v.y != u.y || i > 0 && v.W == u.W {
				t.Errorf("%s: %+v is not like %+v", step.Name, v, u)
			}
		}
		if list[0] != u || len(list) > m.Layers {
			t.Errorf("%s: %d units alike in %d layers", step.Name, len(list), m.Layers)
		}
		if step.Layer > 0 {
			if others++; len(list) < m.Layers-1 {
				t.Errorf("%s: %d units alike in %d layers", step.Name, len(list), m.Layers)
			}
		}
	}
	if others < 4*(m.Layers-1) {
		t.Errorf("%d products in %d layers", others, m.Layers)
	}
}

// preparing measures before each step.
type preparing struct{ *Exec }

func (p preparing) RunStep(i int) error {
	staged := p.batch
	if err := p.Prepare(context.Background(), &staged); err != nil {
		return err
	}
	return p.Exec.RunStep(i)
}

// To measure leaves what a step is about to read as it is.
func TestTunerLeavesInputs(t *testing.T) {
	k := choosing(t)
	measured := 0
	open := func(tb testing.TB, prog *op.Program, s op.Sizes, guard int) op.Prober {
		tuner := NewTuner("", true, func(string) { measured++ })
		tuner.Budget = time.Hour
		e, err := New(k, prog, Options{Sizes: s, Guard: guard, Tuner: tuner})
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = e.Close() })
		return preparing{e}
	}
	optest.RunIf(t, open, func(name string) bool {
		return name == "MatMul/F16/24x96/rows1" || name == "MatMul/F16/67x512/rows33" || strings.HasPrefix(name, "MatMul/add in place/")
	})
	if measured == 0 {
		t.Error("nothing was measured")
	}
}
