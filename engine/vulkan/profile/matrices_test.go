package profile

import (
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
)

func TestMatricesFor(t *testing.T) {
	device := func(change func(*gpu.Info)) gpu.Info {
		in := gpu.Info{Subgroup: gpu.Subgroup{Size: 32, Min: 32, Max: 32}, Features: gpu.Features{CoopMatrix: true},
			Limits:   gpu.Limits{MaxWorkgroupInvocations: 1024, SharedMemory: 48 << 10},
			Matrices: []gpu.MatrixShape{{M: 16, N: 16, K: 8}, {M: 16, N: 8, K: 16}, {M: 16, N: 16, K: 16}}}
		change(&in)
		return in
	}
	shapes := func(s ...gpu.MatrixShape) []gpu.MatrixShape { return s }
	for _, c := range []struct {
		name   string
		change func(*gpu.Info)
		want   []gpu.MatrixShape
	}{
		{"deepest", func(*gpu.Info) {}, shapes(gpu.MatrixShape{M: 16, N: 16, K: 16}, gpu.MatrixShape{M: 16, N: 8, K: 16})},
		{"off", func(in *gpu.Info) { in.Features.CoopMatrix = false }, nil},
		{"subgroups of any size", func(in *gpu.Info) { in.Subgroup.Min = 8 }, nil},
		{"subgroups of a chosen size", func(in *gpu.Info) {
			in.Subgroup.Min, in.Features.SubgroupControl = 8, true
			in.Matrices = shapes(gpu.MatrixShape{M: 8, N: 16, K: 16})
		}, shapes(gpu.MatrixShape{M: 8, N: 16, K: 16})},
		{"wide subgroups", func(in *gpu.Info) { in.Subgroup = gpu.Subgroup{Size: 128, Min: 128, Max: 128} }, nil},
		{"small workgroups", func(in *gpu.Info) { in.Limits.MaxWorkgroupInvocations = 64 }, nil},
		{"little memory", func(in *gpu.Info) { in.Limits.SharedMemory = 16 << 10 }, nil},
		{"odd shapes", func(in *gpu.Info) {
			in.Matrices = shapes(gpu.MatrixShape{M: 64, N: 16, K: 16}, gpu.MatrixShape{M: 2, N: 16, K: 16},
				gpu.MatrixShape{M: 16, N: 12, K: 16}, gpu.MatrixShape{M: 16, N: 16, K: 4}, gpu.MatrixShape{M: 16, N: 16, K: 64})
		}, nil},
	} {
		if got := matricesFor(device(c.change)); !slices.Equal(got, c.want) {
			t.Errorf("%s: want %v, got %v", c.name, c.want, got)
		}
	}
}
