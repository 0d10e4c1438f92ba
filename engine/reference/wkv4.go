package reference

import (
	"math"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// WKV4 runs the recurrence, one goroutine for some sequences and channels.
func (e *evaluator) WKV4(o *op.WKV4) error {
	const block = 64 // channels
	blocks := (o.Y.Width + block - 1) / block
	e.parallel(len(e.Batch.Seqs)*blocks, 64*block*e.longest(), func(from, to int) {
		for i := from; i < to; i++ {
			first := i % blocks * block
			e.wkv4(o, e.Batch.Seqs[i/blocks], first, min(first+block, o.Y.Width))
		}
	})
	return nil
}

// longest returns the rows of the batch's longest sequence.
func (e *evaluator) longest() int {
	rows := 0
	for _, q := range e.Batch.Seqs {
		rows = max(rows, int(q.Len))
	}
	return rows
}

// wkv4 works through the rows of one sequence for the channels [from, to).
func (e *evaluator) wkv4(o *op.WKV4, q op.Span, from, to int) {
	w, u := e.weight(o.W), e.weight(o.U)
	state := func(x *op.Operand) []float32 { return e.Vec(x.All(), int(q.Slot)) }
	aa, bb, pp := state(o.AA), state(o.BB), state(o.PP)
	for t := int(q.Start); t < int(q.Start+q.Len); t++ {
		r, k, v, y := e.Vec(o.R.All(), t), e.Vec(o.K.All(), t), e.Vec(o.V.All(), t), e.Vec(o.Y.All(), t)
		for c := from; c < to; c++ {
			now := u[c] + k[c]
			most := max(pp[c], now)
			past, present := exp(pp[c]-most), exp(now-most)
			y[c] = r[c] * (past*aa[c] + present*v[c]) / (past*bb[c] + present)

			decayed := pp[c] + w[c]
			most = max(decayed, k[c])
			past, present = exp(decayed-most), exp(k[c]-most)
			aa[c] = past*aa[c] + present*v[c]
			bb[c] = past*bb[c] + present
			pp[c] = most
		}
	}
}

func exp(x float32) float32 { return float32(math.Exp(float64(x))) }
