package vulkan

import (
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
)

// Subgroups are as wide as a device's own, but 16 where it lets a kernel ask for that; where their size is known, one token is
// one dispatch of wkv7_step, which loads no more rows at once than registers hold.
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
		info := gpu.Info{Type: c.typ, Subgroup: c.subgroup, Limits: gpu.Limits{MaxWorkgroupInvocations: 1024, MaxStorageBuffers: profile.StepBuffers}}
		info.Features.SubgroupControl, info.Features.FullSubgroups = c.control, c.full
		if info.Subgroup.Ops == nil {
			info.Subgroup.Ops = []string{"arithmetic", "shuffle"}
		}
		s := shapeFor(info)
		if s.Lanes != c.lanes || s.Local.Step != c.step {
			t.Errorf("%s: want subgroups of %d, wkv7_step with %d, got %d, %d", c.name, c.lanes, c.step, s.Lanes, s.Local.Step)
		}
		for i, n := range []uint32{64, 128, 256} {
			if took := s.takesStep(int(n)); took != (c.rows[i] > 0) {
				t.Errorf("%s, heads of %d: wkv7_step takes them: %t", c.name, n, took)
			} else if took && (s.stepAcross(n) != c.across[i] || s.stepRows(n) != c.rows[i]) {
				t.Errorf("%s, heads of %d: want rows of %d lanes, %d at once, got %d, %d", c.name, n, c.across[i], c.rows[i], s.stepAcross(n), s.stepRows(n))
			}
		}
	}
}

// Invocations that share a row of a head's state are so many that they divide it, and that each has place for its part.
func TestHeadSplit(t *testing.T) {
	gpus, emulated := kernelShape{}, kernelShape{profile.Profile{Shared: true}}
	for n := 4; n <= 256; n += 4 {
		for _, c := range []struct {
			name            string
			split           uint32
			most, mostParts int // elements of an invocation; vec4 that the shader has place for
		}{
			{"wkv6", gpus.split6(n), 64, 32}, {"wkv6, emulated", emulated.split6(n), 128, 32}, {"wkv7", split7(n), 64, 16},
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
		if got := [2]uint32{gpus.split6(n), split7(n)}; got != want {
			t.Errorf("heads of %d: want rows shared by %v in wkv6 and wkv7, got %v", n, want, got)
		}
	}
}
