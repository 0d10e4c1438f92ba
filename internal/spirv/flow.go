package spirv

import "slices"

const (
	modeUniformFlow      = 4421
	extensionUniformFlow = "SPV_KHR_subgroup_uniform_control_flow"
)

// UsesSubgroups reports whether the module has operations among the invocations of a subgroup.
func (c *Code) UsesSubgroups() bool {
	return slices.ContainsFunc(c.Instructions, func(in Instruction) bool {
		return in.Op == opCapability && Capability(in.Args[0]).IsSubgroup()
	})
}

// UniformFlow makes a module require what its subgroup operations count on: that the invocations of a subgroup which
// took different ways, as through a loop of different length, are together again behind it. Without that, drivers do
// it, and SPIR-V does not promise it.
func (c *Code) UniformFlow() {
	out := make([]Instruction, 0, len(c.Instructions)+2)
	stated := false
	for _, in := range c.Instructions {
		if in.Op != opCapability && !stated { // capabilities come first, then extensions
			out = append(out, Instruction{opExtension, literal(extensionUniformFlow)})
			stated = true
		}
		out = append(out, in)
		if in.Op == opEntryPoint {
			out = append(out, Instruction{opExecutionMode, []uint32{in.Args[1], modeUniformFlow}})
		}
	}
	c.Instructions = out
}
