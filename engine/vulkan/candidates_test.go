package vulkan

import (
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/layout"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// A GPU is offered no kernel that is made for emulated lanes, and none with more sums to a lane than its registers hold.
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
		s := shapeFor(c.info)
		if s.FewRegisters != c.few {
			t.Errorf("%s: few registers: want %t, got %t", c.name, c.few, s.FewRegisters)
		}
		tried := map[MatMulKernel]bool{}
		for _, typ := range []tensor.Type{tensor.F16, tensor.Q4_K} {
			for _, n := range []uint32{1, 2, 3, 5, 8, 9, 256} {
				u := &layout.Unit{Stored: layout.Stored{Type: typ}, Rows: 4096}
				list := s.candidates(u, n)
				if list[0] != s.usual(u, n) {
					t.Errorf("%s, %d tokens: want the usual form first, got %v", c.name, n, list)
				}
				for _, f := range list[1:] {
					tried[f.kernel] = true
					if f.kernel == Reg || f.kernel == Bcast || f.isVec() && f.rows*f.tokens > c.most {
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
