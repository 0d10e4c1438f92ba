package split

import (
	"fmt"
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

var _ op.Backend = (*making)(nil)

// add adds a copy of the present step, which has operands of the part.
func (m *making) add(o op.Op) error {
	s := m.whole.Steps[m.step]
	m.steps = append(m.steps, op.Step{Layer: s.Layer, Name: s.Name, Op: o})
	m.part.Steps = append(m.part.Steps, m.step)
	return nil
}

// own returns the part's operand for one of the whole program.
func (m *making) own(o *op.Operand) *op.Operand {
	if o == nil {
		return nil
	}
	if mine := m.of[o]; mine != nil {
		return mine
	}
	mine := *o
	mine.ID = len(m.list)
	if s := m.shifts[o]; s != nil {
		mine.Width = s.to - s.from
		if o.InitialValues != nil {
			mine.InitialValues = part(o.InitialValues, s)
		}
	}
	m.of[o] = &mine
	m.list = append(m.list, &mine)
	return &mine
}

// part returns some elements of a tensor.
func part(t *tensor.Tensor, s *span) *tensor.Tensor {
	return tensor.New(t.Name, tensor.F32, []int{s.to - s.from}, func() ([]byte, error) {
		all, err := t.Floats()
		if err != nil {
			return nil, err
		}
		if len(all) < s.to {
			return nil, fmt.Errorf("split: tensor %s: want %d elements or more, got %d", t.Name, s.to, len(all))
		}
		data := make([]byte, tensor.F32.Bytes(s.to-s.from))
		tensor.F32.Encode(data, all[s.from:s.to])
		return data, nil
	})
}

// replace puts the part's operands in the place of the whole program's.
func (m *making) replace(fields ...**op.Operand) {
	for _, f := range fields {
		*f = m.own(*f)
	}
}

func (m *making) view(v op.View) op.View {
	v.Of = m.own(v.Of)
	return v
}

// Embed adds the op.
func (m *making) Embed(o *op.Embed) error {
	x := *o
	m.replace(&x.Table, &x.NormW, &x.NormB, &x.Y)
	return m.add(&x)
}

// LayerNorm adds the op.
func (m *making) LayerNorm(o *op.LayerNorm) error {
	x := *o
	m.replace(&x.X, &x.NormW, &x.NormB, &x.Y)
	return m.add(&x)
}

// ShiftMix adds the op with its place in the part's memory of token shifts.
func (m *making) ShiftMix(o *op.ShiftMix) error {
	x := *o
	x.StateOff -= m.shifts[o.State].from
	if m.shifts[o.Last].from != m.shifts[o.State].from {
		return fmt.Errorf("want token shifts that use State and Last alike, got %s and %s", o.State, o.Last)
	}
	m.replace(&x.X, &x.NormW, &x.NormB, &x.State, &x.Last, &x.Y)
	x.Mix = slices.Clone(o.Mix)
	for i := range x.Mix {
		m.replace(&x.Mix[i])
	}
	return m.add(&x)
}

// MatMul adds the op.
func (m *making) MatMul(o *op.MatMul) error {
	x := op.MatMul{Parts: slices.Clone(o.Parts)}
	for i := range x.Parts {
		p := &x.Parts[i]
		m.replace(&p.W, &p.Bias)
		p.X, p.From, p.To, p.Y = m.view(p.X), m.view(p.From), m.view(p.To), m.view(p.Y)
	}
	return m.add(&x)
}

// WKV4 adds the op.
func (m *making) WKV4(o *op.WKV4) error {
	x := *o
	m.replace(&x.R, &x.K, &x.V, &x.W, &x.U, &x.AA, &x.BB, &x.PP, &x.Y)
	return m.add(&x)
}

// WKV6 adds the op.
func (m *making) WKV6(o *op.WKV6) error {
	x := *o
	m.replace(&x.R, &x.K, &x.V, &x.W, &x.U, &x.G, &x.NormW, &x.NormB, &x.State, &x.Y)
	return m.add(&x)
}

// WKV7 adds the op.
func (m *making) WKV7(o *op.WKV7) error {
	x := *o
	m.replace(&x.R, &x.W, &x.K, &x.V, &x.A, &x.G, &x.KK, &x.KA, &x.RK, &x.NormW, &x.NormB, &x.State, &x.Y)
	return m.add(&x)
}

// DeepEmbed adds the op.
func (m *making) DeepEmbed(o *op.DeepEmbed) error {
	x := *o
	m.replace(&x.H, &x.Table, &x.Y)
	return m.add(&x)
}

// ShiftCommit adds the op, to each part that has token shifts.
func (m *making) ShiftCommit(o *op.ShiftCommit) error {
	x := *o
	m.replace(&x.Last, &x.State)
	return m.add(&x)
}
