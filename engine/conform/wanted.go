package conform

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/op/opcase"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// wanted says which cases concern a program: those of its ops, types of weights and sizes of heads.
type wanted struct {
	ops   map[string]bool
	types map[tensor.Type]bool
	heads map[int]bool
}

// epilogues is the type of weights of the cases of functions, and of groups. It is wanted of every program.
const epilogues = tensor.F16

func wantedBy(prog *op.Program) wanted {
	w := wanted{map[string]bool{}, map[tensor.Type]bool{epilogues: true}, map[int]bool{}}
	for _, s := range prog.Steps {
		w.ops[opcase.NameOf(s.Op)] = true
		types, n := shapeOf(s.Op)
		for _, t := range types {
			w.types[t] = true
		}
		w.heads[n] = true
	}
	return w
}

// shapeOf returns the types of an op's matrices and tables, and the size of its heads, or 0.
func shapeOf(o op.Op) (types []tensor.Type, head int) {
	o.Operands(func(_ string, v op.View, _ op.Access) {
		if v.Of.Kind == op.Weight && len(v.Of.Shape) == 2 && !slices.Contains(types, v.Of.Source.Type) {
			types = append(types, v.Of.Source.Type)
		}
	})
	switch o := o.(type) {
	case *op.WKV6:
		head = o.N
	case *op.WKV7:
		head = o.N
	}
	return types, head
}

// trial is a case that concerns a program.
type trial struct {
	*opcase.Setup
	name, op string
	typ      string // of weights, "" if there are no matrices
	sparse   bool   // reports whether the input has many zeros
}

// trials sets up the cases, those of single products before those of groups, so that forms are known to be unfit before
// they run beside others.
func (w wanted) trials() ([]trial, error) {
	var list []trial
	heads := map[string]bool{} // ops with a case of a wanted head
	for _, c := range opcase.Cases() {
		name, _, _ := strings.Cut(c.Name, "/")
		if c.Perf || !w.ops[name] {
			continue
		}
		s, err := c.Setup()
		if err != nil {
			return nil, fmt.Errorf("conformance case %s: %w", c.Name, err)
		}
		t := trial{Setup: s, name: c.Name, op: name, sparse: strings.Contains(c.Name, "/zeros")}
		types, head := shapeOf(s.Prog.Steps[0].Op)
		if len(types) > 1 || len(types) == 1 && !w.types[types[0]] {
			continue
		}
		if len(types) == 1 {
			t.typ = types[0].String()
		}
		heads[name] = heads[name] || w.heads[head]
		list = append(list, t)
	}
	return slices.DeleteFunc(list, func(t trial) bool {
		_, head := shapeOf(t.Prog.Steps[0].Op)
		return heads[t.op] && !w.heads[head] // a head that no case has is judged by all others
	}), nil
}
