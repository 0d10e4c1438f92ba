package spirv

const (
	builtInLocal      = 27 // gl_LocalInvocationID
	builtInGlobal     = 28
	builtInLocalIndex = 29
)

// Backwards numbers the invocations of workgroups of a size from the last to the first, and reports whether it did: it
// leaves alone what knows other numbers of an invocation, in its subgroup or among all, with which these would no
// longer agree.
func (c *Code) Backwards(local [3]int) bool {
	b := backwards{ids: c.Header[boundWord], constants: map[uint32]uint32{}, parts: map[uint32]uint32{}}
	if c.UsesSubgroups() || !b.find(c.Instructions) {
		return false
	}
	last := b.ids // id of the largest number in x; those in y and z follow
	b.ids += uint32(len(local))
	var out []Instruction
	begun, loads := false, 0
	for _, in := range c.Instructions {
		if in.Op == opFunction && !begun {
			begun = true
			for i, n := range local {
				out = append(out, Instruction{opConstant, []uint32{b.uint, last + uint32(i), uint32(n - 1)}})
			}
		}
		if in.Op == opAccessChain && in.Args[2] == b.number {
			b.parts[in.Args[1]] = b.constants[in.Args[3]]
		}
		part, ok := uint32(0), false
		if in.Op == opLoad {
			part, ok = b.parts[in.Args[2]]
		}
		if !ok {
			out = append(out, in)
			continue
		}
		loaded := b.ids
		b.ids++
		loads++
		out = append(out, Instruction{opLoad, append([]uint32{in.Args[0], loaded}, in.Args[2:]...)},
			Instruction{opISub, []uint32{in.Args[0], in.Args[1], last + part, loaded}})
	}
	c.Instructions, c.Header[boundWord] = out, b.ids
	return loads > 0
}

// backwards is what the change needs to know of a module.
type backwards struct {
	uint, number uint32            // ids of the type and of gl_LocalInvocationID
	constants    map[uint32]uint32 // by id
	parts        map[uint32]uint32 // components of the number that pointers are of, by id
	ids          uint32            // one more than the largest
}

// find reports whether gl_LocalInvocationID is the only number that is read, and its components one by one.
func (b *backwards) find(list []Instruction) bool {
	alone := true
	for _, in := range list {
		switch a := in.Args; {
		case in.Op == opDecorate && a[1] == decBuiltIn && (a[2] == builtInGlobal || a[2] == builtInLocalIndex):
			alone = false
		case in.Op == opDecorate && a[1] == decBuiltIn && a[2] == builtInLocal:
			b.number = a[0]
		case in.Op == opTypeInt && a[1] == 32 && a[2] == 0:
			b.uint = a[0]
		case in.Op == opConstant:
			b.constants[a[1]] = a[2]
		case in.Op == opLoad && a[2] == b.number:
			alone = false
		}
	}
	return alone && b.number != 0
}
