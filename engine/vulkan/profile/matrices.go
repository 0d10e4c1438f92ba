package profile

import "github.com/rwkv-gpu/rwkv-gpu/gpu"

// CoopSide is the most rows and tokens of a subgroup's quarter of matmul_coop.comp's tile.
const CoopSide = 32

// What matmul_coop.comp fixes besides: the depth of a tile, and the most shared memory that a variant takes.
const (
	coopDepth    = 32
	coopMemory   = 1280*16 + 32
	coopSubgroup = 64 // the largest of which 4 are a workgroup of no more than 256
)

// matricesFor returns the device's cooperative matrices that fill matmul_coop's tile, the deepest of those alike. There
// are none where subgroups may have any size, since the kernel counts on 4 of them.
func matricesFor(info gpu.Info) []gpu.MatrixShape {
	sub := Subgroup(info)
	if !info.Features.CoopMatrix || !info.FixesSubgroup(sub) || sub > coopSubgroup || 4*sub > mostLanes(info) ||
		info.Limits.SharedMemory < coopMemory {
		return nil
	}
	fills := func(n, least, whole int) bool { return n >= least && whole%n == 0 }
	var list []gpu.MatrixShape
next:
	for _, s := range info.Matrices {
		if !fills(s.M, 4, CoopSide) || !fills(s.N, 1, CoopSide) || !fills(s.K, 8, coopDepth) { // a store writes 4 rows at once, a load reads 8 elements
			continue
		}
		for i, old := range list {
			if old.M == s.M && old.N == s.N {
				list[i].K = max(old.K, s.K)
				continue next
			}
		}
		list = append(list, s)
	}
	return list
}
