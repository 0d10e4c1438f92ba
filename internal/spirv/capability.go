package spirv

import "fmt"

// Capability is a number by which a module declares what it uses (SPIR-V specification, section 3.31).
type Capability uint32

// The capabilities that are named elsewhere.
const (
	Shader               Capability = 1
	CooperativeMatrixNV  Capability = 5357
	CooperativeMatrixKHR Capability = 6022
)

// Feature is what a device must have for a capability, as gpu.Features and gpu.Subgroup name it.
type Feature uint8

// The features. Core is what every device of Vulkan 1.1 has, and Never what no device is opened with.
const (
	Core Feature = iota
	Never
	Float16
	Float64
	Int8
	Int16
	Int64
	Storage8
	Storage16
	Push16
	IntDot
	CoopMatrix
	SubgroupBasic
	SubgroupVote
	SubgroupArithmetic
	SubgroupBallot
	SubgroupShuffle
	SubgroupShuffleRelative
	SubgroupClustered
	SubgroupQuad
)

// Features are all of them.
var Features = func() (list []Feature) {
	for f := range SubgroupQuad + 1 {
		list = append(list, f)
	}
	return list
}()

// capability is a row of the table of capabilities.
type capability struct {
	name  string
	needs []Feature
}

// capabilities holds those that compute shaders for Vulkan may declare, with what Vulkan asks of a device for each:
// Vulkan specification, appendix "Vulkan Environment for SPIR-V", table "SPIR-V capabilities". A kernel uses the memory
// model with cooperative matrices alone, so that one feature stands for both.
var capabilities = map[Capability]capability{
	0: {"Matrix", []Feature{Core}}, Shader: {"Shader", []Feature{Core}}, 46: {"SampledBuffer", []Feature{Core}}, 50: {"ImageQuery", []Feature{Core}},

	9: {"Float16", []Feature{Float16}}, 10: {"Float64", []Feature{Float64}},
	39: {"Int8", []Feature{Int8}}, 22: {"Int16", []Feature{Int16}}, 11: {"Int64", []Feature{Int64}},
	4433: {"StorageBuffer16BitAccess", []Feature{Storage16}}, 4448: {"StorageBuffer8BitAccess", []Feature{Storage8}},
	4435: {"StoragePushConstant16", []Feature{Push16}},

	6016: {"DotProductInputAll", []Feature{IntDot}}, 6017: {"DotProductInput4x8Bit", []Feature{IntDot, Int8}},
	6018: {"DotProductInput4x8BitPacked", []Feature{IntDot}}, 6019: {"DotProduct", []Feature{IntDot}},

	5345: {"VulkanMemoryModel", []Feature{CoopMatrix}}, CooperativeMatrixKHR: {"CooperativeMatrixKHR", []Feature{CoopMatrix}},

	61: {"GroupNonUniform", []Feature{SubgroupBasic}}, 62: {"GroupNonUniformVote", []Feature{SubgroupVote}},
	63: {"GroupNonUniformArithmetic", []Feature{SubgroupArithmetic}}, 64: {"GroupNonUniformBallot", []Feature{SubgroupBallot}},
	65: {"GroupNonUniformShuffle", []Feature{SubgroupShuffle}}, 66: {"GroupNonUniformShuffleRelative", []Feature{SubgroupShuffleRelative}},
	67: {"GroupNonUniformClustered", []Feature{SubgroupClustered}}, 68: {"GroupNonUniformQuad", []Feature{SubgroupQuad}},

	// KHRMatrices turns it into its successor.
	CooperativeMatrixNV: {"CooperativeMatrixNV", []Feature{Never}},

	12: {"Int64Atomics", []Feature{Never}}, 28: {"UniformBufferArrayDynamicIndexing", []Feature{Never}},
	30: {"StorageBufferArrayDynamicIndexing", []Feature{Never}}, 47: {"ImageBuffer", []Feature{Never}},
	4434: {"UniformAndStorageBuffer16BitAccess", []Feature{Never}}, 4449: {"UniformAndStorageBuffer8BitAccess", []Feature{Never}},
	4450: {"StoragePushConstant8", []Feature{Never}}, 4441: {"VariablePointersStorageBuffer", []Feature{Never}}, 4442: {"VariablePointers", []Feature{Never}},
	4464: {"DenormPreserve", []Feature{Never}}, 4465: {"DenormFlushToZero", []Feature{Never}}, 4466: {"SignedZeroInfNanPreserve", []Feature{Never}},
	4467: {"RoundingModeRTE", []Feature{Never}}, 4468: {"RoundingModeRTZ", []Feature{Never}}, 5055: {"ShaderClockKHR", []Feature{Never}},
	5346: {"VulkanMemoryModelDeviceScope", []Feature{Never}}, 5347: {"PhysicalStorageBufferAddresses", []Feature{Never}},
	6033: {"AtomicFloat32AddEXT", []Feature{Never}}, 6034: {"AtomicFloat64AddEXT", []Feature{Never}},
	6116: {"BFloat16TypeKHR", []Feature{Never}}, 6117: {"BFloat16DotProductKHR", []Feature{Never}}, 6118: {"BFloat16CooperativeMatrixKHR", []Feature{Never}},
}

// String returns the capability's name in SPIR-V, or "Capability" and its number where the table has none.
func (c Capability) String() string {
	if row, ok := capabilities[c]; ok {
		return row.name
	}
	return fmt.Sprintf("Capability%d", uint32(c))
}

// Needs returns the features that a device must have, all of them, for a module that declares the capability.
func (c Capability) Needs() []Feature {
	if row, ok := capabilities[c]; ok {
		return row.needs
	}
	return []Feature{Never}
}

// IsSubgroup reports whether the capability is one of operations among the invocations of a subgroup.
func (c Capability) IsSubgroup() bool { return c >= 61 && c <= 68 }
