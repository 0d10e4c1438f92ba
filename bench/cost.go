package bench

import (
	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// cost is what an op reads, writes and computes in a pass. Elementwise arithmetic does not count as flops: it is little
// beside the products and recurrences, and its amount depends on how it is written.
type cost struct {
	weights float64 // bytes
	moved   float64 // bytes of activations and state
	flops   float64 // a multiply-add is two
}

func (c *cost) add(d cost) {
	c.weights += d.weights
	c.moved += d.moved
	c.flops += d.flops
}

// batchSize is the shape of a pass.
type batchSize struct{ rows, seqs, outs int }

func (s batchSize) of(k op.Kind) int {
	switch k {
	case op.Row:
		return s.rows
	case op.Seq, op.State: // a sequence's slot is all of the state that it touches
		return s.seqs
	case op.Out:
		return s.outs
	}
	return 1
}

// costOf returns what one op costs in a pass.
func costOf(o op.Op, s batchSize) (c cost) {
	if runs(o, s) {
		c.memory(o, s)
		c.flops = flopsOf(o, s)
	}
	return c
}

// runs reports whether an op has anything to do. Without wanted logits the head has nothing to do.
func runs(o op.Op, s batchSize) bool {
	some := false
	o.Operands(func(_ string, v op.View, a op.Access) {
		some = some || a&op.Write != 0 && s.of(v.Of.Kind) > 0
	})
	return some
}

// memory adds up an op's operands, each view once. If rows are picked from a table, these rows count.
func (c *cost) memory(o op.Op, s batchSize) {
	var table *op.Operand
	switch e := o.(type) {
	case *op.Embed:
		table = e.Table
	case *op.DeepEmbed:
		table = e.Table
	}
	type access struct {
		op.View
		a op.Access
	}
	seen := map[access]bool{}
	o.Operands(func(_ string, v op.View, a op.Access) {
		if seen[access{v, a}] {
			return
		}
		seen[access{v, a}] = true
		switch {
		case v.Of == table:
			c.weights += float64(s.rows * v.Of.Source.Type.Bytes(v.Of.Width/v.Of.Shape[0]))
		case v.Of.Kind == op.Weight:
			c.weights += float64(v.Of.Source.Type.Bytes(v.Len))
		default:
			n := float64(4 * v.Len * s.of(v.Of.Kind))
			if a == op.Update {
				n *= 2
			}
			c.moved += n
		}
	})
}

// flopsOf counts the multiplications and additions of products and recurrences, by the formulas in package op.
func flopsOf(o op.Op, s batchSize) float64 {
	switch e := o.(type) {
	case *op.MatMul:
		n := 0
		for i := range e.Parts {
			n += 2 * e.Parts[i].X.Len * e.Parts[i].Y.Len
		}
		return float64(n * s.of(e.Parts[0].X.Of.Kind))
	case *op.WKV7: // decay 1, S kk 2, its outer product 2, v k^T 2, S r 2
		return float64(9 * e.Heads * e.N * e.N * s.rows)
	case *op.WKV6: // k v^T 1, U and sum 2, r 2, decay and sum 2
		return float64(7 * e.Heads * e.N * e.N * s.rows)
	case *op.WKV4:
		return float64(20 * e.Y.Width * s.rows)
	}
	return 0
}

// modelCost is the cost of a model, in parts that add up to the cost of any work.
type modelCost struct {
	pass, outPass cost // weights read once in a pass, and in a pass with wanted logits
	row, out      cost // for each token; for each of its logits
}

// modelCostOf returns the cost of a program.
func modelCostOf(prog *op.Program) (m modelCost) {
	for _, s := range prog.Steps {
		one, two := costOf(s.Op, batchSize{1, 1, 1}), costOf(s.Op, batchSize{2, 1, 1})
		without := costOf(s.Op, batchSize{1, 1, 0})
		row := cost{weights: two.weights - one.weights, flops: two.flops - one.flops}
		m.row.add(row)
		if without == (cost{}) {
			m.outPass.add(cost{weights: one.weights})
			m.out.add(cost{flops: one.flops})
			continue
		}
		m.pass.add(cost{weights: one.weights - row.weights})
	}
	return m
}

// of returns the cost of some work.
func (m modelCost) of(w engine.Work) cost {
	return cost{
		weights: m.pass.weights*float64(w.Passes) + m.outPass.weights*float64(w.OutPasses) + m.row.weights*float64(w.Rows),
		flops:   m.row.flops*float64(w.Rows) + m.out.flops*float64(w.Outs),
	}
}

// token returns the cost of a decoded token of a single sequence.
func (m modelCost) token() cost { return m.of(engine.Work{Passes: 1, OutPasses: 1, Rows: 1, Outs: 1}) }
