package vulkan

import (
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/form"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/internal/spirv"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/op/optest"
)

// Which invocations of a workgroup come first is a device's own affair. The drivers here begin with the first, so that
// a missing barrier may not show behind what that one does: it has to where they are numbered backwards.
func TestBackwards(t *testing.T) {
	numbers(t)
	changed := 0
	k := kernels(t, gpu.DeviceOptions{Rewrite: func(code []byte, local [3]int) []byte {
		c, err := spirv.Decode(code)
		if err != nil {
			t.Error(err)
		}
		if !c.Backwards(local) {
			return code
		}
		changed++
		return c.Encode()
	}})
	run := func(name string, least int, f func(t *testing.T)) {
		t.Run(name, func(t *testing.T) {
			changed = 0
			if f(t); changed < least && !t.Failed() {
				t.Errorf("%d kernels have their invocations numbered backwards, want at least %d", changed, least)
			}
		})
	}
	forms := func(o Options, cases ...string) func(t *testing.T) {
		return func(t *testing.T) {
			optest.RunIf(t, func(tb testing.TB, prog *op.Program, s op.Sizes, guard int) op.Prober {
				o.Sizes, o.Guard, o.Loads = s, guard, profile.Buffers
				return execWith(tb, k, prog, o)
			}, func(name string) bool {
				for _, c := range cases {
					if strings.HasPrefix(name, c) {
						return true
					}
				}
				return false
			})
		}
	}
	run("draws", 2, func(t *testing.T) {
		testDraws(t, k, profile.Buffers, 256, 10)
		testDrawsAccepted(t, k)
	})
	run("products", 1, forms(Options{MatMul: form.Tile}, "MatMul/F16/"))
	if !k.set.Is.Shared { // else recurrences hand nothing round in shared memory
		run("recurrences", 2, forms(Options{Recur: kernel.Serial}, "WKV6/one row", "WKV6/N20", "WKV6/N132", "WKV7/one row", "WKV7/N20", "WKV7/N132"))
	}
}
