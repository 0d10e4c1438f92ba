package split

import (
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// div is a piece of a pass: some of its rows.
type div struct {
	batch op.Batch
	outs  []int // by out of batch: its number in the pass
}

// cutBatch divides b into n pieces of about as many rows each. A sequence whose rows fall into several pieces continues
// from one to the next. The memory of list is used again.
func cutBatch(list []div, b *op.Batch, n int) []div {
	for len(list) < n {
		list = append(list, div{})
	}
	list = list[:n]
	rows := len(b.Tokens)
	for i := range list {
		list[i].take(b, i*rows/n, (i+1)*rows/n)
	}
	return list
}

// take makes the piece one of the rows [from, to) of b.
func (d *div) take(b *op.Batch, from, to int) {
	d.batch.Reset()
	d.outs = d.outs[:0]
	for _, q := range b.Seqs {
		start, end := max(int(q.Start), from), min(int(q.Start+q.Len), to)
		if start >= end {
			continue
		}
		seq := uint32(len(d.batch.Seqs))
		d.batch.Seqs = append(d.batch.Seqs, op.Span{Slot: q.Slot, Start: uint32(start - from), Len: uint32(end - start)})
		for row := start; row < end; row++ {
			d.batch.Tokens, d.batch.RowSeq = append(d.batch.Tokens, b.Tokens[row]), append(d.batch.RowSeq, seq)
		}
	}
	for i, row := range b.Outs {
		if int(row) >= from && int(row) < to {
			d.batch.Outs, d.outs = append(d.batch.Outs, row-uint32(from)), append(d.outs, i)
		}
	}
}

// leastRows is the least rows of a piece, if the number of pieces is chosen: with fewer, the time for a row grows on
// any device.
const leastRows = 32

// tries is how many passes of each kind are timed before the faster kind is kept. The first ones compile kernels.
const tries = 3

// rhythm chooses into how many pieces a pass is divided. Pieces let stages work side by side. But where a pass takes as
// long for few rows as for many, whole passes are faster. So both are timed.
type rhythm struct {
	fixed int // pieces; 0: they are chosen
	most  int // pieces

	runs [2]int           // timed so far: whole passes, divided ones
	best [2]time.Duration // of them, for a thousand rows
}

// pieces returns the number of pieces of a pass over so many rows.
func (r *rhythm) pieces(rows int) int {
	if r.fixed > 0 {
		return min(r.fixed, rows)
	}
	n := min(r.most, rows/leastRows)
	whole, divided := r.runs[0] < tries, r.runs[1] < tries
	switch {
	case n < 2:
		return 1
	case whole && r.runs[0] <= r.runs[1]:
		return 1
	case divided || r.best[1] < r.best[0]:
		return n
	}
	return 1
}

// took notes the time of a pass over so many rows in so many pieces.
func (r *rhythm) took(rows, pieces int, took time.Duration) {
	kind := min(pieces-1, 1)
	if kind == 0 && rows/leastRows < 2 {
		return // it could not be divided
	}
	per := took * 1000 / time.Duration(rows)
	if r.runs[kind] == 0 || per < r.best[kind] {
		r.best[kind] = per
	}
	r.runs[kind]++
}
