package sample

import (
	"fmt"
	"math"
)

// A Sampler draws the tokens of one sequence. It is not safe for concurrent use; Clone gives another sequence its own.
type Sampler struct {
	params   Params
	ids      *Vocabulary
	vocab    int      // its size
	biases   []idBias // never changed
	limit    limit    // of the next draw
	position uint64
	past     history // empty while no penalty needs it
}

// New returns a sampler of a model's ids. The error names the field that is out of range.
func New(p Params, v *Vocabulary) (*Sampler, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	vocab := v.Size()
	if vocab < 1 || vocab > MaxVocabulary {
		return nil, fmt.Errorf("sample: vocabulary: want 1 to %d ids, got %d", MaxVocabulary, vocab)
	}
	for i, id := range p.Ban {
		if id >= vocab {
			return nil, fmt.Errorf("sample: ban[%d]: want an id below %d, got %d", i, vocab, id)
		}
	}
	for id := range p.Bias {
		if id >= vocab {
			return nil, fmt.Errorf("sample: bias: want an id below %d, got %d", vocab, id)
		}
	}
	s := &Sampler{params: p.clone(), ids: v, vocab: vocab, biases: p.biases()}
	if p.Presence != 0 || p.Frequency != 0 {
		s.past = newHistory(vocab)
	}
	return s, nil
}

// Params returns the settings that the sampler was made with.
func (s *Sampler) Params() Params { return s.params.clone() }

// Position returns the number of the next draw in the random stream: the number of accepted tokens.
func (s *Sampler) Position() uint64 { return s.position }

// SetPosition moves to another place of the random stream, to resume a sequence or to draw several times from the
// same logits.
func (s *Sampler) SetPosition(position uint64) { s.position = position }

// Accept records that id is the sequence's next token: the constraint and the random stream move on, counts decay, then
// id's grows. On an error, of an id that is none or that the constraint refuses, nothing has changed.
func (s *Sampler) Accept(id int) error {
	if err := checkID(id, s.vocab); err != nil {
		return err
	}
	if err := s.limit.accept(id); err != nil {
		return err
	}
	s.past.accept(id, s.params.PenaltyDecay, s.ids)
	s.position++
	return nil
}

// AcceptPrompt records tokens that were not drawn, such as a prompt's, so that penalties apply to them too. Counts
// change as by Accept; the random stream stays where it is. On an error nothing has changed.
func (s *Sampler) AcceptPrompt(ids []int) error {
	for _, id := range ids {
		if err := checkID(id, s.vocab); err != nil {
			return err
		}
	}
	for _, id := range ids {
		s.past.accept(id, s.params.PenaltyDecay, s.ids)
	}
	return nil
}

func checkID(id, vocab int) error {
	if id < 0 || id >= vocab {
		return fmt.Errorf("sample: accepted id: want 0 to %d, got %d", vocab-1, id)
	}
	return nil
}

// Count returns the decayed count of id and whether it was accepted before. Counts are kept only when a penalty is set.
func (s *Sampler) Count(id int) (count float32, accepted bool) {
	if id < 0 || id >= len(s.past.counts) {
		return 0, false
	}
	return s.past.counts[id], s.past.has(id)
}

// Reset forgets the accepted tokens and starts the random stream again. Mask and constraint stay as they are.
func (s *Sampler) Reset() {
	s.position = 0
	s.past.reset()
}

// Clone returns an independent sampler in the same state. The mask's words and the vocabulary stay shared;
// a constraint is cloned.
func (s *Sampler) Clone() *Sampler {
	c := *s
	c.params = s.params.clone()
	c.past = s.past.clone()
	c.limit = s.limit.clone()
	return &c
}

// Sample returns the id drawn from logits (vocab values, left as they are). It depends on Position, so it returns the
// same id until Accept moves on. It allocates nothing if as many draws ran at once before. The error names a value that
// is not a logit (NaN or +Inf), or says that no id can be drawn.
func (s *Sampler) Sample(logits []float32) (int, error) {
	w := s.ids.take()
	defer s.ids.give(w)
	best, err := s.adjust(w, logits)
	if err != nil || s.params.Greedy() {
		return best, err
	}
	factor, random := inverse(s.params.Temperature), Random(s.params.Seed, s.position)
	if s.params.cuts(s.vocab) {
		w.keep(s.params)
		return w.drawKept(factor, random), nil
	}
	limit, total := w.cut(s.params)
	if factor != log2e {
		total = 0 // it is the weight before temperature
	}
	return w.draw(limit, factor, random, total), nil
}

// Distribution returns the probabilities (vocab values, sum 1) that Sample draws from. They are computed in float64,
// so ids that are too unlikely to ever be drawn still have theirs. Where a greedy sampler meets equal largest logits
// they share the probability, as in the reference, while Sample takes the lowest id; top_k = 1 keeps the lowest.
func (s *Sampler) Distribution(logits []float32) ([]float32, error) {
	w := s.ids.take()
	defer s.ids.give(w)
	if _, err := s.adjust(w, logits); err != nil {
		return nil, err
	}
	factor := float64(log2e)
	if s.params.Temperature > 0 {
		factor = float64(inverse(s.params.Temperature))
	}
	w.keep(s.params)
	exps := make([]float64, len(w.kept))
	var sum float64
	for i, c := range w.kept {
		exps[i] = math.Exp2(-float64(math.Float32frombits(c.key)) * factor)
		sum += exps[i]
	}
	probs := make([]float32, s.vocab)
	for i, c := range w.kept {
		probs[c.id] = float32(exps[i] / sum)
	}
	return probs, nil
}

// adjust gives w the logits, with bias, bans and penalties applied to a copy, and returns the lowest id of the largest
// value.
func (s *Sampler) adjust(w *workspace, logits []float32) (best int, err error) {
	if len(logits) != s.vocab {
		return 0, fmt.Errorf("sample: logits: want %d values, got %d", s.vocab, len(logits))
	}
	if err := s.limit.prepare(s.vocab); err != nil {
		return 0, err
	}
	w.values = logits
	if len(s.past.accepted) > 0 || len(s.params.Ban) > 0 || len(s.biases) > 0 || s.limit.limits() {
		w.copied = append(w.copied[:0], logits...)
		w.values = w.copied
		s.penalise(w.copied)
	}
	switch best = w.top(); {
	case best < 0:
		return 0, &LogitsError{-1, float32(math.Inf(-1))}
	case !(w.largest <= math.MaxFloat32):
		return 0, &LogitsError{best, logits[best]}
	}
	return best, nil
}

// penalise applies bias, penalties, bans and the mask to values.
func (s *Sampler) penalise(values []float32) {
	for _, b := range s.biases {
		values[b.id] += b.bias
	}
	for _, id := range s.past.accepted {
		values[id] -= s.params.Presence + float32(s.past.counts[id]*s.params.Frequency)
	}
	for _, id := range s.params.Ban {
		values[id] = exclude(values[id])
	}
	s.limit.exclude(values)
}

// argMax returns the lowest id of the largest value, or that of the first NaN or +Inf; -1 where all are -Inf.
func argMax(values []float32) (best int, largest float32) {
	best, largest = -1, float32(math.Inf(-1))
	for start := 0; start < len(values); start += 4 {
		if four := values[start:]; len(four) >= 4 &&
			four[0] <= largest && four[1] <= largest && four[2] <= largest && four[3] <= largest {
			continue
		}
		for i, v := range values[start:min(start+4, len(values))] {
			if !(v <= largest) { // also NaN
				best, largest = start+i, v
				if !(v <= math.MaxFloat32) {
					return best, largest
				}
			}
		}
	}
	return best, largest
}

// exclude returns -Inf, or a bad logit as it is so that it is still found.
func exclude(v float32) float32 {
	if v <= math.MaxFloat32 {
		return float32(math.Inf(-1))
	}
	return v
}
