package spirv

import "strconv"

// Instructions, by the numbers of the SPIR-V Specification, section 3.49.
const (
	opName                  = 5
	opMemberName            = 6
	opEntryPoint            = 15
	opExecutionMode         = 16
	opCapability            = 17
	opTypeBool              = 20
	opTypeInt               = 21
	opTypeFloat             = 22
	opTypeVector            = 23
	opTypeMatrix            = 24
	opTypeImage             = 25
	opTypeSampledImage      = 27
	opTypeArray             = 28
	opTypeRuntimeArray      = 29
	opTypeStruct            = 30
	opTypePointer           = 32
	opConstant              = 43
	opConstantComposite     = 44
	opSpecConstantTrue      = 48
	opSpecConstantFalse     = 49
	opSpecConstant          = 50
	opSpecConstantComposite = 51
	opFunction              = 54
	opVariable              = 59
	opDecorate              = 71
	opMemberDecorate        = 72
	opExecutionModeID       = 331
)

// Operands of those instructions, section 3.
const (
	modelGLCompute = 5

	modeLocalSize   = 17
	modeLocalSizeID = 38

	classUniformConstant = 0
	classUniform         = 2
	classPushConstant    = 9
	classAtomicCounter   = 10
	classImage           = 11
	classStorageBuffer   = 12

	decSpecID        = 1
	decBlock         = 2
	decBufferBlock   = 3
	decBuiltIn       = 11
	decNonWritable   = 24
	decNonReadable   = 25
	decBinding       = 33
	decDescriptorSet = 34
	decOffset        = 35

	builtInWorkgroupSize = 25

	dimBuffer = 5
	sampled   = 1 // an image that is read through the texture path
)

// capabilities holds the names of those that compute shaders for Vulkan use, section 3.31.
var capabilities = map[uint32]string{
	0: "Matrix", 1: "Shader", 9: "Float16", 10: "Float64", 11: "Int64", 12: "Int64Atomics", 22: "Int16",
	28: "UniformBufferArrayDynamicIndexing", 30: "StorageBufferArrayDynamicIndexing", 39: "Int8",
	46: "SampledBuffer", 47: "ImageBuffer", 50: "ImageQuery",
	61: "GroupNonUniform", 62: "GroupNonUniformVote", 63: "GroupNonUniformArithmetic", 64: "GroupNonUniformBallot",
	65: "GroupNonUniformShuffle", 66: "GroupNonUniformShuffleRelative", 67: "GroupNonUniformClustered",
	68:   "GroupNonUniformQuad",
	4433: "StorageBuffer16BitAccess", 4434: "UniformAndStorageBuffer16BitAccess", 4435: "StoragePushConstant16",
	4441: "VariablePointersStorageBuffer", 4442: "VariablePointers",
	4448: "StorageBuffer8BitAccess", 4449: "UniformAndStorageBuffer8BitAccess", 4450: "StoragePushConstant8",
	4464: "DenormPreserve", 4465: "DenormFlushToZero", 4466: "SignedZeroInfNanPreserve", 4467: "RoundingModeRTE",
	4468: "RoundingModeRTZ", 5055: "ShaderClockKHR",
	5345: "VulkanMemoryModel", 5346: "VulkanMemoryModelDeviceScope", 5347: "PhysicalStorageBufferAddresses",
	5357: "CooperativeMatrixNV",
	6016: "DotProductInputAll", 6017: "DotProductInput4x8Bit", 6018: "DotProductInput4x8BitPacked", 6019: "DotProduct",
	6022: "CooperativeMatrixKHR", 6033: "AtomicFloat32AddEXT", 6034: "AtomicFloat64AddEXT",
	6116: "BFloat16TypeKHR", 6117: "BFloat16DotProductKHR", 6118: "BFloat16CooperativeMatrixKHR",
}

func capabilityName(c uint32) string {
	if name, ok := capabilities[c]; ok {
		return name
	}
	return "Capability" + strconv.FormatUint(uint64(c), 10)
}
