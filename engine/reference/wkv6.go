package reference

import "github.com/rwkv-gpu/rwkv-gpu/model/op"

// WKV6 runs the recurrence, one goroutine for some sequences and heads.
func (e *evaluator) WKV6(o *op.WKV6) error {
	e.parallel(len(e.Batch.Seqs)*o.Heads, 4*o.N*o.N*e.longest(), func(from, to int) {
		y := make([]float32, o.N)
		for i := from; i < to; i++ {
			e.head6(o, e.Batch.Seqs[i/o.Heads], i%o.Heads, y)
		}
	})
	return nil
}

// head6 works through the rows of one sequence for one head. out is memory for one head's vector.
func (e *evaluator) head6(o *op.WKV6, q op.Span, head int, out []float32) {
	n := o.N
	at := head * n
	part := func(x *op.Operand, t int) []float32 { return e.Vec(x.Slice(at, n), t) }
	param := func(p *op.Operand) []float32 { return e.weight(p)[at : at+n] }
	state := e.Vec(o.State.All(), int(q.Slot))[at*n : (at+n)*n]
	u, normW, normB := param(o.U), param(o.NormW), param(o.NormB)
	for t := int(q.Start); t < int(q.Start+q.Len); t++ {
		r, k, v := part(o.R, t), part(o.K, t), part(o.V, t)
		var w []float32
		if o.W.Kind == op.Weight {
			w = param(o.W)
		} else {
			w = part(o.W, t)
		}
		clear(out)
		for j := range n {
			s := state[j*n : (j+1)*n]
			for i, vi := range v {
				kv := k[j] * vi
				out[i] += r[j] * (u[j]*kv + s[i])
				s[i] = kv + w[j]*s[i]
			}
		}
		y := part(o.Y, t)
		layerNorm(y, out, normW, normB, o.Eps)
		if o.G != nil {
			for i, g := range part(o.G, t) {
				y[i] *= g
			}
		}
	}
}
