package spirv

// Instructions, by the numbers of the SPIR-V Specification, section 3.49.
const (
	opName                  = 5
	opMemberName            = 6
	opExtension             = 10
	opEntryPoint            = 15
	opExecutionMode         = 16
	opCapability            = 17
	opTypeBool              = 20
	opTypeInt               = 21
	opTypeFloat             = 22
	opTypeVector            = 23
	opTypeMatrixOf          = 24 // of vectors
	opTypeImage             = 25
	opTypeSampledImage      = 27
	opTypeArray             = 28
	opTypeRuntimeArray      = 29
	opTypeStruct            = 30
	opTypePointer           = 32
	opConstantTrue          = 41
	opConstantFalse         = 42
	opConstant              = 43
	opConstantComposite     = 44
	opSpecConstantTrue      = 48
	opSpecConstantFalse     = 49
	opSpecConstant          = 50
	opSpecConstantComposite = 51
	opSpecConstantOp        = 52
	opFunction              = 54
	opVariable              = 59
	opLoad                  = 61
	opAccessChain           = 65
	opDecorate              = 71
	opMemberDecorate        = 72
	opGroupDecorate         = 76
	opIAdd                  = 128
	opISub                  = 130
	opIMul                  = 132
	opUDiv                  = 134
	opLabel                 = 248
	opExecutionModeID       = 331

	// Of SPV_NV_cooperative_matrix and SPV_KHR_cooperative_matrix. Lengths are operands of opSpecConstantOp too.
	opTypeMatrixNV   = 5358
	opMatrixLoadNV   = 5359
	opMatrixStoreNV  = 5360
	opMatrixMulAddNV = 5361
	opMatrixLengthNV = 5362
	opTypeMatrix     = 4456
	opMatrixLoad     = 4457
	opMatrixStore    = 4458
	opMatrixMulAdd   = 4459
	opMatrixLength   = 4460
)

// leastArgs is the least number of operands of each instruction that is looked into.
var leastArgs = [1 << 16]uint8{
	opName: 2, opMemberName: 3, opExtension: 1, opEntryPoint: 3, opExecutionMode: 2, opExecutionModeID: 2, opCapability: 1,
	opTypeBool: 1, opTypeInt: 3, opTypeFloat: 2, opTypeVector: 3, opTypeMatrixOf: 3, opTypeImage: 8,
	opTypeSampledImage: 2, opTypeArray: 3, opTypeRuntimeArray: 2, opTypeStruct: 1, opTypePointer: 3,
	opConstantTrue: 2, opConstantFalse: 2, opConstant: 3, opConstantComposite: 2, opSpecConstantTrue: 2, opSpecConstantFalse: 2,
	opSpecConstant: 3, opSpecConstantComposite: 2, opSpecConstantOp: 3, opVariable: 3, opLoad: 3, opAccessChain: 3, opDecorate: 2, opMemberDecorate: 3,
	opTypeMatrixNV: 5, opMatrixLoadNV: 5, opMatrixStoreNV: 4, opMatrixMulAddNV: 5,
}

// Operands of those instructions, section 3.
const (
	modelGLCompute = 5

	modeLocalSize   = 17
	modeLocalSizeID = 38

	classUniformConstant = 0
	classUniform         = 2
	classWorkgroup       = 4
	classPushConstant    = 9
	classAtomicCounter   = 10
	classImage           = 11
	classStorageBuffer   = 12

	decSpecID        = 1
	decBlock         = 2
	decBufferBlock   = 3
	decBuiltIn       = 11
	decAliased       = 20
	decNonWritable   = 24
	decNonReadable   = 25
	decBinding       = 33
	decDescriptorSet = 34
	decOffset        = 35

	builtInWorkgroupSize = 25

	dimBuffer = 5
	sampled   = 1 // an image that is read through the texture path
)
