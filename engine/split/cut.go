package split

import (
	"fmt"
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// Part is the program of some layers of a model.
type Part struct {
	// Program has the steps of these layers. The first part also has the steps before all layers, and the last part those
	// behind them, with the logits. Inputs are rows of earlier parts that it reads. Outputs are rows that later parts
	// read.
	Program  *op.Program
	From, To int   // layers: [From, To)
	Steps    []int // by step of Program: its place in the whole program

	inputs, outputs []int   // by input and output of Program: the operand's ID in the whole program
	states          []piece // of a slot's state
}

// piece is a run of elements of a slot's state.
type piece struct{ whole, part, n int } // where it begins, in the whole state and in the part's, and its length

// Layers returns the number of layers of a program.
func Layers(prog *op.Program) int {
	n := 0
	for i := range prog.Steps {
		n = max(n, prog.Steps[i].Layer+1)
	}
	return n
}

// Cut divides a program before each of the layers firsts, which ascend from 1 on. All parts together compute what the
// program does, by the same ops. It is an error if a layer would read of an earlier part anything but rows.
func Cut(prog *op.Program, firsts []int) ([]*Part, error) {
	layers := Layers(prog)
	bounds := append(append([]int{0}, firsts...), layers)
	for i, first := range bounds[1:] {
		if first <= bounds[i] {
			return nil, fmt.Errorf("split: want cuts before layers that ascend from 1 to %d, got %v", layers-1, firsts)
		}
	}
	c := &cutter{whole: prog, made: make([]*making, len(bounds)-1)}
	for i := range c.made {
		c.made[i] = &making{cutter: c, of: map[*op.Operand]*op.Operand{}, part: &Part{From: bounds[i], To: bounds[i+1]}}
	}
	if err := c.steps(); err != nil {
		return nil, err
	}
	c.carry()
	parts, states := make([]*Part, len(c.made)), 0
	for i, m := range c.made {
		if err := m.finish(i == len(c.made)-1); err != nil {
			return nil, fmt.Errorf("split: layers %d to %d: %w", m.part.From, m.part.To-1, err)
		}
		parts[i] = m.part
		states += m.part.Program.StateLen()
	}
	if want := prog.StateLen(); states != want {
		return nil, fmt.Errorf("split: want states that one part each has, %d elements in all, got %d", want, states)
	}
	return parts, nil
}

// cutter is a division under way.
type cutter struct {
	whole *op.Program
	made  []*making
}

// partOf returns the part that has a layer.
func (c *cutter) partOf(layer int) int {
	return slices.IndexFunc(c.made, func(m *making) bool { return layer < m.part.To })
}

// steps gives each step to its part.
func (c *cutter) steps() error {
	places := make([]int, len(c.whole.Steps)) // -1: in each part
	now := 0
	for i, s := range c.whole.Steps {
		if s.Layer >= 0 {
			at := c.partOf(s.Layer)
			if at < now {
				return fmt.Errorf("split: step %s: want layers in their order, got layer %d behind a later part's", s.Name, s.Layer)
			}
			now = at
		}
		places[i] = now
		switch o := s.Op.(type) {
		case *op.ShiftCommit:
			places[i] = -1
		case *op.ShiftMix:
			c.made[now].spans(o)
		}
	}
	for i, s := range c.whole.Steps {
		for at, m := range c.made {
			if places[i] == at || places[i] < 0 && m.shifts[s.Op.(*op.ShiftCommit).State] != nil {
				m.step = i
				if err := s.Op.Apply(m); err != nil {
					return fmt.Errorf("split: step %s: %w", s.Name, err)
				}
			}
		}
	}
	return nil
}

// carry finds the rows that parts read of earlier ones.
func (c *cutter) carry() {
	writer := make([]int, len(c.whole.Operands)) // the last part before this one that writes an operand; -1 for none
	for i := range writer {
		writer[i] = -1
	}
	for at, m := range c.made {
		whole := make([]bool, len(c.whole.Operands)) // written in this part, all elements
		var wrote []int
		for _, i := range m.part.Steps {
			c.whole.Steps[i].Op.Operands(func(_ string, v op.View, a op.Access) {
				id := v.Of.ID
				needs := a&op.Read != 0 || v.Len < v.Of.Width
				if from := writer[id]; from >= 0 && !whole[id] && needs && v.Of.Kind != op.State && m.shifts[v.Of] == nil {
					m.reads(id)
					c.made[from].writes(id)
				}
			})
			c.whole.Steps[i].Op.Operands(func(_ string, v op.View, a op.Access) {
				if a&op.Write != 0 {
					whole[v.Of.ID] = whole[v.Of.ID] || v.Len == v.Of.Width
					wrote = append(wrote, v.Of.ID)
				}
			})
		}
		for _, id := range wrote {
			writer[id] = at
		}
	}
}

// making is a part that is made. As an op.Backend it adds each op to its program, with operands of its own.
type making struct {
	*cutter
	part   *Part
	step   int // of the whole program
	list   []*op.Operand
	steps  []op.Step
	of     map[*op.Operand]*op.Operand // the part's own, by those of the whole program
	shifts map[*op.Operand]*span       // elements that this part has of the memory of token shifts
}

// span is a range of elements.
type span struct{ from, to int }

// spans notes the elements that a token shift uses.
func (m *making) spans(o *op.ShiftMix) {
	if m.shifts == nil {
		m.shifts = map[*op.Operand]*span{}
	}
	for _, x := range []*op.Operand{o.State, o.Last} {
		if m.shifts[x] == nil {
			m.shifts[x] = &span{o.StateOff, o.StateOff}
		}
		s := m.shifts[x]
		s.from, s.to = min(s.from, o.StateOff), max(s.to, o.StateOff+op.Stride(o.X.Width))
	}
}

func (m *making) reads(id int) {
	if !slices.Contains(m.part.inputs, id) {
		m.part.inputs = append(m.part.inputs, id)
	}
}

func (m *making) writes(id int) {
	if !slices.Contains(m.part.outputs, id) {
		m.part.outputs = append(m.part.outputs, id)
	}
}

// finish makes the program.
func (m *making) finish(last bool) error {
	p := &op.Program{Steps: m.steps, Operands: m.list, Vocab: m.whole.Vocab}
	if last {
		p.Logits = m.of[m.whole.Logits]
	}
	for _, l := range []struct {
		ids []int
		to  *[]*op.Operand
	}{{m.part.inputs, &p.Inputs}, {m.part.outputs, &p.Outputs}} {
		for _, id := range l.ids {
			o := m.whole.Operands[id]
			if o.Kind != op.Row {
				return fmt.Errorf("want rows alone to be read of another part, got %s", o)
			}
			*l.to = append(*l.to, m.of[o])
		}
	}
	m.part.Program = p
	m.states()
	return p.Check()
}

// states finds where the part's states lie in a slot's state of the whole program.
func (m *making) states() {
	at := 0
	begins := map[*op.Operand]int{}
	for _, o := range m.whole.Of(op.State) {
		begins[m.of[o]] = at
		if s := m.shifts[o]; s != nil {
			begins[m.of[o]] += s.from
		}
		at += o.Width
	}
	at = 0
	for _, o := range m.part.Program.Of(op.State) {
		m.part.states = append(m.part.states, piece{begins[o], at, o.Width})
		at += o.Width
	}
}
