package shaders

import (
	"encoding/binary"
	"strings"
)

const (
	opEntryPoint    = 15
	opExecutionMode = 16

	modeUniformFlow      = 4421
	extensionUniformFlow = "SPV_KHR_subgroup_uniform_control_flow"
)

func isSubgroup(capability string) bool { return strings.HasPrefix(capability, "GroupNonUniform") }

// uniformFlow returns a module that requires what its subgroup operations count on: that the invocations of a subgroup which
// took different ways, as through a loop of different length, are together again behind it. Without that, drivers do it, and
// SPIR-V does not promise it. A module that the package embeds has one entry point.
func uniformFlow(spirv []byte) []byte {
	out := append(make([]byte, 0, len(spirv)+64), spirv[:20]...)
	emit := func(op uint32, args ...uint32) {
		out = binary.LittleEndian.AppendUint32(out, uint32(len(args)+1)<<16|op)
		for _, a := range args {
			out = binary.LittleEndian.AppendUint32(out, a)
		}
	}
	word := func(at int) uint32 { return binary.LittleEndian.Uint32(spirv[at:]) }
	stated := false
	for at := 20; at < len(spirv); {
		op, n := word(at)&0xffff, 4*int(word(at)>>16)
		if op != opCapability && !stated { // capabilities come first, then extensions
			emit(opExtension, literal(extensionUniformFlow)...)
			stated = true
		}
		out = append(out, spirv[at:at+n]...)
		if op == opEntryPoint {
			emit(opExecutionMode, word(at+8), modeUniformFlow)
		}
		at += n
	}
	return out
}
