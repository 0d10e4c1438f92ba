package profile

import (
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/shaders/glsl"
)

// Workgroups hold no more subgroups than the device allows where their size is required, and as many as they like
// elsewhere.
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
		in := gpu.Info{Type: gpu.Discrete, Subgroup: gpu.Subgroup{Size: c.size, Min: c.size, Max: c.size, Ops: []string{"shuffle"}},
			Features: gpu.Features{FullSubgroups: true, SubgroupControl: c.control},
			Limits:   gpu.Limits{MaxWorkgroupInvocations: 1024, MaxWorkgroupSubgroups: c.groups, MaxStorageBuffers: glsl.StepBuffers}}
		if s := Of(in); s.Local.Norm != c.norm || s.Local.Plain != c.plain || s.Local.Step != c.step {
			t.Errorf("%s: workgroups of %d, %d and %d, want %d, %d and %d", c.name, s.Local.Norm, s.Local.Plain, s.Local.Step, c.norm, c.plain, c.step)
		}
	}
}

// The kernels whose workgroup is one quad of lanes are for processors of few lanes that can run them.
func TestQuads(t *testing.T) {
	swiftShader := gpu.Info{Type: gpu.CPU, DriverID: gpu.SwiftShader, Limits: gpu.Limits{MaxWorkgroupInvocations: 256},
		Subgroup: gpu.Subgroup{Size: 4, Min: 4, Max: 4, Ops: []string{"basic", "arithmetic", "ballot", "quad"}}}
	for _, c := range []struct {
		name   string
		change func(in *gpu.Info)
		want   bool
	}{
		{"usual", func(*gpu.Info) {}, true},
		{"no swaps", func(in *gpu.Info) { in.Subgroup.Ops = []string{"basic", "arithmetic", "ballot"} }, false},
		{"no broadcasts", func(in *gpu.Info) { in.Subgroup.Ops = []string{"basic", "arithmetic", "quad"} }, false},
		{"subgroups below a quad", func(in *gpu.Info) { in.Subgroup.Min = 2 }, false},
		{"wider", func(in *gpu.Info) { in.Subgroup.Size, in.Subgroup.Min, in.Subgroup.Max = 8, 8, 8 }, false},
		{"another driver", func(in *gpu.Info) { in.DriverID = 13 }, false},
		{"of unknown driver", func(in *gpu.Info) { in.DriverID = 0 }, false},
		{"a GPU", func(in *gpu.Info) { in.Type = gpu.Discrete }, false},
	} {
		in := swiftShader
		c.change(&in)
		p := Of(in)
		if p.Narrow.Quads != c.want {
			t.Errorf("%s: want %t", c.name, c.want)
		}
		if vectors := p.CPU && !p.Narrow.Usual; p.Vectors() != vectors {
			t.Errorf("%s: lanes of vectors: want %t", c.name, vectors)
		}
	}
}
