package cpu

import "github.com/rwkv-gpu/rwkv-gpu/model/op"

// wkv4 is a WKV4. A unit is some channels of a sequence.
type wkv4 struct {
	*op.WKV4
	e    *Exec
	w, u []float32
}

const channels = 64 // of a unit

// WKV4 compiles a recurrence.
func (c *compiler) WKV4(o *op.WKV4) error {
	c.made = &wkv4{o, c.Exec, c.vector(o.W), c.vector(o.U)}
	return nil
}

func (s *wkv4) units(b *op.Batch) int { return len(b.Seqs) * pieces(s.Y.Width, channels) }

func (s *wkv4) do(w *worker, from, to int) error {
	blocks := pieces(s.Y.Width, channels)
	p := &w.wkv4
	for i := from; i < to; i++ {
		q, at := s.e.Batch.Seqs[i/blocks], i%blocks*channels
		row, slot := int(q.Start), int(q.Slot)
		p.R, p.K, p.V, p.Y = s.e.at(s.R, row, at), s.e.at(s.K, row, at), s.e.at(s.V, row, at), s.e.at(s.Y, row, at)
		p.AA, p.BB, p.PP = s.e.at(s.AA, slot, at), s.e.at(s.BB, slot, at), s.e.at(s.PP, slot, at)
		p.W, p.U = s.w[at:], s.u[at:]
		p.Stride, p.Channels, p.Rows = s.Y.Stride(), min(channels, s.Y.Width-at), int(q.Len)
		s.e.level.WKV4(p)
	}
	return nil
}

// wkv6 is a WKV6. A unit is a head of a sequence.
type wkv6 struct {
	*op.WKV6
	e                  *Exec
	w, u, normW, normB []float32 // w is nil where it is a row
}

// WKV6 compiles a recurrence.
func (c *compiler) WKV6(o *op.WKV6) error {
	s := &wkv6{WKV6: o, e: c.Exec, u: c.vector(o.U), normW: c.vector(o.NormW), normB: c.vector(o.NormB)}
	if o.W.Kind == op.Weight {
		s.w = c.vector(o.W)
	}
	c.made = s
	return nil
}

func (s *wkv6) units(b *op.Batch) int { return len(b.Seqs) * s.Heads }

func (s *wkv6) do(w *worker, from, to int) error {
	p := &w.wkv6
	for i := from; i < to; i++ {
		q, at := s.e.Batch.Seqs[i/s.Heads], i%s.Heads*s.N
		row := int(q.Start)
		p.R, p.K, p.V, p.Y = s.e.at(s.R, row, at), s.e.at(s.K, row, at), s.e.at(s.V, row, at), s.e.at(s.Y, row, at)
		if p.G = nil; s.G != nil {
			p.G = s.e.at(s.G, row, at)
		}
		if s.w != nil {
			p.W, p.WStride = s.w[at:], 0
		} else {
			p.W, p.WStride = s.e.at(s.WKV6.W, row, at), s.WKV6.W.Stride()
		}
		p.U, p.NormW, p.NormB = s.u[at:], s.normW[at:], s.normB[at:]
		p.State = s.e.at(s.State, int(q.Slot), at*s.N)
		p.Stride, p.N, p.Rows, p.Eps = s.Y.Stride(), s.N, int(q.Len), s.Eps
		s.e.level.WKV6(p, w.work)
	}
	return nil
}

// wkv7 is a WKV7. A unit is a head of a sequence.
type wkv7 struct {
	*op.WKV7
	e                        *Exec
	kk, ka, rk, normW, normB []float32
}

// WKV7 compiles a recurrence.
func (c *compiler) WKV7(o *op.WKV7) error {
	c.made = &wkv7{o, c.Exec, c.vector(o.KK), c.vector(o.KA), c.vector(o.RK), c.vector(o.NormW), c.vector(o.NormB)}
	return nil
}

func (s *wkv7) units(b *op.Batch) int { return len(b.Seqs) * s.Heads }

func (s *wkv7) do(w *worker, from, to int) error {
	p := &w.wkv7
	for i := from; i < to; i++ {
		q, at := s.e.Batch.Seqs[i/s.Heads], i%s.Heads*s.N
		row := int(q.Start)
		p.R, p.W, p.K, p.V = s.e.at(s.R, row, at), s.e.at(s.W, row, at), s.e.at(s.K, row, at), s.e.at(s.V, row, at)
		p.A, p.G, p.Y = s.e.at(s.A, row, at), s.e.at(s.G, row, at), s.e.at(s.Y, row, at)
		p.KK, p.KA, p.RK, p.NormW, p.NormB = s.kk[at:], s.ka[at:], s.rk[at:], s.normW[at:], s.normB[at:]
		p.State = s.e.at(s.State, int(q.Slot), at*s.N)
		p.Stride, p.N, p.Rows, p.Eps = s.Y.Stride(), s.N, int(q.Len), s.Eps
		s.e.level.WKV7(p, w.work)
	}
	return nil
}
