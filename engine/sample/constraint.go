package sample

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// Constraint limits what a sequence may say, token by token, to texts of a grammar or a schema. Sampler.SetConstraint
// gives it to a sampler. From then on the sampler is its only user: it asks for the mask of each draw, and tells it of
// each token.
//
// Methods are called by one goroutine at a time, though not always by the same one: Mask may run beside the device's
// work on the token before. Constraints of other sequences may be called at the same time, so what they share needs a
// lock.
type Constraint interface {
	// Mask returns the ids that may come next: id i is bit i%64 of word i/64, in (vocabulary+63)/64 words. nil means that
	// every id may come, and costs nothing. So a constraint that begins later, for example behind think text, returns nil
	// until then. Neither side writes to the words, so constraints may share them. They stay valid. Bits of ids beyond the
	// vocabulary do not count.
	//
	// The mask alone says whether the id of the text's end may come. If a text may not end here, the mask leaves that id
	// out. An error, or a mask without any id, ends the sequence with an error that is ErrConstraint.
	//
	// Mask may be called more than once between two calls of Accept, and returns the same then.
	Mask() ([]uint64, error)

	// Lasts reports, after Mask, whether the mask is expected to be the same words behind the next tokens too, as it is in
	// think text. Then one submission draws several tokens by the mask. Those that it draws behind the token that changes
	// the mask do not count. A nil mask lasts anyway.
	Lasts() bool

	// Forced returns the ids that come next in any case. It returns none if there is a choice, or if finding out takes
	// long. The ids are fed as one piece, without a draw for each, and accepted one by one. The slice is valid until the
	// next call of Accept. After that call the rest of the ids is still forced. If a forced text can be cut into ids in
	// several ways, the constraint chooses one.
	Forced() []int

	// Accept notes that an id was drawn or forced. done means that nothing can follow, not even an id of the text's end:
	// the sequence ends with this id. An error means that the id does not fit; then nothing has changed.
	Accept(id int) (done bool, err error)

	// Clone returns an independent constraint in the same state, for a fork of the sequence. It is called after any
	// Accept, and should be cheap.
	Clone() Constraint
}

// ErrConstraint is wrapped by the error of a constraint whose mask allows no id, or whose Accept refused one.
var ErrConstraint = errors.New("constraint")

// limit is what limits the ids of the next draw, besides the settings.
type limit struct {
	mask       []uint64   // of SetMask
	constraint Constraint // nil for none
	next       []uint64   // the constraint's mask for the next draw; nil for every id
	before     []uint64   // what next was at the last draw
	ready      bool       // reports whether next is there
	lasts      bool       // reports whether next is expected to be the same at the draws behind it
	done       bool       // reports whether the constraint wants no other id
	own        []uint64   // memory for what is no mask of others
}

// prepare has the constraint make its mask for the next draw, of so many ids, if that is not done.
func (l *limit) prepare(vocab int) error {
	if l.constraint == nil || l.ready {
		return nil
	}
	if l.done {
		return fmt.Errorf("sample: %w: nothing may follow", ErrConstraint)
	}
	next, err := l.constraint.Mask()
	if err == nil {
		err = checkMask(next, vocab)
	}
	if err != nil {
		return fmt.Errorf("sample: %w: mask: %w", ErrConstraint, err)
	}
	lasts := next == nil || l.constraint.Lasts()
	if forced := l.forced(); len(forced) > 0 {
		id := forced[0]
		if id < 0 || id >= vocab {
			return fmt.Errorf("sample: %w: forced id: want 0 to %d, got %d", ErrConstraint, vocab-1, id)
		}
		next = l.words(vocab)
		next[id/64] = 1 << (id % 64)
		lasts = false
	}
	l.next, l.lasts, l.ready = next, lasts, true
	return nil
}

// forced returns what the constraint forces.
func (l *limit) forced() []int {
	if l.constraint == nil || l.done {
		return nil
	}
	return l.constraint.Forced()
}

// words returns cleared memory for a mask.
func (l *limit) words(vocab int) []uint64 {
	n := (vocab + 63) / 64
	if len(l.own) != n {
		l.own = make([]uint64, n)
	}
	clear(l.own)
	return l.own
}

// allows reports whether a mask, nil for every id, has an id.
func allows(mask []uint64, id int) bool {
	if mask == nil {
		return true
	}
	return mask[id/64]>>(id%64)&1 == 1
}

// checkMask wants a mask of so many ids to have one of them.
func checkMask(mask []uint64, vocab int) error {
	if mask == nil {
		return nil
	}
	if err := checkWords(mask, vocab); err != nil {
		return err
	}
	for i, word := range mask {
		if i == vocab/64 {
			word &= 1<<(vocab%64) - 1
		}
		if word != 0 {
			return nil
		}
	}
	return errors.New("want one id that may come next, got none")
}

// checkWords wants a mask of so many ids to have the length for them.
func checkWords(mask []uint64, vocab int) error {
	if want := (vocab + 63) / 64; len(mask) != want {
		return fmt.Errorf("want %d words for %d ids, got %d", want, vocab, len(mask))
	}
	return nil
}

// limits reports whether any id may be left out of the next draw.
func (l *limit) limits() bool { return l.mask != nil || l.next != nil }

// word returns a word of the ids that the next draw may have.
func (l *limit) word(i int) uint64 {
	word := ^uint64(0)
	if l.mask != nil {
		word = l.mask[i]
	}
	if l.next != nil {
		word &= l.next[i]
	}
	return word
}

// accept moves the constraint on.
func (l *limit) accept(id int) error {
	if l.constraint == nil {
		return nil
	}
	if l.done {
		return fmt.Errorf("sample: %w: nothing may follow, got id %d", ErrConstraint, id)
	}
	done, err := l.constraint.Accept(id)
	if err != nil {
		return fmt.Errorf("sample: %w: %w", ErrConstraint, err)
	}
	l.before, l.next, l.ready, l.done = l.next, nil, false, done
	return nil
}

// clone returns a limit in the same state that goes on by itself.
func (l *limit) clone() limit {
	c := *l
	c.own = nil
	if l.constraint != nil {
		c.constraint = l.constraint.Clone()
		c.next, c.ready = nil, false // it may lie in own
	}
	return c
}

// SetMask limits the draws that follow to ids whose bit is set (id i is bit i%64 of word i/64); nil lifts the limit.
// The words stay the caller's, who may change them between draws.
func (s *Sampler) SetMask(words []uint64) error {
	if words != nil {
		if err := checkWords(words, s.vocab); err != nil {
			return fmt.Errorf("sample: mask: %w", err)
		}
	}
	s.limit.mask = words
	return nil
}

// SetConstraint limits the draws that follow by c, besides the mask; nil lifts the limit. From now on c is the
// sampler's: it learns of each id that Accept records, but of none of AcceptPrompt.
func (s *Sampler) SetConstraint(c Constraint) {
	s.limit.constraint, s.limit.next, s.limit.ready, s.limit.done = c, nil, false, false
}

// Unprepared reports whether there is a constraint whose mask for the next draw is still to be made.
func (s *Sampler) Unprepared() bool { return s.limit.constraint != nil && !s.limit.ready }

// Same reports whether the mask of the next draw, which Prepare made, is the one of the draw before.
func (s *Sampler) Same() bool {
	next, before := s.limit.next, s.limit.before
	return len(next) == len(before) && (len(next) == 0 || s.limit.lasts && &next[0] == &before[0])
}

// Prepare has the constraint make the mask of the next draw, which otherwise the draw does: it may run beside the
// device. An error is ErrConstraint.
func (s *Sampler) Prepare() error { return s.limit.prepare(s.vocab) }

// Forced returns the ids that the constraint forces now, valid until Accept, up to one that a mask or a ban leaves out
// or that is none. Whoever feeds them without a draw has Accept record each. A draw draws the first of them.
func (s *Sampler) Forced() []int {
	ids := s.limit.forced()
	for i, id := range ids {
		if id < 0 || id >= s.vocab || !allows(s.limit.mask, id) || slices.Contains(s.params.Ban, id) {
			return ids[:i]
		}
	}
	return ids
}

// Done reports whether the constraint said that nothing follows the last accepted id.
func (s *Sampler) Done() bool { return s.limit.done }

// exclude takes the ids out of values that the next draw may not have.
func (l *limit) exclude(values []float32) {
	if !l.limits() {
		return
	}
	for i := 0; len(values) > 0; i++ {
		of := values[:min(64, len(values))] // a word
		values = values[len(of):]
		out := ^l.word(i)
		if out == math.MaxUint64 { // as most words where few ids may come
			for id, v := range of {
				of[id] = exclude(v)
			}
			continue
		}
		for ; out != 0; out &= out - 1 {
			if id := bits.TrailingZeros64(out); id < len(of) {
				of[id] = exclude(of[id])
			}
		}
	}
}
