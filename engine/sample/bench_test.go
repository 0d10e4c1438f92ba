package sample

import (
	"fmt"
	"testing"
)

// BenchmarkSample draws from 65536 logits: peaked as of a confident model, wide as of one with random weights, and
// almost flat.
func BenchmarkSample(b *testing.B) {
	const vocab = 1 << 16
	for _, logits := range []struct {
		name      string
		deviation float64
	}{{"normal", 3}, {"wide", 2}, {"flat", 0.01}} {
		values := randomLogits(1, vocab, logits.deviation)
		if logits.name == "normal" {
			copy(values, randomLogits(2, 100, 6)) // some stand out
		}
		for _, p := range []Params{
			{Temperature: 0}, {Temperature: 1, TopP: 1}, {Temperature: 1, TopP: 0.85}, {Temperature: 0.8, TopP: 0.99},
			{Temperature: 1, TopP: 1, TopK: 40}, {Temperature: 1, TopP: 1, MinP: 0.05},
			{Temperature: 0.96, TopP: 0.76, TopK: 32, Presence: 1, Frequency: 0.1, PenaltyDecay: 0.988},
		} {
			name := fmt.Sprintf("%s/T=%v,p=%v,k=%d,min=%v,pen=%v", logits.name, p.Temperature, p.TopP, p.TopK, p.MinP, p.Presence)
			b.Run(name, func(b *testing.B) {
				s := newSampler(b, p, vocab)
				b.ReportAllocs()
				for b.Loop() {
					id, err := s.Sample(values)
					if err != nil {
						b.Fatal(err)
					}
					if err := s.Accept(id); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkMasked draws from 65536 logits of which a mask leaves a few, or all but a few.
func BenchmarkMasked(b *testing.B) {
	const vocab = 1 << 16
	values := randomLogits(1, vocab, 3)
	for _, left := range []int{20, vocab - 20} {
		b.Run(fmt.Sprint(left), func(b *testing.B) {
			s := newSampler(b, Default(), vocab)
			mask := make([]uint64, vocab/64)
			for id := range vocab {
				if id*left/vocab != (id+1)*left/vocab {
					mask[id/64] |= 1 << (id % 64)
				}
			}
			if err := s.SetMask(mask); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := s.Sample(values); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRows draws for 32 sequences by turns, each from 65536 logits of its own, as after a pass.
func BenchmarkRows(b *testing.B) {
	const vocab, rows = 1 << 16, 32
	v := NewVocabulary(vocab, nil)
	var samplers []*Sampler
	var logits [][]float32
	for i := range rows {
		s, err := New(Default(), v)
		if err != nil {
			b.Fatal(err)
		}
		samplers, logits = append(samplers, s), append(logits, randomLogits(uint64(i), vocab, 2))
	}
	for i := 0; b.Loop(); i++ {
		s := samplers[i%rows]
		if id, err := s.Sample(logits[i%rows]); err != nil || s.Accept(id) != nil {
			b.Fatal(id, err)
		}
	}
}
