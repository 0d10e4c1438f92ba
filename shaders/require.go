package shaders

import "github.com/rwkv-gpu/rwkv-gpu/gpu"

// requirements says for each SPIR-V capability whether a device has what Vulkan asks for it: Vulkan specification,
// appendix "Vulkan Environment for SPIR-V", table "SPIR-V capabilities". A capability that is absent here is one that
// no opened device enables.
var requirements = map[string]func(gpu.Info) bool{
	// Every device of Vulkan 1.1 has these.
	"Matrix": always, "Shader": always, "SampledBuffer": always, "ImageQuery": always,

	"Float16":                  func(in gpu.Info) bool { return in.Features.Float16 },
	"Float64":                  func(in gpu.Info) bool { return in.Features.Float64 },
	"Int8":                     func(in gpu.Info) bool { return in.Features.Int8 },
	"Int16":                    func(in gpu.Info) bool { return in.Features.Int16 },
	"Int64":                    func(in gpu.Info) bool { return in.Features.Int64 },
	"StorageBuffer16BitAccess": func(in gpu.Info) bool { return in.Features.Storage16 },
	"StorageBuffer8BitAccess":  func(in gpu.Info) bool { return in.Features.Storage8 },
	"StoragePushConstant16":    func(in gpu.Info) bool { return in.Features.Push16 },

	// Modules say this for what coop.go makes of them. No kernel uses the memory model without matrices.
	"CooperativeMatrixNV": matrices,
	"VulkanMemoryModel":   matrices,

	"DotProduct":                  func(in gpu.Info) bool { return in.Features.IntDot },
	"DotProductInputAll":          func(in gpu.Info) bool { return in.Features.IntDot },
	"DotProductInput4x8Bit":       func(in gpu.Info) bool { return in.Features.IntDot && in.Features.Int8 },
	"DotProductInput4x8BitPacked": func(in gpu.Info) bool { return in.Features.IntDot },

	"GroupNonUniform":                subgroupOp("basic"),
	"GroupNonUniformVote":            subgroupOp("vote"),
	"GroupNonUniformArithmetic":      subgroupOp("arithmetic"),
	"GroupNonUniformBallot":          subgroupOp("ballot"),
	"GroupNonUniformShuffle":         subgroupOp("shuffle"),
	"GroupNonUniformShuffleRelative": subgroupOp("shuffle_relative"),
	"GroupNonUniformClustered":       subgroupOp("clustered"),
	"GroupNonUniformQuad":            subgroupOp("quad"),
}

func always(gpu.Info) bool { return true }

func matrices(in gpu.Info) bool { return in.Features.CoopMatrix }

func subgroupOp(name string) func(gpu.Info) bool {
	return func(in gpu.Info) bool { return in.Subgroup.HasOp(name) }
}

// missing returns those capabilities that a device lacks, in their order.
func missing(info gpu.Info, capabilities []string) []string {
	var lacking []string
	for _, c := range capabilities {
		if has := requirements[c]; has == nil || !has(info) {
			lacking = append(lacking, c)
		}
	}
	return lacking
}
