package vulkan

import (
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
)

// Workgroups hold no more subgroups than the device allows where their size is required, and as many as they like elsewhere.
func TestFewSubgroups(t *testing.T) {
	for _, c := range []struct {
		name              string
		size, groups      int
		control           bool
		norm, plain, step uint32
	}{
		{"as many as needed", 8, 32, true, 256, 64, 256},
		{"narrow", 4, 32, true, 128, 64, 128},
		{"very few", 4, 2, true, 8, 8, 8},
		{"not stated", 4, 0, true, 256, 64, 256},
		{"no size required", 4, 2, false, 256, 64, 256},
	} {
		in := gpu.Info{Type: gpu.Discrete, Subgroup: gpu.Subgroup{Size: c.size, Min: c.size, Max: c.size},
			Features: gpu.Features{FullSubgroups: true, SubgroupControl: c.control},
			Limits:   gpu.Limits{MaxWorkgroupInvocations: 1024, MaxWorkgroupSubgroups: c.groups, MaxStorageBuffers: stepBuffers}}
		if s := shapeFor(in); s.normLocal != c.norm || s.plainLocal != c.plain || s.stepLocal != c.step {
			t.Errorf("%s: workgroups of %d, %d and %d, want %d, %d and %d", c.name, s.normLocal, s.plainLocal, s.stepLocal, c.norm, c.plain, c.step)
		}
	}
}
