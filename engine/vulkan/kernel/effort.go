package kernel

import "github.com/rwkv-gpu/rwkv-gpu/model/op"

// Effort returns how many elements an op touches if it takes one row after the other. It is a coarse measure of the
// op's time, which limits the wait for an op that never ran.
func Effort(o op.Op, s Shape) float64 {
	var n float64
	if product, ok := o.(*op.MatMul); ok {
		for i := range product.Parts {
			n += float64(product.Parts[i].W.Width) * float64(s.Rows)
		}
	}
	o.Operands(func(_ string, v op.View, _ op.Access) {
		if v.Of.Kind != op.Weight {
			n += float64(v.Len) * float64(s.Rows)
		}
	})
	return n
}
