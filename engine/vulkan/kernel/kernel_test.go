package kernel

import (
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/form"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel/emulated"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/layout"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/pipeline"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

func TestMain(m *testing.M) { gputest.Main(m, func() {}) }

// A product that nobody has matrices for is refused, with the device's name.
func TestCoopRefused(t *testing.T) {
	k := NewSet(gputest.Device(t, gpu.DeviceOptions{FeatureOverride: func(f *gpu.Features) { f.CoopMatrix = false }}))
	defer k.Release()
	if k.Forms().Offers(form.Coop) {
		t.Error("want no cooperative matrices where the feature is off")
	}
	if _, err := k.matMulCoop(layout.Stored{Type: tensor.F16, Band: 1}, k.forms.Of(form.Coop, 40)); err == nil {
		t.Error("want an error without cooperative matrices")
	}
}

// A device, or a head, that the kernels by chunks do not suit keeps the serial form.
func TestSuitsChunks(t *testing.T) {
	least := gpu.Limits{SharedMemory: 32 << 10, MaxStorageBufferRange: 128 << 20, MaxAllocationSize: 1 << 30, MaxWorkgroupCount: [3]int{65535, 65535, 65535}}
	for _, c := range []struct {
		name   string
		change func(l *gpu.Limits, o *op.WKV7)
		want   bool
	}{
		{"usual", func(*gpu.Limits, *op.WKV7) {}, true},
		{"small heads", func(_ *gpu.Limits, o *op.WKV7) { o.N, o.Heads = 4, 512 }, true},
		{"large heads", func(_ *gpu.Limits, o *op.WKV7) { o.N = 68 }, false},
		{"little shared memory", func(l *gpu.Limits, _ *op.WKV7) { l.SharedMemory = 16 << 10 }, false},
		{"small bindings", func(l *gpu.Limits, _ *op.WKV7) { l.MaxStorageBufferRange = 16 << 20 }, false},
		{"few workgroups for rows", func(l *gpu.Limits, _ *op.WKV7) { l.MaxWorkgroupCount[0] = 127 }, false},
		{"few workgroups for chunks", func(l *gpu.Limits, _ *op.WKV7) { l.MaxWorkgroupCount[1] = 16 }, false},
	} {
		l, o := least, op.WKV7{Heads: 32, N: 64}
		c.change(&l, &o)
		if got := suitsChunks(l, &o, 256, 8); got != c.want {
			t.Errorf("%s: want %t, got %t", c.name, c.want, got)
		}
	}
}

// One key stands for many tokens from matmul_hold's first number of them on, and none of those before it.
func TestKeys(t *testing.T) {
	is := profile.Profile{CPU: true, TexelBytes: 1 << 20, Narrow: profile.Narrow{Usual: true, Quads: true}}
	u := &Product{Slab: layout.Slab{Rows: 64}, env: &Env{Set: &Set{Set: &pipeline.Set{Is: is}}}}
	if u.key(emulated.HoldLeast-1) == u.key(emulated.HoldLeast) || u.key(emulated.HoldLeast) != u.key(100) {
		t.Error("want one key from matmul_hold's first number of tokens on, and none of those before it")
	}
}
