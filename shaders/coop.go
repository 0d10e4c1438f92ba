package shaders

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// Cooperative matrices: glslc of the version in spv/VERSION writes those of SPV_NV_cooperative_matrix, which spirv-val of
// its time checks; devices take those of SPV_KHR_cooperative_matrix. The two differ in three things: a type of the latter
// also says what its matrices are used for, a load or store names the layout before the stride and by a number instead of
// a boolean, and the instructions have other numbers. A matrix's length is a constant in the former; Mesa takes it as a statement only.

// Numbers of the SPIR-V specification and of the two extensions.
const (
	opExtension      = 10
	opCapability     = 17
	opTypeInt        = 21
	opConstantTrue   = 41
	opConstantFalse  = 42
	opConstant       = 43
	opSpecConstant   = 50
	opSpecConstantOp = 52
	opFunction       = 54
	opVariable       = 59
	opDecorate       = 71
	opLabel          = 248
	opGroupDecorate  = 76
	opTypeMatrixNV   = 5358
	opMatrixLoadNV   = 5359
	opMatrixStoreNV  = 5360
	opMatrixMulAddNV = 5361
	opMatrixLengthNV = 5362 // an operand of opSpecConstantOp
	opTypeMatrix     = 4456
	opMatrixLoad     = 4457
	opMatrixStore    = 4458
	opMatrixMulAdd   = 4459
	opMatrixLength   = 4460

	capabilityMatrixNV, capabilityMatrix = 5357, 6022
	extensionMatrixNV, extensionMatrix   = "SPV_NV_cooperative_matrix", "SPV_KHR_cooperative_matrix"

	useA, useB, useAccumulator = 0, 1, 2 // layouts: 0 row-major, 1 column-major
)

// instruction is an instruction's operands with its number.
type instruction struct {
	op   uint32
	args []uint32
}

// matrixModule is a module with matrices of the older extension.
type matrixModule struct {
	header []uint32
	code   []instruction
	typeOf map[uint32]uint32 // of scalar constants and of matrices
	truth  map[uint32]uint32 // boolean constants, as layouts
	use    map[uint32]uint32 // of matrix types
	words  map[uint32]bool   // 32-bit integer types

	lengths   []instruction // constants that are the length of a matrix, or computed from it
	functions int
}

// khrMatrices returns a module with its cooperative matrices turned into those that devices have.
func khrMatrices(spirv []byte) ([]byte, error) {
	m := matrixModule{typeOf: map[uint32]uint32{}, truth: map[uint32]uint32{}, use: map[uint32]uint32{}, words: map[uint32]bool{}}
	if err := m.read(spirv); err != nil {
		return nil, fmt.Errorf("cooperative matrices: %w", err)
	}
	if err := m.uses(); err != nil {
		return nil, fmt.Errorf("cooperative matrices: %w", err)
	}
	out, err := m.rewritten()
	if err != nil {
		return nil, fmt.Errorf("cooperative matrices: %w", err)
	}
	return out, nil
}

// matrixArgs is the least number of operands of the instructions that are looked into.
var matrixArgs = map[uint32]int{opExtension: 1, opCapability: 1, opTypeInt: 3, opConstantTrue: 2, opConstantFalse: 2, opConstant: 3,
	opSpecConstant: 3, opTypeMatrixNV: 5, opMatrixLoadNV: 5, opMatrixStoreNV: 4, opMatrixMulAddNV: 5, opSpecConstantOp: 3}

func (m *matrixModule) read(spirv []byte) error {
	if len(spirv) < 20 || len(spirv)%4 != 0 {
		return fmt.Errorf("want a header of 5 words and whole words, got %d bytes", len(spirv))
	}
	words := make([]uint32, len(spirv)/4)
	for i := range words {
		words[i] = binary.LittleEndian.Uint32(spirv[4*i:])
	}
	m.header = words[:5]
	for at := 5; at < len(words); {
		n, op := int(words[at]>>16), words[at]&0xffff
		if n < 1+matrixArgs[op] || at+n > len(words) {
			return fmt.Errorf("instruction %d at word %d: got %d words", op, at, n)
		}
		m.note(instruction{op, words[at+1 : at+n]})
		at += n
	}
	return nil
}

func (m *matrixModule) note(in instruction) {
	m.code = append(m.code, in)
	switch a := in.args; {
	case in.op == opTypeInt:
		m.words[a[0]] = a[1] == 32
	case in.op == opTypeMatrixNV:
		m.use[a[0]] = undefinedUse
	case in.op == opConstantTrue:
		m.truth[a[1]] = 1
	case in.op == opConstantFalse:
		m.truth[a[1]] = 0
	case in.op == opConstant || in.op == opSpecConstant:
		m.typeOf[a[1]] = a[0]
	case in.op == opSpecConstantOp && (a[2] == opMatrixLengthNV || slices.ContainsFunc(a[3:], m.isLength)):
		m.lengths = append(m.lengths, in)
	case in.op == opFunction:
		m.functions++
	case in.op > opConstant && (in.op < opDecorate || in.op > opGroupDecorate) && len(a) > 1:
		if _, matrix := m.use[a[0]]; matrix { // as the type of a result, the only place where a type stands first
			m.typeOf[a[1]] = a[0]
		}
	}
}

func (m *matrixModule) isLength(id uint32) bool {
	return slices.ContainsFunc(m.lengths, func(in instruction) bool { return in.args[1] == id })
}

const undefinedUse = ^uint32(0)

// uses finds what the matrices of each type are used for from the products they stand in.
func (m *matrixModule) uses() error {
	for _, in := range m.code {
		if in.op != opMatrixMulAddNV {
			continue
		}
		for use, id := range []uint32{useA: in.args[2], useB: in.args[3], useAccumulator: in.args[4]} {
			typ := m.typeOf[id]
			switch old, matrix := m.use[typ]; {
			case !matrix:
				return fmt.Errorf("a product's operand %%%d is none", id)
			case old != undefinedUse && old != uint32(use):
				return fmt.Errorf("type %%%d has uses %d and %d", typ, old, use)
			}
			m.use[typ] = uint32(use)
		}
	}
	if len(m.lengths) > 0 && m.functions != 1 { // the optimiser leaves one
		return fmt.Errorf("want one function, got %d", m.functions)
	}
	for typ, use := range m.use {
		if use == undefinedUse {
			return fmt.Errorf("type %%%d stands in no product", typ)
		}
	}
	return nil
}

// firstStatement returns the place of the function's first instruction behind its variables, where everything that is
// defined may be used by all that follow.
func (m *matrixModule) firstStatement() int {
	at := slices.IndexFunc(m.code, func(in instruction) bool { return in.op == opLabel })
	for at++; at > 0 && at < len(m.code) && m.code[at].op == opVariable; {
		at++
	}
	return at
}

// rewritten returns the module in the newer form. The numbers of uses and layouts are constants 0, 1 and 2 of its own.
func (m *matrixModule) rewritten() ([]byte, error) {
	numbers, stated := m.header[3], false
	out := slices.Clone(m.header)
	out[3] += 3
	emit := func(op uint32, args ...uint32) { out = append(append(out, uint32(len(args)+1)<<16|op), args...) }
	layout := func(id uint32) (uint32, error) {
		n, constant := m.truth[id]
		if !constant {
			return 0, fmt.Errorf("layout %%%d: want a constant", id)
		}
		return numbers + n, nil
	}
	begin := m.firstStatement()
	for i, in := range m.code {
		a := in.args
		if i == begin {
			for _, l := range m.lengths { // the operation behind its result has the operands of the statement
				op := l.args[2]
				if op == opMatrixLengthNV {
					op = opMatrixLength
				}
				emit(op, slices.Concat(l.args[:2], l.args[3:])...)
			}
		}
		switch in.op {
		case opCapability:
			if a[0] == capabilityMatrixNV {
				a = []uint32{capabilityMatrix}
			}
			emit(in.op, a...)
		case opExtension:
			if slices.Equal(a, literal(extensionMatrixNV)) {
				a = literal(extensionMatrix)
			}
			emit(in.op, a...)
		case opTypeMatrixNV:
			number := m.typeOf[a[3]] // that of its rows
			if !m.words[number] {
				return nil, fmt.Errorf("type %%%d: want rows of a 32-bit integer type", a[0])
			}
			for n := uint32(0); n < 3 && !stated; n++ {
				emit(opConstant, number, numbers+n, n)
			}
			stated = true
			emit(opTypeMatrix, a[0], a[1], a[2], a[3], a[4], numbers+m.use[a[0]])
		case opMatrixLoadNV:
			l, err := layout(a[4])
			if err != nil {
				return nil, err
			}
			emit(opMatrixLoad, append([]uint32{a[0], a[1], a[2], l, a[3]}, a[5:]...)...)
		case opMatrixStoreNV:
			l, err := layout(a[3])
			if err != nil {
				return nil, err
			}
			emit(opMatrixStore, append([]uint32{a[0], a[1], l, a[2]}, a[4:]...)...)
		case opMatrixMulAddNV:
			emit(opMatrixMulAdd, a...)
		case opSpecConstantOp:
			if !m.isLength(a[1]) {
				emit(in.op, a...)
			}
		default:
			emit(in.op, a...)
		}
	}
	spirv := make([]byte, 0, 4*len(out))
	for _, w := range out {
		spirv = binary.LittleEndian.AppendUint32(spirv, w)
	}
	return spirv, nil
}

// literal returns a string as SPIR-V has it: four bytes a word, zero at the end.
func literal(s string) []uint32 {
	b := append([]byte(s), make([]byte, 4-len(s)%4)...)
	words := make([]uint32, len(b)/4)
	for i := range words {
		words[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	return words
}
