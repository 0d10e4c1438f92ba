package op

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// fake is an op of random operands.
type fake struct {
	views  []View
	access []Access
}

func (f *fake) Check() error        { return nil }
func (f *fake) Apply(Backend) error { return nil }
func (f *fake) Operands(visit func(string, View, Access)) {
	for i, v := range f.views {
		visit("X", v, f.access[i])
	}
}

// randomProgram has operands of every scratch and state kind, of odd widths, touched by random steps.
func randomProgram(rng *rand.Rand) *Program {
	var b Builder
	var list []*Operand
	for range 2 + rng.IntN(12) {
		width := 1 + rng.IntN(200)
		switch k := []Kind{Row, Seq, Out, State}[rng.IntN(4)]; k {
		case State:
			list = append(list, b.State("s", width, 0))
		default:
			list = append(list, b.Scratch("x", k, width))
		}
	}
	for range 1 + rng.IntN(15) {
		f := &fake{}
		for range 1 + rng.IntN(4) {
			o := list[rng.IntN(len(list))]
			off := rng.IntN(o.Width)
			f.views = append(f.views, o.Slice(off, 1+rng.IntN(o.Width-off)))
			f.access = append(f.access, []Access{Read, Write, Update}[rng.IntN(3)])
		}
		b.Emit(-1, "step", f)
	}
	p := b.Unchecked()
	if out := p.Of(Out); len(out) > 0 {
		p.Logits = out[rng.IntN(len(out))]
	}
	for _, o := range p.Of(Row) {
		switch rng.IntN(6) {
		case 0:
			p.Inputs = append(p.Inputs, o)
		case 1:
			p.Outputs = append(p.Outputs, o)
		case 2:
			p.Inputs, p.Outputs = append(p.Inputs, o), append(p.Outputs, o)
		}
	}
	return p
}

// span is the steps in which an operand is alive: from the first that touches it to the last; inputs from before the
// first step on, logits and outputs until after the last.
func span(p *Program, o *Operand) (first, last int, used bool) {
	for i, s := range p.Steps {
		s.Op.Operands(func(_ string, v View, _ Access) {
			if v.Of == o {
				if !used {
					first = i
				}
				last, used = i, true
			}
		})
	}
	if slices.Contains(p.Inputs, o) {
		if !used {
			last = -1
		}
		first, used = -1, true
	}
	if o == p.Logits || slices.Contains(p.Outputs, o) {
		if !used {
			first = len(p.Steps)
		}
		last, used = len(p.Steps), true
	}
	return first, last, used
}

// Operands whose lives overlap never share memory, nor come nearer than the guard; all are aligned and inside.
func TestPlan(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 5))
	shared := false
	for try := range 2000 {
		p := randomProgram(rng)
		s := Sizes{Slots: 1 + rng.IntN(4), Rows: 1 + rng.IntN(9), Seqs: 1 + rng.IntN(4), Outs: 1 + rng.IntN(5)}
		guard := []int{0, 0, 1, 77}[rng.IntN(4)]
		plan := NewPlan(p, s, guard)
		for i, a := range p.Operands {
			at, end := plan.Offset[i], plan.Offset[i]+plan.Extent(a)
			size := plan.Scratch
			if a.Kind == State {
				size = plan.State
			}
			if at < guard || at%Align != 0 || end+guard > size {
				t.Fatalf("try %d: %s at [%d, %d) of %d with guard %d", try, a, at, end, size, guard)
			}
			for j, b := range p.Operands[:i] {
				if (a.Kind == State) != (b.Kind == State) {
					continue
				}
				bAt, bEnd := plan.Offset[j], plan.Offset[j]+plan.Extent(b)
				apart := end+guard <= bAt || bEnd+guard <= at
				shared = shared || !apart
				aFirst, aLast, aUsed := span(p, a)
				bFirst, bLast, bUsed := span(p, b)
				together := a.Kind == State || guard > 0 || aUsed && bUsed && aFirst <= bLast && bFirst <= aLast
				if together && !apart {
					t.Fatalf("try %d: %s at %d and %s at %d overlap (guard %d)", try, a, at, b, bAt, guard)
				}
			}
		}
	}
	if !shared {
		t.Error("no two operands ever shared memory")
	}
}

// A chain of equally wide operands needs the memory of two.
func TestPlanReusesMemory(t *testing.T) {
	var b Builder
	last := b.Scratch("x", Row, 64)
	for range 10 {
		next := b.Scratch("x", Row, 64)
		b.Emit(-1, "step", &fake{views: []View{last.All(), next.All()}, access: []Access{Read, Write}})
		last = next
	}
	if plan := NewPlan(b.Unchecked(), Sizes{Rows: 3}, 0); plan.Scratch != 2*3*64 {
		t.Errorf("a chain takes %d elements, want %d", plan.Scratch, 2*3*64)
	}
}

// The memory of an operand is that of all its vectors, padded.
func TestExtent(t *testing.T) {
	plan := &Plan{Sizes: Sizes{Slots: 2, Rows: 3, Seqs: 5, Outs: 7}}
	for k, n := range map[Kind]int{State: 2, Row: 3, Seq: 5, Out: 7, Weight: 1} {
		if got := plan.Extent(&Operand{Kind: k, Width: 9}); got != n*16 {
			t.Errorf("%s: extent %d, want %d", k, got, n*16)
		}
	}
}
