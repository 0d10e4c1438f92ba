package vulkan

import (
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/op/optest"
)

// RWKV-7's heads of 64 hold in the forms that the device would not choose: by wkv7_narrow without texels, which TestOps has
// where they are usual, and by the other kernels.
func TestOtherHeads(t *testing.T) {
	k := kernels(t)
	if !runsQuads(k.dev.Info()) {
		t.Skipf("%s has not what wkv7_narrow needs", k.dev.Info().Name)
	}
	s, usual := &k.shape, k.shape
	defer func() { *s = usual }()
	run := func(name string) {
		t.Run(name, func(t *testing.T) {
			optest.RunIf(t, openerOf(k, Auto, Buffers), func(name string) bool {
				return isWKV7(name) && !strings.Contains(name, "/N")
			})
		})
	}
	s.quads, s.texelBytes = true, 0
	run("narrow")
	if usual.quads {
		*s = usual
		s.quads = false
		run("others")
	}
}

// wkv7_narrow is for narrow devices that can run it, and for heads of its size.
func TestTakesQuads(t *testing.T) {
	swiftShader := gpu.Info{Type: gpu.CPU, Limits: gpu.Limits{MaxWorkgroupInvocations: 256},
		Subgroup: gpu.Subgroup{Size: 4, Min: 4, Max: 4, Ops: []string{"basic", "arithmetic", "ballot", "quad"}}}
	for _, c := range []struct {
		name   string
		change func(in *gpu.Info, o *op.WKV7)
		want   bool
	}{
		{"usual", func(*gpu.Info, *op.WKV7) {}, true},
		{"other heads", func(_ *gpu.Info, o *op.WKV7) { o.N = 128 }, false},
		{"no swaps", func(in *gpu.Info, _ *op.WKV7) { in.Subgroup.Ops = []string{"basic", "arithmetic", "ballot"} }, false},
		{"no broadcasts", func(in *gpu.Info, _ *op.WKV7) { in.Subgroup.Ops = []string{"basic", "arithmetic", "quad"} }, false},
		{"subgroups below a quad", func(in *gpu.Info, _ *op.WKV7) { in.Subgroup.Min = 2 }, false},
		{"wider", func(in *gpu.Info, _ *op.WKV7) { in.Subgroup.Size, in.Subgroup.Min, in.Subgroup.Max = 8, 8, 8 }, false},
		{"a GPU", func(in *gpu.Info, _ *op.WKV7) { in.Type = gpu.Discrete }, false},
	} {
		in, o := swiftShader, op.WKV7{Heads: 12, N: 64}
		c.change(&in, &o)
		if s := shapeFor(in); s.takesQuads(&o) != c.want {
			t.Errorf("%s: want %t", c.name, c.want)
		}
	}
}
