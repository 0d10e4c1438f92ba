package cpu

import (
	"github.com/rwkv-gpu/rwkv-gpu/engine/cpu/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// shiftMix is a ShiftMix. A unit is some rows that follow each other.
type shiftMix struct {
	*op.ShiftMix
	e            *Exec
	normW, normB []float32
	mix          [][]float32
	rows         int // of a unit
}

// ShiftMix compiles a token shift.
func (c *compiler) ShiftMix(o *op.ShiftMix) error {
	s := &shiftMix{ShiftMix: o, e: c.Exec, normW: c.vector(o.NormW), normB: c.vector(o.NormB)}
	for _, m := range o.Mix {
		s.mix = append(s.mix, c.vector(m))
	}
	c.made = s
	return nil
}

// A unit's first row makes the norm of the row before it once more.
const mostShifted = 16

func (s *shiftMix) units(b *op.Batch) int {
	s.rows = s.e.rowsPerUnit(len(b.Tokens), mostShifted)
	return pieces(len(b.Tokens), s.rows)
}

func (s *shiftMix) do(w *worker, from, to int) error {
	b := &s.e.Batch
	end := min(to*s.rows, len(b.Tokens))
	for row := from * s.rows; row < end; {
		seq := int(b.RowSeq[row])
		last := min(end, int(b.Seqs[seq].Start+b.Seqs[seq].Len))
		s.run(w, seq, row, last)
		row = last
	}
	return nil
}

// run does the rows [from, to) of a sequence.
func (s *shiftMix) run(w *worker, seq, from, to int) {
	q, width := s.e.Batch.Seqs[seq], s.X.Width
	p := &w.shift
	p.X = kernel.Rows{First: s.e.at(s.X, from, 0), Stride: s.X.Stride()}
	p.Rows, p.Width, p.NormW, p.NormB, p.Eps, p.Mix = to-from, width, s.normW, s.normB, s.Eps, s.mix
	p.Prev, p.Before, p.Last, p.Y = nil, nil, nil, p.Y[:0]
	if from == int(q.Start) {
		p.Prev = s.e.at(s.State, int(q.Slot), s.StateOff)
	} else {
		p.Before = s.e.at(s.X, from-1, 0)
	}
	if to == int(q.Start+q.Len) {
		p.Last = s.e.at(s.ShiftMix.Last, seq, s.StateOff)
	}
	for i := range s.mix {
		p.Y = append(p.Y, kernel.Rows{First: s.e.at(s.Y, from, s.Mixed(i).Off), Stride: s.Y.Stride()})
	}
	s.e.level.ShiftMix(p, w.work)
}

// shiftCommit is a ShiftCommit. A unit is a sequence.
type shiftCommit struct {
	*op.ShiftCommit
	e *Exec
}

// ShiftCommit compiles the end of token shifts.
func (c *compiler) ShiftCommit(o *op.ShiftCommit) error {
	c.made = &shiftCommit{o, c.Exec}
	return nil
}

func (s *shiftCommit) units(b *op.Batch) int { return len(b.Seqs) }

func (s *shiftCommit) do(_ *worker, from, to int) error {
	for i := from; i < to; i++ {
		copy(s.e.Vec(s.State.All(), int(s.e.Batch.Seqs[i].Slot)), s.e.Vec(s.Last.All(), i))
	}
	return nil
}
