package gpu

import "fmt"

// capability ties a SPIR-V capability to what the device must have for it.
type capability struct {
	name string
	has  func(*Info) bool
}

func always(*Info) bool { return true }

func op(name string) func(*Info) bool {
	return func(in *Info) bool { return in.Subgroup.HasOp(name) }
}

// matrices asks for cooperative matrices, and with them for the memory model that they need.
func matrices(in *Info) bool { return in.Features.CoopMatrix }

// capabilities that kernels may use, by their number in the SPIR-V specification.
var capabilities = map[uint32]capability{
	0: {"Matrix", always}, 1: {"Shader", always}, 46: {"SampledBuffer", always}, 50: {"ImageQuery", always},
	9:  {"Float16", func(in *Info) bool { return in.Features.Float16 }},
	10: {"Float64", func(in *Info) bool { return in.Features.Float64 }},
	11: {"Int64", func(in *Info) bool { return in.Features.Int64 }},
	22: {"Int16", func(in *Info) bool { return in.Features.Int16 }},
	39: {"Int8", func(in *Info) bool { return in.Features.Int8 }},
	61: {"GroupNonUniform", op("basic")}, 62: {"GroupNonUniformVote", op("vote")},
	63: {"GroupNonUniformArithmetic", op("arithmetic")}, 64: {"GroupNonUniformBallot", op("ballot")},
	65: {"GroupNonUniformShuffle", op("shuffle")}, 66: {"GroupNonUniformShuffleRelative", op("shuffle_relative")},
	67: {"GroupNonUniformClustered", op("clustered")}, 68: {"GroupNonUniformQuad", op("quad")},
	4433: {"StorageBuffer16BitAccess", func(in *Info) bool { return in.Features.Storage16 }},
	4435: {"StoragePushConstant16", func(in *Info) bool { return in.Features.Push16 }},
	5345: {"VulkanMemoryModel", matrices}, 6022: {"CooperativeMatrixKHR", matrices},
	4448: {"StorageBuffer8BitAccess", func(in *Info) bool { return in.Features.Storage8 }},
	6016: {"DotProductInputAll", func(in *Info) bool { return in.Features.IntDot }},
	6017: {"DotProductInput4x8Bit", func(in *Info) bool { return in.Features.IntDot && in.Features.Int8 }},
	6018: {"DotProductInput4x8BitPacked", func(in *Info) bool { return in.Features.IntDot }},
	6019: {"DotProduct", func(in *Info) bool { return in.Features.IntDot }},
}

// admitCode checks the SPIR-V version and capabilities. The device is not asked: a driver may
// crash on code that it does not know.
func (d *Device) admitCode(m *module) error {
	newest := uint32(0x10300)
	switch {
	case d.phys.api >= apiVersion(1, 3):
		newest = 0x10600
	case d.phys.api >= apiVersion(1, 2):
		newest = 0x10500
	}
	if m.version > newest {
		return fmt.Errorf("SPIR-V %d.%d, the device takes up to %d.%d", m.version>>16, m.version>>8&0xff, newest>>16, newest>>8&0xff)
	}
	for _, n := range m.capabilities {
		c, known := capabilities[n]
		if !known {
			return fmt.Errorf("SPIR-V capability %d is not supported", n)
		}
		if !c.has(&d.info) {
			return fmt.Errorf("SPIR-V capability %s: the device lacks it", c.name)
		}
	}
	return nil
}
