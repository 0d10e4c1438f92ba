package op

import "fmt"

// Batch is the input of one pass: rows of tokens that belong to sequences. Each sequence continues one slot's state.
// The slices are reused from pass to pass.
type Batch struct {
	Tokens []uint32 // by row
	RowSeq []uint32 // by row: index into Seqs
	Seqs   []Span
	Outs   []uint32 // rows whose logits are wanted
}

// Span is a sequence's share of a batch.
type Span struct {
	Slot  uint32
	Start uint32 // first row
	Len   uint32 // rows
}

// Reset empties the batch.
func (b *Batch) Reset() {
	b.Tokens, b.RowSeq, b.Seqs, b.Outs = b.Tokens[:0], b.RowSeq[:0], b.Seqs[:0], b.Outs[:0]
}

// Add appends a sequence. It asks for the logits of the last wanted rows: 0 for none, 1 for the last row's, len(tokens)
// for all.
func (b *Batch) Add(slot int, tokens []int, wanted int) {
	seq, start := len(b.Seqs), len(b.Tokens)
	b.Seqs = append(b.Seqs, Span{Slot: uint32(slot), Start: uint32(start), Len: uint32(len(tokens))})
	for i, t := range tokens {
		b.Tokens = append(b.Tokens, uint32(t))
		b.RowSeq = append(b.RowSeq, uint32(seq))
		if i >= len(tokens)-wanted {
			b.Outs = append(b.Outs, uint32(start+i))
		}
	}
}

// Count returns how many vectors an operand of kind k has in this batch.
func (b *Batch) Count(k Kind) int {
	switch k {
	case Row:
		return len(b.Tokens)
	case Seq:
		return len(b.Seqs)
	case Out:
		return len(b.Outs)
	}
	return 1
}

// Check verifies the batch against a program and the sizes its executor was made for.
func (b *Batch) Check(p *Program, s Sizes) error {
	switch {
	case len(b.Tokens) == 0:
		return fmt.Errorf("op: batch: want at least one row, got none")
	case len(b.Tokens) > s.Rows:
		return fmt.Errorf("op: batch: want at most %d rows, got %d", s.Rows, len(b.Tokens))
	case len(b.Seqs) > s.Seqs:
		return fmt.Errorf("op: batch: want at most %d sequences, got %d", s.Seqs, len(b.Seqs))
	case len(b.Outs) > s.Outs:
		return fmt.Errorf("op: batch: want at most %d outs, got %d", s.Outs, len(b.Outs))
	}
	for i, t := range b.Tokens {
		if int(t) >= p.Vocab {
			return fmt.Errorf("op: batch: row %d: want a token below %d, got %d", i, p.Vocab, t)
		}
	}
	row := 0
	for i, q := range b.Seqs {
		if int(q.Slot) >= s.Slots {
			return fmt.Errorf("op: batch: sequence %d: want a slot below %d, got %d", i, s.Slots, q.Slot)
		}
		if int(q.Start) != row || q.Len == 0 {
			return fmt.Errorf("op: batch: sequence %d: want rows from %d, got %d rows from %d", i, row, q.Len, q.Start)
		}
		for j := range i {
			if b.Seqs[j].Slot == q.Slot {
				return fmt.Errorf("op: batch: sequences %d and %d: both in slot %d", j, i, q.Slot)
			}
		}
		row += int(q.Len)
	}
	if row != len(b.Tokens) {
		return fmt.Errorf("op: batch: want sequences over %d rows, got %d", len(b.Tokens), row)
	}
	return b.checkTables()
}

// checkTables verifies the indices that kernels follow. It comes after the check that the sequences cover the rows.
func (b *Batch) checkTables() error {
	if len(b.RowSeq) != len(b.Tokens) {
		return fmt.Errorf("op: batch: want %d rows in the table of sequences, got %d", len(b.Tokens), len(b.RowSeq))
	}
	for i, q := range b.Seqs {
		for row := q.Start; row < q.Start+q.Len; row++ {
			if int(b.RowSeq[row]) != i {
				return fmt.Errorf("op: batch: row %d: want sequence %d, got %d", row, i, b.RowSeq[row])
			}
		}
	}
	for i, row := range b.Outs {
		if int(row) >= len(b.Tokens) {
			return fmt.Errorf("op: batch: out %d: want a row below %d, got %d", i, len(b.Tokens), row)
		}
	}
	return nil
}

// Sizes are the most slots, rows, sequences and outs of an executor at once.
type Sizes struct {
	Slots int
	Rows  int
	Seqs  int
	Outs  int
}

func (s Sizes) of(k Kind) int {
	switch k {
	case Row:
		return s.Rows
	case Seq:
		return s.Seqs
	case Out:
		return s.Outs
	case State:
		return s.Slots
	}
	return 1
}
