package op

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

var batchSizes = Sizes{Slots: 4, Rows: 8, Seqs: 3, Outs: 5}

// What Add builds passes the check; each way to break it fails with what was wanted.
func TestBatchCheck(t *testing.T) {
	prog := &Program{Vocab: 10}
	build := func() *Batch {
		var b Batch
		b.Add(2, []int{1, 9, 0}, 1)
		b.Add(0, []int{5}, 0)
		b.Add(3, []int{4, 4}, 2)
		return &b
	}
	if err := build().Check(prog, batchSizes); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, want string
		spoil      func(b *Batch)
	}{
		{"empty", "want at least one row, got none", func(b *Batch) { b.Reset() }},
		{"rows", "want at most 8 rows, got 9", func(b *Batch) { b.Reset(); b.Add(0, make([]int, 9), 0) }},
		{"sequences", "want at most 3 sequences, got 4", func(b *Batch) { b.Add(1, []int{1}, 0) }},
		{"outs", "want at most 5 outs, got 6", func(b *Batch) { b.Reset(); b.Add(1, make([]int, 6), 6) }},
		{"token", "row 1: want a token below 10, got 10", func(b *Batch) { b.Tokens[1] = 10 }},
		{"negative token", "row 0: want a token below 10", func(b *Batch) { b.Reset(); b.Add(0, []int{-1}, 0) }},
		{"slot", "sequence 1: want a slot below 4, got 4", func(b *Batch) { b.Seqs[1].Slot = 4 }},
		{"negative slot", "sequence 0: want a slot below 4", func(b *Batch) { b.Reset(); b.Add(-1, []int{1}, 0) }},
		{"same slot", "sequences 0 and 2: both in slot 2", func(b *Batch) { b.Seqs[2].Slot = 2 }},
		{"gap", "sequence 1: want rows from 3, got 1 rows from 4", func(b *Batch) { b.Seqs[1].Start = 4 }},
		{"no rows", "sequence 1: want rows from 3, got 0 rows from 3", func(b *Batch) { b.Seqs[1].Len = 0 }},
		{"too few rows", "want sequences over 6 rows, got 5", func(b *Batch) { b.Seqs[2].Len = 1 }},
		{"too many rows", "want sequences over 6 rows, got 7", func(b *Batch) { b.Seqs[2].Len = 3 }},
		{"rows that wrap", "want rows from 4294967297", func(b *Batch) { b.Seqs[1].Len = 1<<32 - 2; b.Seqs[2].Start = 1; b.Seqs[2].Len = 5 }},
		{"short table", "want 6 rows in the table of sequences, got 5", func(b *Batch) { b.RowSeq = b.RowSeq[:5] }},
		{"other sequence", "row 3: want sequence 1, got 0", func(b *Batch) { b.RowSeq[3] = 0 }},
		{"no such sequence", "row 5: want sequence 2, got 7", func(b *Batch) { b.RowSeq[5] = 7 }},
		{"out", "out 1: want a row below 6, got 6", func(b *Batch) { b.Outs[1] = 6 }},
	} {
		b := build()
		c.spoil(b)
		if err := b.Check(prog, batchSizes); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: want an error with %q, got %v", c.name, c.want, err)
		}
	}
}

// A batch of random sequences holds each one's tokens, in order, and its last wanted rows as outs.
func TestBatchAdd(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var b Batch
	for range 200 {
		b.Reset()
		var tokens, outs, seqOf []uint32
		n := 1 + rng.IntN(5)
		for s := range n {
			list := make([]int, 1+rng.IntN(6))
			wanted := rng.IntN(len(list) + 1)
			for i := range list {
				list[i] = rng.IntN(50)
				if i >= len(list)-wanted {
					outs = append(outs, uint32(len(tokens)))
				}
				tokens, seqOf = append(tokens, uint32(list[i])), append(seqOf, uint32(s))
			}
			b.Add(s*3, list, wanted)
		}
		if !slices.Equal(b.Tokens, tokens) || !slices.Equal(b.Outs, outs) || !slices.Equal(b.RowSeq, seqOf) {
			t.Fatalf("%+v: want tokens %v, outs %v, sequences %v", b, tokens, outs, seqOf)
		}
		if b.Count(Row) != len(tokens) || b.Count(Seq) != n || b.Count(Out) != len(outs) || b.Count(Weight) != 1 {
			t.Fatalf("%+v: wrong counts", b)
		}
		if err := b.Check(&Program{Vocab: 50}, Sizes{Slots: 20, Rows: 40, Seqs: 5, Outs: 40}); err != nil {
			t.Fatal(err)
		}
	}
}
