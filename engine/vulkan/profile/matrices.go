package profile

import (
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/shaders/glsl"
)

// coopSubgroup is the size of the largest subgroup that matmul_coop can use: its workgroup has 4 subgroups and at most
// 256 invocations.
const coopSubgroup = 64

// matricesFor returns the device's cooperative matrices that fill the tile of matmul_coop. Among matrices with the same
// sides it returns the deepest. It returns none if subgroups may have any size, since the kernel counts on 4 of them.
func matricesFor(info gpu.Info) []gpu.MatrixShape {
	sub := Subgroup(info)
	if !info.Features.CoopMatrix || !info.FixesSubgroup(sub) || sub > coopSubgroup || 4*sub > mostLanes(info) ||
		info.Limits.SharedMemory < glsl.CoopMemory {
		return nil
	}
	fills := func(n, least, whole int) bool { return n >= least && whole%n == 0 }
	var list []gpu.MatrixShape
next:
	for _, s := range info.Matrices {
		if !fills(s.M, 4, glsl.CoopSide) || !fills(s.N, 1, glsl.CoopSide) || !fills(s.K, 8, glsl.CoopDepth) { // a store writes 4 rows at once, a load reads 8 elements
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
