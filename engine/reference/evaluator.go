package reference

import "github.com/rwkv-gpu/rwkv-gpu/model/op"

// evaluator does ops on memory: weights, and vectors of the staged batch and of slots. It implements op.Backend.
type evaluator struct {
	plan    *op.Plan
	weights [][]float32 // by operand ID; nil once closed
	scratch []float32
	state   []float32
	batch   op.Batch
	workers int
}

var _ op.Backend = (*evaluator)(nil)

// vec returns the elements of v's i-th vector: of a row, sequence, out or slot.
func (e *evaluator) vec(v op.View, i int) []float32 {
	arena := e.scratch
	if v.Of.Kind == op.State {
		arena = e.state
	}
	at := e.plan.Offset[v.Of.ID] + i*v.Of.Stride() + v.Off
	return arena[at : at+v.Len : at+v.Len]
}

func (e *evaluator) weight(o *op.Operand) []float32 {
	if o == nil {
		return nil
	}
	return e.weights[o.ID]
}

// count returns the number of an operand's vectors.
func (e *evaluator) count(o *op.Operand) int {
	if o.Kind == op.State {
		return e.plan.Sizes.Slots
	}
	return e.batch.Count(o.Kind)
}
