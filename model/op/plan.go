package op

import (
	"math"
	"slices"
)

// Plan places the scratch and state operands of a program in two arenas of float32. Scratch operands that are not alive
// at the same time share memory.
type Plan struct {
	Sizes   Sizes
	Scratch int   // elements of the scratch arena
	State   int   // elements of the state arena
	Offset  []int // by operand ID, in elements; -1 for weights
}

// Align is the multiple, in elements, at which operands lie in an arena: 256 bytes, the largest offset alignment that a
// device may ask for.
const Align = 64

// Extent returns how many elements all vectors of an operand take.
func (p *Plan) Extent(o *Operand) int { return p.Sizes.of(o.Kind) * o.Stride() }

type life struct {
	o           *Operand
	first, last int
}

// NewPlan places prog's operands. guard is the number of unused elements around each, for tests. With a guard no
// operands share memory.
func NewPlan(prog *Program, s Sizes, guard int) *Plan {
	p := &Plan{Sizes: s, Offset: make([]int, len(prog.Operands))}
	lives := make([]life, len(prog.Operands))
	for i, o := range prog.Operands {
		lives[i] = life{o, math.MaxInt, -1}
		p.Offset[i] = -1
	}
	for i, step := range prog.Steps {
		step.Op.Operands(func(_ string, v View, _ Access) {
			l := &lives[v.Of.ID]
			l.first, l.last = min(l.first, i), max(l.last, i)
		})
	}
	for _, o := range prog.Inputs {
		lives[o.ID].first = 0 // written before it
		lives[o.ID].last = max(lives[o.ID].last, 0)
	}
	after := prog.Outputs
	if prog.Logits != nil {
		after = append(slices.Clone(after), prog.Logits)
	}
	for _, o := range after { // read after the last step
		lives[o.ID].first, lives[o.ID].last = min(lives[o.ID].first, len(prog.Steps)), len(prog.Steps)
	}
	var placed []life
	state := guard
	for _, l := range lives {
		switch l.o.Kind {
		case Weight:
		case State:
			p.Offset[l.o.ID] = align(state)
			state = align(state) + p.Extent(l.o) + guard
		default:
			if guard > 0 {
				l.first, l.last = 0, len(prog.Steps)
			}
			p.place(l, placed, guard)
			placed = append(placed, l)
		}
	}
	p.State = align(state)
	return p
}

// place puts l at the lowest offset that is free during its whole life.
func (p *Plan) place(l life, placed []life, guard int) {
	var busy [][2]int
	for _, q := range placed {
		if q.first <= l.last && l.first <= q.last {
			off := p.Offset[q.o.ID]
			busy = append(busy, [2]int{off - guard, off + p.Extent(q.o) + guard})
		}
	}
	slices.SortFunc(busy, func(a, b [2]int) int { return a[0] - b[0] })
	size, at := p.Extent(l.o), align(guard)
	for _, b := range busy {
		if at+size+guard <= b[0] {
			break
		}
		at = max(at, align(b[1]+guard))
	}
	p.Offset[l.o.ID] = at
	p.Scratch = max(p.Scratch, align(at+size+guard))
}

func align(n int) int { return (n + Align - 1) / Align * Align }
