package reference

import (
	"github.com/rwkv-gpu/rwkv-gpu/engine/arena"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// evaluator does ops on memory: weights, and vectors of the staged batch and of slots. It implements op.Backend.
type evaluator struct {
	*arena.Arena
	weights [][]float32 // by operand ID; nil once closed
	workers int
}

var _ op.Backend = (*evaluator)(nil)

func (e *evaluator) weight(o *op.Operand) []float32 {
	if o == nil {
		return nil
	}
	return e.weights[o.ID]
}
