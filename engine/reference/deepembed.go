package reference

import "github.com/rwkv-gpu/rwkv-gpu/model/op"

// DeepEmbed multiplies each row with its token's matrix.
func (e *evaluator) DeepEmbed(o *op.DeepEmbed) error {
	inner, width, table := o.H.Width, o.Y.Width, e.weight(o.Table)
	e.parallel(len(e.Batch.Tokens), inner*width, func(from, to int) {
		for t := from; t < to; t++ {
			y := e.Vec(o.Y.All(), t)
			clear(y)
			at := int(e.Batch.Tokens[t]) * inner * width
			for i, h := range e.Vec(o.H.All(), t) {
				for j, w := range table[at+i*width : at+(i+1)*width] {
					y[j] += h * w
				}
			}
		}
	})
	return nil
}
