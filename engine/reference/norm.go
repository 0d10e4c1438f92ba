package reference

import (
	"math"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// layerNorm writes (x - mean) / sqrt(var + eps) * w + b to y, with the population variance. Sums are taken in float64.
func layerNorm(y, x, w, b []float32, eps float32) {
	mean, rstd := moments(x, eps)
	for i, v := range x {
		y[i] = (v-mean)*rstd*w[i] + b[i]
	}
}

// moments returns the mean of x and 1/sqrt(var(x) + eps).
func moments(x []float32, eps float32) (mean, rstd float32) {
	var sum, sq float64
	for _, v := range x {
		sum += float64(v)
	}
	m := sum / float64(len(x))
	for _, v := range x {
		d := float64(v) - m
		sq += d * d
	}
	return float32(m), float32(1 / math.Sqrt(sq/float64(len(x))+float64(eps)))
}

// Embed looks up and normalises each row's token.
func (e *evaluator) Embed(o *op.Embed) error {
	c := o.Y.Width
	table, w, b := e.weight(o.Table), e.weight(o.NormW), e.weight(o.NormB)
	e.parallel(len(e.Batch.Tokens), 4*c, func(from, to int) {
		for t := from; t < to; t++ {
			at := int(e.Batch.Tokens[t]) * c
			if y := e.Vec(o.Y.All(), t); o.Normed() {
				layerNorm(y, table[at:at+c], w, b, o.Eps)
			} else {
				copy(y, table[at:at+c])
			}
		}
	})
	return nil
}

// LayerNorm gathers and normalises the wanted rows.
func (e *evaluator) LayerNorm(o *op.LayerNorm) error {
	w, b := e.weight(o.NormW), e.weight(o.NormB)
	for i, row := range e.Batch.Outs {
		layerNorm(e.Vec(o.Y.All(), i), e.Vec(o.X.All(), int(row)), w, b, o.Eps)
	}
	return nil
}
