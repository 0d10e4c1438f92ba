package spirv

// mostShared bounds the size of what a hostile module declares.
const mostShared = 1 << 40

// SharedBytes returns the bytes of a workgroup's shared memory with spec as the specialization constants 0..n-1, near
// enough to check a limit; 0 if that cannot be told.
func (m *Module) SharedBytes(spec []uint32) int {
	s := sizer{m.declared, spec, map[uint32]known{}, map[uint32]known{}}
	sum := 0
	for _, v := range s.variables {
		if v.class != classWorkgroup {
			continue
		}
		p := s.defs[v.pointer]
		if p.Op != opTypePointer {
			return 0
		}
		size := s.size(p.Args[1])
		if !size.ok {
			return 0
		}
		sum = min(sum+size.n, mostShared)
	}
	return sum
}

// sizer tells the sizes of types under a specialization. What it was asked before it remembers; what is asked while it
// is being answered, as by a type that holds itself, is not known.
type sizer struct {
	*declarations
	spec          []uint32
	sizes, values map[uint32]known
}

// known is a number, if ok.
type known struct {
	n  int
	ok bool
}

// of returns what a map has of an id, or finds it.
func of(all map[uint32]known, id uint32, find func() known) known {
	if k, asked := all[id]; asked {
		return k
	}
	all[id] = known{}
	k := find()
	all[id] = k
	return k
}

// size returns the bytes of a type.
func (s *sizer) size(id uint32) known {
	return of(s.sizes, id, func() known {
		t := s.defs[id]
		switch t.Op {
		case opTypeBool:
			return known{4, true}
		case opTypeInt, opTypeFloat:
			return known{int(t.Args[0]) / 8, true}
		case opTypeVector, opTypeMatrixOf:
			return times(s.size(t.Args[0]), known{int(t.Args[1]), true})
		case opTypeArray:
			return times(s.size(t.Args[0]), s.value(t.Args[1]))
		case opTypeStruct:
			sum := known{0, true}
			for _, member := range t.Args {
				n := s.size(member)
				sum = known{min(sum.n+n.n, mostShared), sum.ok && n.ok}
			}
			return sum
		}
		return known{}
	})
}

func times(a, b known) known {
	if a.n > 0 && b.n > mostShared/a.n {
		return known{mostShared, a.ok && b.ok}
	}
	return known{a.n * b.n, a.ok && b.ok}
}

// value returns a constant, as far as the arithmetic goes that array lengths are made of.
func (s *sizer) value(id uint32) known {
	return of(s.values, id, func() known {
		in := s.defs[id]
		switch in.Op {
		case opConstant:
			return known{int(in.Args[1]), true}
		case opSpecConstant:
			if d := s.decorated[id]; d != nil && d.hasSpec && int(d.spec) < len(s.spec) {
				return known{int(s.spec[d.spec]), true}
			}
			return known{int(in.Args[1]), true}
		case opSpecConstantOp:
			if len(in.Args) == 4 { // type, operation and two operands
				return fold(in.Args[1], s.value(in.Args[2]), s.value(in.Args[3]))
			}
		}
		return known{}
	})
}

// fold does 32-bit arithmetic.
func fold(op uint32, a, b known) known {
	x, y := uint32(a.n), uint32(b.n)
	ok := a.ok && b.ok
	switch {
	case op == opIAdd:
		return known{int(x + y), ok}
	case op == opISub:
		return known{int(x - y), ok}
	case op == opIMul:
		return known{int(x * y), ok}
	case op == opUDiv && y != 0:
		return known{int(x / y), ok}
	}
	return known{}
}
