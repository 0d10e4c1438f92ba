package cpu

import (
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// step is an op of the program with the places of all that it reads and writes.
type step interface {
	job
	// units returns how many units the step has for a batch, which is staged for the next do.
	units(b *op.Batch) int
}

// compiler makes an op a step. It implements op.Backend.
type compiler struct {
	*Exec
	made step
	room []byte // of columns that no product has taken
}

var _ op.Backend = (*compiler)(nil)

// compile makes all ops steps.
func (e *Exec) compile() error {
	c := &compiler{Exec: e, room: e.columns}
	for i := range e.prog.Steps {
		if err := e.prog.Steps[i].Op.Apply(c); err != nil {
			return err
		}
		e.steps = append(e.steps, c.made)
		e.tasks = append(e.tasks, &task{job: c.made})
	}
	return nil
}

// vector returns a weight that is a vector, nil for none.
func (e *Exec) vector(o *op.Operand) []float32 {
	if o == nil {
		return nil
	}
	return e.weights.vectors[o.ID]
}

// at returns the arena from element off of o's i-th vector on.
func (e *Exec) at(o *op.Operand, i, off int) []float32 {
	return e.From(op.View{Of: o, Off: i*o.Stride() + off})
}

// rowsPerUnit returns how many of so many rows, at most most, are a unit: so few that all workers have some.
func (e *Exec) rowsPerUnit(rows, most int) int {
	return max(min(rows/(4*len(e.pool.workers)), most), 1)
}

// pieces returns how many pieces of a size n has.
func pieces(n, size int) int { return (n + size - 1) / size }

// workLen returns how many elements of memory of its own a worker needs for any step.
func workLen(prog *op.Program, s op.Sizes, sparse sparse) int {
	n := 0
	for _, step := range prog.Steps {
		switch o := step.Op.(type) {
		case *op.Embed:
			n = max(n, o.Y.Width)
		case *op.ShiftMix:
			n = max(n, 2*o.X.Width)
		case *op.MatMul:
			for i := range o.Parts {
				n = max(n, productWork(&o.Parts[i], s, sparse[&o.Parts[i]]))
			}
		case *op.WKV6:
			n = max(n, o.N)
		case *op.WKV7:
			n = max(n, 4*o.N)
		case *op.DeepEmbed:
			n = max(n, o.H.Width*o.Y.Width)
		}
	}
	return n
}
