package emulated

import (
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/shaders/glsl"
)

// The workgroups of matmul_hold take every row once, no more rows than they have sums for, and are enough for all
// cores.
func TestHoldGroups(t *testing.T) {
	for _, cores := range []int{1, 2, 16, 100} {
		for _, rows := range []int{1, 40, 168, 768, 1100, 3072, 65536} {
			for _, n := range []uint32{HoldLeast, 64, 130, 256, 1000} {
				each, x, y := holdGroups(rows, n, cores)
				if each < 1 || each > glsl.HoldRows || int(each*x) < rows || int(each*(x-1)) >= rows || y*glsl.HoldTokens < n || (y-1)*glsl.HoldTokens >= n ||
					int(x*y) < min(rows, cores) {
					t.Errorf("%d cores, %d rows, %d tokens: got %d x %d workgroups of %d rows", cores, rows, n, x, y, each)
				}
			}
		}
	}
}

// They are for narrow devices, and for heads of 64.
func TestTakesQuads(t *testing.T) {
	for _, quads := range []bool{false, true} {
		is := profile.Profile{Narrow: profile.Narrow{Quads: quads}}
		if TakesHead(is, Head) != quads || TakesHead(is, 2*Head) {
			t.Errorf("quads %t: want them for heads of %d alone", quads, Head)
		}
	}
}
