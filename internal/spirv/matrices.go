package spirv

import (
	"fmt"
	"slices"
)

// Cooperative matrices: glslc of the version in spv/VERSION writes those of SPV_NV_cooperative_matrix, which spirv-val
// of its time checks; devices take those of SPV_KHR_cooperative_matrix. The two differ in three things: a type of the
// latter also says what its matrices are used for, a load or store names the layout before the stride and by a number
// instead of a boolean, and the instructions have other numbers. A matrix's length is a constant in the former; Mesa
// takes it as a statement only.

const (
	extensionMatrixNV, extensionMatrix = "SPV_NV_cooperative_matrix", "SPV_KHR_cooperative_matrix"

	useA, useB, useAccumulator = 0, 1, 2 // layouts: 0 row-major, 1 column-major
)

// matrixCode is a module with matrices of the older extension.
type matrixCode struct {
	code   *Code
	typeOf map[uint32]uint32 // of scalar constants and of matrices
	truth  map[uint32]uint32 // boolean constants, as layouts
	use    map[uint32]uint32 // of matrix types
	words  map[uint32]bool   // 32-bit integer types

	lengths   []Instruction // constants that are the length of a matrix, or computed from it
	functions int

	out []Instruction
}

// KHRMatrices turns a module's cooperative matrices into those that devices have.
func (c *Code) KHRMatrices() error {
	m := matrixCode{code: c, typeOf: map[uint32]uint32{}, truth: map[uint32]uint32{}, use: map[uint32]uint32{}, words: map[uint32]bool{}}
	for _, in := range c.Instructions {
		m.note(in)
	}
	err := m.uses()
	if err == nil {
		err = m.rewrite()
	}
	if err != nil {
		return fmt.Errorf("cooperative matrices: %w", err)
	}
	return nil
}

func (m *matrixCode) note(in Instruction) {
	switch a := in.Args; {
	case in.Op == opTypeInt:
		m.words[a[0]] = a[1] == 32
	case in.Op == opTypeMatrixNV:
		m.use[a[0]] = undefinedUse
	case in.Op == opConstantTrue:
		m.truth[a[1]] = 1
	case in.Op == opConstantFalse:
		m.truth[a[1]] = 0
	case in.Op == opConstant || in.Op == opSpecConstant:
		m.typeOf[a[1]] = a[0]
	case in.Op == opSpecConstantOp && (a[2] == opMatrixLengthNV || slices.ContainsFunc(a[3:], m.isLength)):
		m.lengths = append(m.lengths, in)
	case in.Op == opFunction:
		m.functions++
	case in.Op > opConstant && (in.Op < opDecorate || in.Op > opGroupDecorate) && len(a) > 1:
		if _, matrix := m.use[a[0]]; matrix { // as the type of a result, the only place where a type stands first
			m.typeOf[a[1]] = a[0]
		}
	}
}

func (m *matrixCode) isLength(id uint32) bool {
	return slices.ContainsFunc(m.lengths, func(in Instruction) bool { return in.Args[1] == id })
}

const undefinedUse = ^uint32(0)

// uses finds what the matrices of each type are used for from the products they stand in.
func (m *matrixCode) uses() error {
	for _, in := range m.code.Instructions {
		if in.Op != opMatrixMulAddNV {
			continue
		}
		for use, id := range []uint32{useA: in.Args[2], useB: in.Args[3], useAccumulator: in.Args[4]} {
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
func (m *matrixCode) firstStatement() int {
	list := m.code.Instructions
	at := slices.IndexFunc(list, func(in Instruction) bool { return in.Op == opLabel })
	for at++; at > 0 && at < len(list) && list[at].Op == opVariable; {
		at++
	}
	return at
}

func (m *matrixCode) emit(op uint32, args ...uint32) { m.out = append(m.out, Instruction{op, args}) }

// layout returns the number, one of the module's own constants, of a layout that is a truth value.
func (m *matrixCode) layout(id uint32) (uint32, error) {
	n, constant := m.truth[id]
	if !constant {
		return 0, fmt.Errorf("layout %%%d: want a constant", id)
	}
	return m.code.Header[boundWord] + n, nil
}

// rewrite brings the module into the newer form. The numbers of uses and layouts are constants 0, 1 and 2 of its own.
func (m *matrixCode) rewrite() error {
	begin, stated := m.firstStatement(), false
	for i, in := range m.code.Instructions {
		if i == begin {
			for _, l := range m.lengths { // the operation behind its result has the operands of the statement
				op := l.Args[2]
				if op == opMatrixLengthNV {
					op = opMatrixLength
				}
				m.emit(op, slices.Concat(l.Args[:2], l.Args[3:])...)
			}
		}
		if in.Op == opTypeMatrixNV && !stated {
			for n := range uint32(3) {
				m.emit(opConstant, m.typeOf[in.Args[3]], m.code.Header[boundWord]+n, n)
			}
			stated = true
		}
		if err := m.instruction(in); err != nil {
			return err
		}
	}
	m.code.Header[boundWord] += 3
	m.code.Instructions = m.out
	return nil
}

func (m *matrixCode) instruction(in Instruction) error {
	a := in.Args
	switch in.Op {
	case opCapability:
		if Capability(a[0]) == CooperativeMatrixNV {
			a = []uint32{uint32(CooperativeMatrixKHR)}
		}
		m.emit(in.Op, a...)
	case opExtension:
		if slices.Equal(a, literal(extensionMatrixNV)) {
			a = literal(extensionMatrix)
		}
		m.emit(in.Op, a...)
	case opTypeMatrixNV:
		if !m.words[m.typeOf[a[3]]] { // the type of the number of its rows
			return fmt.Errorf("type %%%d: want rows of a 32-bit integer type", a[0])
		}
		m.emit(opTypeMatrix, a[0], a[1], a[2], a[3], a[4], m.code.Header[boundWord]+m.use[a[0]])
	case opMatrixLoadNV:
		l, err := m.layout(a[4])
		if err != nil {
			return err
		}
		m.emit(opMatrixLoad, append([]uint32{a[0], a[1], a[2], l, a[3]}, a[5:]...)...)
	case opMatrixStoreNV:
		l, err := m.layout(a[3])
		if err != nil {
			return err
		}
		m.emit(opMatrixStore, append([]uint32{a[0], a[1], l, a[2]}, a[4:]...)...)
	case opMatrixMulAddNV:
		m.emit(opMatrixMulAdd, a...)
	case opSpecConstantOp:
		if !m.isLength(a[1]) {
			m.emit(in.Op, a...)
		}
	default:
		m.emit(in.Op, a...)
	}
	return nil
}
