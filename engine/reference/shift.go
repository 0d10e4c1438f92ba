package reference

import "github.com/rwkv-gpu/rwkv-gpu/model/op"

// ShiftMix normalises each row and mixes it with the one before.
func (e *evaluator) ShiftMix(o *op.ShiftMix) error {
	c := o.X.Width
	w, b := e.weight(o.NormW), e.weight(o.NormB)
	mix := make([][]float32, len(o.Mix))
	for i, m := range o.Mix {
		mix[i] = e.weight(m)
	}
	shift := op.View{Of: o.State, Off: o.StateOff, Len: c}
	last := op.View{Of: o.Last, Off: o.StateOff, Len: c}
	e.parallel(len(e.Batch.Seqs), 16*c, func(from, to int) {
		now, prev := make([]float32, c), make([]float32, c)
		for s := from; s < to; s++ {
			q := e.Batch.Seqs[s]
			copy(prev, e.Vec(shift, int(q.Slot)))
			for t := int(q.Start); t < int(q.Start+q.Len); t++ {
				layerNorm(now, e.Vec(o.X.All(), t), w, b, o.Eps)
				for i, m := range mix {
					y := e.Vec(o.Mixed(i), t)
					for j, n := range now {
						y[j] = n + (prev[j]-n)*m[j]
					}
				}
				now, prev = prev, now
			}
			copy(e.Vec(last, s), prev)
		}
	})
	return nil
}

// ShiftCommit moves the last normalised rows into the slots.
func (e *evaluator) ShiftCommit(o *op.ShiftCommit) error {
	for s, q := range e.Batch.Seqs {
		copy(e.Vec(o.State.All(), int(q.Slot)), e.Vec(o.Last.All(), s))
	}
	return nil
}
