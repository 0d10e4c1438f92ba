package op

import (
	"fmt"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// Program is a model as data: the operations that one batch runs through, in order.
type Program struct {
	Steps    []Step
	Operands []*Operand // by ID
	Logits   *Operand   // out [vocab]
	Vocab    int        // token ids are below this

	// Of a program that is a part of a model; nil of a whole one. Prober has what writes and reads them.
	Inputs  []*Operand // rows that the caller writes before the first step
	Outputs []*Operand // rows that the caller reads after the last step
}

// Step is one operation with its place in the model.
type Step struct {
	Layer int // -1 outside the layers
	Name  string
	Op    Op
}

// Of returns the operands of one kind, in the order of their IDs.
func (p *Program) Of(k Kind) []*Operand {
	var list []*Operand
	for _, o := range p.Operands {
		if o.Kind == k {
			list = append(list, o)
		}
	}
	return list
}

// StateLen returns the number of float32 of one slot: the widths of all State operands.
func (p *Program) StateLen() int {
	n := 0
	for _, o := range p.Of(State) {
		n += o.Width
	}
	return n
}

// InitialState returns the state of a fresh slot: the State operands one after the other, float32[StateLen()].
func (p *Program) InitialState() ([]float32, error) {
	state := make([]float32, 0, p.StateLen())
	for _, o := range p.Of(State) {
		if o.InitialValues == nil {
			for range o.Width {
				state = append(state, o.Initial)
			}
			continue
		}
		x, err := o.InitialValues.Floats()
		if err != nil {
			return nil, err
		}
		if len(x) != o.Width {
			return nil, fmt.Errorf("op: state %s: want %d initial values, got %d", o, o.Width, len(x))
		}
		for i, v := range x {
			if !tensor.IsFinite(v) {
				return nil, &NotFiniteError{Tensor: o.InitialValues.Name, Index: i}
			}
		}
		state = append(state, x...)
	}
	return state, nil
}

// Check verifies every step, and that each step reads only inputs and scratch that an earlier one wrote. The outputs
// have to be written too.
func (p *Program) Check() error {
	written := make([]bool, len(p.Operands))
	for i, o := range p.Operands {
		if o.ID != i {
			return fmt.Errorf("op: operand %s: want ID %d, got %d", o, i, o.ID)
		}
	}
	for _, o := range p.Inputs {
		written[o.ID] = true
	}
	for _, s := range p.Steps {
		if err := s.Op.Check(); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		var err error
		s.Op.Operands(func(name string, v View, a Access) {
			scratch := v.Of.Kind == Row || v.Of.Kind == Seq || v.Of.Kind == Out
			if scratch && a&Read != 0 && !written[v.Of.ID] && err == nil {
				err = fmt.Errorf("%s: op reads %s (%s), which nothing wrote", s.Name, name, v)
			}
		})
		if err != nil {
			return err
		}
		s.Op.Operands(func(_ string, v View, a Access) {
			if a&Write != 0 {
				written[v.Of.ID] = true
			}
		})
	}
	for _, o := range p.Outputs {
		if !written[o.ID] {
			return fmt.Errorf("op: output %s: nothing wrote it", o)
		}
	}
	return nil
}

// String lists the steps, one a line, with the functions of products and what each step reads and writes.
func (p *Program) String() string {
	var b strings.Builder
	for _, s := range p.Steps {
		fmt.Fprintf(&b, "%s %s", s.Name, strings.TrimPrefix(fmt.Sprintf("%T", s.Op), "*op."))
		if f, ok := s.Op.(interface{ Functions() string }); ok {
			fmt.Fprintf(&b, " %s", f.Functions())
		}
		s.Op.Operands(func(name string, v View, a Access) {
			arrow := [...]string{Read: "<-", Write: "->", Update: "<>"}[a]
			fmt.Fprintf(&b, " %s%s%s", name, arrow, v)
		})
		b.WriteByte('\n')
	}
	return b.String()
}

// Builder makes a program.
type Builder struct {
	p Program
}

// Weight adds a weight of the given shape. It is a mistake if the source has another shape.
func (b *Builder) Weight(src *tensor.Tensor, shape ...int) *Operand {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return b.add(&Operand{Name: src.Name, Kind: Weight, Width: n, Shape: shape, Source: src})
}

// Scratch adds a vector of scratch for each row, sequence or out.
func (b *Builder) Scratch(name string, k Kind, width int) *Operand {
	return b.add(&Operand{Name: name, Kind: k, Width: width})
}

// State adds a vector of every slot.
func (b *Builder) State(name string, width int, initial float32) *Operand {
	return b.add(&Operand{Name: name, Kind: State, Width: width, Initial: initial})
}

func (b *Builder) add(o *Operand) *Operand {
	o.ID = len(b.p.Operands)
	b.p.Operands = append(b.p.Operands, o)
	return o
}

// Emit adds a step.
func (b *Builder) Emit(layer int, name string, o Op) {
	b.p.Steps = append(b.p.Steps, Step{Layer: layer, Name: name, Op: o})
}

// Program returns the checked program.
func (b *Builder) Program(logits *Operand, vocab int) (*Program, error) {
	b.p.Logits, b.p.Vocab = logits, vocab
	if err := b.p.Check(); err != nil {
		return nil, err
	}
	return &b.p, nil
}

// Unchecked returns the program as it stands: for tests of single ops, whose inputs no step writes.
func (b *Builder) Unchecked() *Program { return &b.p }
