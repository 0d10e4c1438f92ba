package reference

import (
	"math"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// WKV7 runs the recurrence, one goroutine for some sequences and heads.
func (e *evaluator) WKV7(o *op.WKV7) error {
	e.parallel(len(e.Batch.Seqs)*o.Heads, 6*o.N*o.N*e.longest(), func(from, to int) {
		h := head7{o: o, e: e, kk: make([]float32, o.N), k: make([]float32, o.N), y: make([]float32, o.N)}
		for i := from; i < to; i++ {
			h.run(e.Batch.Seqs[i/o.Heads], i%o.Heads)
		}
	})
	return nil
}

// head7 works through the rows of one sequence for one head.
type head7 struct {
	o        *op.WKV7
	e        *evaluator
	kk, k, y []float32 // [N]
}

func (h *head7) run(q op.Span, head int) {
	o, n := h.o, h.o.N
	at := head * n
	part := func(x *op.Operand, t int) []float32 { return h.e.Vec(x.Slice(at, n), t) }
	param := func(p *op.Operand) []float32 { return h.e.weight(p)[at : at+n] }
	state := h.e.Vec(o.State.All(), int(q.Slot))[at*n : (at+n)*n]
	rk, normW, normB := param(o.RK), param(o.NormW), param(o.NormB)
	for t := int(q.Start); t < int(q.Start+q.Len); t++ {
		r, w, v, a, g := part(o.R, t), part(o.W, t), part(o.V, t), part(o.A, t), part(o.G, t)
		h.keys(part(o.K, t), a, param(o.KK), param(o.KA))
		for i := range n {
			h.y[i] = h.row(state[i*n:(i+1)*n], r, w, a, v[i])
		}
		var bonus float32
		for j, k := range h.k {
			bonus += r[j] * k * rk[j]
		}
		y := part(o.Y, t)
		layerNorm(y, h.y, normW, normB, o.Eps)
		for i := range y {
			y[i] = (y[i] + bonus*v[i]) * g[i]
		}
	}
}

// keys derives the removal key kk and the replacement key k from the projected key.
func (h *head7) keys(k, a, kScale, aScale []float32) {
	var sq float64
	for j := range k {
		h.kk[j] = k[j] * kScale[j]
		sq += float64(h.kk[j]) * float64(h.kk[j])
		h.k[j] = k[j] * (1 + (a[j]-1)*aScale[j])
	}
	norm := float32(max(math.Sqrt(sq), op.MinNorm))
	for j := range h.kk {
		h.kk[j] /= norm
	}
}

// row updates the state's row of one value element and returns its product with r.
func (h *head7) row(s, r, w, a []float32, v float32) float32 {
	var sa, y float32
	for j, kk := range h.kk {
		sa -= s[j] * kk
	}
	for j, kk := range h.kk {
		s[j] = s[j]*w[j] + sa*(kk*a[j]) + v*h.k[j]
		y += s[j] * r[j]
	}
	return y
}
