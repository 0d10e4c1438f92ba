package spirv

import "fmt"

// member is one member of a struct type.
type member struct {
	name        string
	offset      uint32
	hasOffset   bool
	nonWritable bool
	nonReadable bool
}

// decorations are what a module says of one id.
type decorations struct {
	set, binding, spec          uint32
	hasSet, hasBinding, hasSpec bool
	nonWritable, nonReadable    bool
	block, bufferBlock          bool
	workgroupSize, aliased      bool
}

// declarations holds a module's declarations by id. Ids are map keys: a hostile bound costs nothing.
type declarations struct {
	names        map[uint32]string
	members      map[uint32]map[uint32]*member // by struct type, by index
	decorated    map[uint32]*decorations
	defs         map[uint32]Instruction // types, constants; args start behind the result id, types of constants first
	variables    []variable
	specs        []uint32 // ids of scalar specialization constants, in module order
	capabilities []Capability
	entry        string
	entryID      uint32
	entries      int
	functions    bool        // have begun
	local        Instruction // the execution mode that sets the workgroup size
}

type variable struct{ id, pointer, class uint32 }

// Parse reads what a module declares. Its error names the instruction or the shader's own name that it stumbled over.
func Parse(module []byte) (*Module, error) {
	m := &declarations{
		names:     map[uint32]string{},
		members:   map[uint32]map[uint32]*member{},
		decorated: map[uint32]*decorations{},
		defs:      map[uint32]Instruction{},
	}
	header, err := walk(module, m.instruction)
	if err != nil {
		return nil, fmt.Errorf("spirv: %w", err)
	}
	r, err := m.reflect()
	if err != nil {
		return nil, fmt.Errorf("spirv: %w", err)
	}
	r.Version = Version(header[versionWord])
	return r, nil
}

// instruction collects what is declared, all of which stands before the first function.
func (m *declarations) instruction(in Instruction) error {
	if m.functions = m.functions || in.Op == opFunction; m.functions {
		return nil
	}
	a := in.Args
	switch in.Op {
	case opName:
		m.names[a[0]] = text(a[1:])
	case opMemberName:
		m.member(a[0], a[1]).name = text(a[2:])
	case opCapability:
		m.capabilities = append(m.capabilities, Capability(a[0]))
	case opEntryPoint:
		m.entries++
		if a[0] != modelGLCompute {
			return fmt.Errorf("entry point %q: execution model: want GLCompute (%d), got %d", text(a[2:]), modelGLCompute, a[0])
		}
		m.entry, m.entryID = text(a[2:]), a[1]
	case opExecutionMode, opExecutionModeID:
		if a[1] == modeLocalSize || a[1] == modeLocalSizeID {
			m.local = Instruction{a[1], a[2:]}
		}
	case opDecorate:
		m.decorate(a)
	case opMemberDecorate:
		m.decorateMember(a)
	case opVariable:
		m.variables = append(m.variables, variable{id: a[1], pointer: a[0], class: a[2]})
	case opTypeBool, opTypeInt, opTypeFloat, opTypeVector, opTypeMatrixOf, opTypeImage, opTypeSampledImage, opTypeArray, opTypeRuntimeArray,
		opTypeStruct, opTypePointer, opConstant, opConstantComposite, opSpecConstantTrue, opSpecConstantFalse, opSpecConstant,
		opSpecConstantComposite, opSpecConstantOp:
		return m.define(in)
	}
	return nil
}

// define notes a type or a constant under its result id, which is the first operand of a type and the second of a
// constant.
func (m *declarations) define(in Instruction) error {
	id, rest := in.Args[0], in.Args[1:]
	if in.Op >= opConstant {
		id, rest = in.Args[1], append([]uint32{in.Args[0]}, in.Args[2:]...)
	}
	if _, twice := m.defs[id]; twice {
		return fmt.Errorf("id %%%d is defined twice", id)
	}
	m.defs[id] = Instruction{in.Op, rest}
	switch in.Op {
	case opSpecConstantTrue, opSpecConstantFalse, opSpecConstant:
		m.specs = append(m.specs, id)
	}
	return nil
}

func (m *declarations) member(structure, index uint32) *member {
	all := m.members[structure]
	if all == nil {
		all = map[uint32]*member{}
		m.members[structure] = all
	}
	if all[index] == nil {
		all[index] = &member{}
	}
	return all[index]
}

func (m *declarations) decorationsOf(id uint32) *decorations {
	d := m.decorated[id]
	if d == nil {
		d = &decorations{}
		m.decorated[id] = d
	}
	return d
}

func (m *declarations) decorate(a []uint32) {
	d := m.decorationsOf(a[0])
	switch a[1] {
	case decBlock:
		d.block = true
	case decBufferBlock:
		d.bufferBlock = true
	case decNonWritable:
		d.nonWritable = true
	case decNonReadable:
		d.nonReadable = true
	case decAliased:
		d.aliased = true
	}
	if len(a) < 3 {
		return
	}
	switch a[1] {
	case decSpecID:
		d.spec, d.hasSpec = a[2], true
	case decBinding:
		d.binding, d.hasBinding = a[2], true
	case decDescriptorSet:
		d.set, d.hasSet = a[2], true
	case decBuiltIn:
		d.workgroupSize = a[2] == builtInWorkgroupSize
	}
}

func (m *declarations) decorateMember(a []uint32) {
	f := m.member(a[0], a[1])
	switch a[2] {
	case decNonWritable:
		f.nonWritable = true
	case decNonReadable:
		f.nonReadable = true
	case decOffset:
		if len(a) > 3 {
			f.offset, f.hasOffset = a[3], true
		}
	}
}
