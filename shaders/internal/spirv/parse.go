package spirv

import (
	"encoding/binary"
	"fmt"
)

const magic = 0x07230203

// instruction is one instruction's operands, without the word that holds its length and number.
type instruction struct {
	op   uint32
	args []uint32
}

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
	workgroupSize               bool
}

// module holds a module's declarations by id. Ids are map keys: a hostile bound costs nothing.
type module struct {
	names        map[uint32]string
	members      map[uint32]map[uint32]*member // by struct type, by index
	decorated    map[uint32]*decorations
	defs         map[uint32]instruction // types, constants; args start behind the result id, types of constants first
	variables    []variable
	specs        []uint32 // ids of scalar specialization constants, in module order
	capabilities []uint32
	entry        string
	entryID      uint32
	entries      int
	local        instruction // the execution mode that sets the workgroup size
}

type variable struct{ id, pointer, class uint32 }

// Parse reads a module. Its error names the instruction or the shader's own name that it stumbled over.
func Parse(code []byte) (*Module, error) {
	m := &module{
		names:     map[uint32]string{},
		members:   map[uint32]map[uint32]*member{},
		decorated: map[uint32]*decorations{},
		defs:      map[uint32]instruction{},
	}
	if err := m.read(code); err != nil {
		return nil, fmt.Errorf("spirv: %w", err)
	}
	r, err := m.reflect()
	if err != nil {
		return nil, fmt.Errorf("spirv: %w", err)
	}
	return r, nil
}

// read splits code into instructions and collects the declarations, all of which stand before the first function.
func (m *module) read(code []byte) error {
	if len(code) < 20 || len(code)%4 != 0 {
		return fmt.Errorf("length: want whole words and a header of 5 of them, got %d bytes", len(code))
	}
	words := make([]uint32, len(code)/4)
	for i := range words {
		words[i] = binary.LittleEndian.Uint32(code[4*i:])
	}
	if words[0] != magic {
		return fmt.Errorf("magic number: want %#08x, got %#08x", magic, words[0])
	}
	inFunctions := false
	for at := 5; at < len(words); {
		n, op := int(words[at]>>16), words[at]&0xffff
		if n == 0 || n > len(words)-at {
			return fmt.Errorf("instruction at word %d: length: want 1 to %d, got %d", at, len(words)-at, n)
		}
		inFunctions = inFunctions || op == opFunction
		if !inFunctions {
			if err := m.instruction(instruction{op, words[at+1 : at+n]}); err != nil {
				return fmt.Errorf("instruction at word %d: %w", at, err)
			}
		}
		at += n
	}
	return nil
}

// minArgs is the least number of operands of each instruction that read looks into.
var minArgs = map[uint32]int{
	opName: 2, opMemberName: 3, opEntryPoint: 3, opExecutionMode: 2, opExecutionModeID: 2, opCapability: 1,
	opTypeBool: 1, opTypeInt: 3, opTypeFloat: 2, opTypeVector: 3, opTypeMatrix: 3, opTypeImage: 8,
	opTypeSampledImage: 2, opTypeArray: 3, opTypeRuntimeArray: 2, opTypeStruct: 1, opTypePointer: 3,
	opConstant: 3, opConstantComposite: 2, opSpecConstantTrue: 2, opSpecConstantFalse: 2, opSpecConstant: 3,
	opSpecConstantComposite: 2, opVariable: 3, opDecorate: 2, opMemberDecorate: 3,
}

func (m *module) instruction(in instruction) error {
	least, known := minArgs[in.op]
	if !known {
		return nil
	}
	a := in.args
	if len(a) < least {
		return fmt.Errorf("operands of opcode %d: want %d or more, got %d", in.op, least, len(a))
	}
	switch in.op {
	case opName:
		m.names[a[0]] = text(a[1:])
	case opMemberName:
		m.member(a[0], a[1]).name = text(a[2:])
	case opCapability:
		m.capabilities = append(m.capabilities, a[0])
	case opEntryPoint:
		m.entries++
		if a[0] != modelGLCompute {
			return fmt.Errorf("entry point %q: execution model: want GLCompute (%d), got %d", text(a[2:]), modelGLCompute, a[0])
		}
		m.entry, m.entryID = text(a[2:]), a[1]
	case opExecutionMode, opExecutionModeID:
		if a[1] == modeLocalSize || a[1] == modeLocalSizeID {
			m.local = instruction{a[1], a[2:]}
		}
	case opDecorate:
		m.decorate(a)
	case opMemberDecorate:
		m.decorateMember(a)
	case opVariable:
		m.variables = append(m.variables, variable{id: a[1], pointer: a[0], class: a[2]})
	default:
		return m.define(in)
	}
	return nil
}

// define notes a type or a constant under its result id, which is the first operand of a type and the second of a
// constant.
func (m *module) define(in instruction) error {
	id, rest := in.args[0], in.args[1:]
	if in.op >= opConstant {
		id, rest = in.args[1], append([]uint32{in.args[0]}, in.args[2:]...)
	}
	if _, twice := m.defs[id]; twice {
		return fmt.Errorf("id %%%d is defined twice", id)
	}
	m.defs[id] = instruction{in.op, rest}
	switch in.op {
	case opSpecConstantTrue, opSpecConstantFalse, opSpecConstant:
		m.specs = append(m.specs, id)
	}
	return nil
}

func (m *module) member(structure, index uint32) *member {
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

func (m *module) decorationsOf(id uint32) *decorations {
	d := m.decorated[id]
	if d == nil {
		d = &decorations{}
		m.decorated[id] = d
	}
	return d
}

func (m *module) decorate(a []uint32) {
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

func (m *module) decorateMember(a []uint32) {
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

// maxText bounds names in bytes; the rest of a longer one is dropped.
const maxText = 256

// text decodes a literal string: UTF-8, four bytes a word, up to the first zero byte or the last word.
func text(words []uint32) string {
	var b []byte
	for _, w := range words[:min(len(words), maxText/4)] {
		for range 4 {
			if byte(w) == 0 {
				return string(b)
			}
			b = append(b, byte(w))
			w >>= 8
		}
	}
	return string(b)
}
