package sample

import "math"

// Twin is what another implementation needs to draw a Sampler's next tokens: the settings in the form that the
// definition uses them. The accepted ids, the mask and the free ids, which may be large, are copied out by its methods,
// before the Sampler is changed.
type Twin struct {
	Greedy   bool    // step 3 is the last
	Factor   float32 // s of step 8
	TopP     uint32  // P of step 5; 0 for no filter
	TopK     uint32  // 0 for no filter
	Limit    uint32  // bit pattern of the largest t that step 7 leaves
	Seed     uint64
	Position uint64 // of the next draw

	Penalised, Masked          bool // steps 2 and 1 have something to do
	Presence, Frequency, Decay float32
	Accepted                   int // ids accepted so far, each once; 0 unless Penalised
	Biased                     int // ids that have a bias

	of *Sampler
}

// Twin returns the sampler's settings and where it stands, after Prepare.
func (s *Sampler) Twin() Twin {
	p := &s.params
	t := Twin{Greedy: p.Greedy(), Limit: p.limit(), Seed: p.Seed, Position: s.position,
		Penalised: s.past.counts != nil, Masked: s.limit.limits() || len(p.Ban) > 0,
		Presence: p.Presence, Frequency: p.Frequency, Decay: p.PenaltyDecay, Accepted: len(s.past.accepted),
		Biased: len(s.biases), of: s}
	if t.Greedy {
		return t
	}
	t.Factor = inverse(p.Temperature)
	if p.TopP < 1 {
		t.TopP = uint32(p.share())
	}
	if p.TopK < s.vocab {
		t.TopK = uint32(p.TopK)
	}
	return t
}

// Vocabulary returns the number of ids that the sampler was made for.
func (s *Sampler) Vocabulary() int { return s.vocab }

// Limited reports whether the ids that may be drawn may be others after each token: by a mask, or by a constraint whose
// mask is not prepared yet or does not last.
func (s *Sampler) Limited() bool {
	return s.limit.mask != nil || s.Unprepared() || s.limit.constraint != nil && !s.limit.lasts
}

// CopyCounts fills dst (2*Accepted words) with the accepted ids, each followed by the bit pattern of its count.
func (t *Twin) CopyCounts(dst []uint32) {
	for i, id := range t.of.past.accepted {
		dst[2*i], dst[2*i+1] = uint32(id), math.Float32bits(t.of.past.counts[id])
	}
}

// CopyBiases fills dst (2*Biased words) with the ids that have a bias, each followed by the bias's bit pattern.
func (t *Twin) CopyBiases(dst []uint32) {
	for i, b := range t.of.biases {
		dst[2*i], dst[2*i+1] = uint32(b.id), math.Float32bits(b.bias)
	}
}

// CopyAllowed fills dst ((vocab+31)/32 words) with the ids that may be drawn: id i is bit i%32 of word i/32.
func (t *Twin) CopyAllowed(dst []uint32) {
	for i := range dst {
		dst[i] = math.MaxUint32
		if t.of.limit.limits() {
			dst[i] = uint32(t.of.limit.word(i/2) >> (i % 2 * 32))
		}
	}
	for _, id := range t.of.params.Ban {
		dst[id/32] &^= 1 << (id % 32)
	}
}

// CopyFree fills dst ((vocab+31)/32 words) with the ids whose count stays when they are accepted (see FreeText).
func (t *Twin) CopyFree(dst []uint32) {
	clear(dst)
	copy(dst, t.of.ids.freeBits())
}
