package sample

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// randomSets is a constraint whose every step allows another random set, follows from the ids accepted so far, and is
// checked on the way: in turns it allows all, some, one, or forces ids.
type randomSets struct {
	t      testing.TB
	vocab  int
	last   int // the step after which nothing follows
	state  uint64
	steps  int
	forced []int
	mask   []uint64 // for this step
	asked  int      // calls of Mask
}

func newRandomSets(t testing.TB, vocab, last int, seed uint64) *randomSets {
	r := &randomSets{t: t, vocab: vocab, last: last, state: seed}
	r.step()
	return r
}

// step makes the set of the next step.
func (r *randomSets) step() {
	if len(r.forced) > 0 {
		r.mask = bitsOf(r.vocab, r.forced[0])
		return
	}
	rng := rand.New(rand.NewPCG(r.state, uint64(r.steps)))
	r.mask = nil
	switch n := rng.IntN(5); {
	case n == 0:
		for range 1 + rng.IntN(4) {
			r.forced = append(r.forced, rng.IntN(r.vocab))
		}
		r.mask = bitsOf(r.vocab, r.forced[0])
	case n < 4:
		var ids []int
		for range 1 + rng.IntN(r.vocab/3) {
			ids = append(ids, rng.IntN(r.vocab))
		}
		r.mask = bitsOf(r.vocab, ids...)
	}
}

// bitsOf returns a mask of some ids.
func bitsOf(vocab int, ids ...int) []uint64 {
	mask := make([]uint64, (vocab+63)/64)
	for _, id := range ids {
		mask[id/64] |= 1 << (id % 64)
	}
	return mask
}

func (r *randomSets) Mask() ([]uint64, error) {
	r.asked++
	return r.mask, nil
}

func (r *randomSets) Lasts() bool { return false }

func (r *randomSets) Forced() []int { return r.forced }

func (r *randomSets) Accept(id int) (done bool, err error) {
	if !allows(r.mask, id) {
		r.t.Errorf("step %d: id %d is not allowed", r.steps, id)
		return false, fmt.Errorf("id %d is not allowed", id)
	}
	if len(r.forced) > 0 {
		r.forced = slices.Clone(r.forced[1:])
	}
	r.state = r.state*31 + uint64(id)
	r.steps++
	r.step()
	return r.steps == r.last, nil
}

func (r *randomSets) Clone() Constraint {
	c := *r
	c.forced = slices.Clone(r.forced)
	return &c
}

// Under a constraint a sampler draws what one without it draws under the same mask, of any settings, and never an id
// outside; forced ids are those of a draw; a clone goes on by itself.
func TestConstraint(t *testing.T) {
	const vocab, steps = 101, 60
	for n, p := range settings() {
		s, plain := newSampler(t, p, vocab), newSampler(t, p, vocab)
		c := newRandomSets(t, vocab, steps, uint64(n))
		ref := newRandomSets(t, vocab, steps, uint64(n))
		s.SetConstraint(c)
		var fork *Sampler
		var want []int
		for step := range steps {
			logits := randomLogits(uint64(step), vocab, 3)
			if err := plain.SetMask(ref.mask); err != nil {
				t.Fatal(err)
			}
			id, err := plain.Sample(logits)
			if errors.Is(err, ErrLogits) && len(p.Ban) > 0 { // all that is allowed is banned
				if _, err := s.Sample(logits); !errors.Is(err, ErrLogits) {
					t.Errorf("settings %d, step %d: want no id to be drawn, got %v", n, step, err)
				}
				break
			}
			forced := s.Forced()
			got := next(t, s, logits)
			if len(forced) > 0 && got != forced[0] {
				t.Errorf("settings %d, step %d: id %d is forced, drew %d", n, step, forced[0], got)
			}
			if err != nil || got != id {
				t.Fatalf("settings %d, step %d: want id %d (%v), got %d", n, step, id, err, got)
			}
			if err := plain.Accept(id); err != nil {
				t.Fatal(err)
			}
			if _, err := ref.Accept(id); err != nil {
				t.Fatal(err)
			}
			if want = append(want, id); step == steps/2 {
				fork = s.Clone()
			}
		}
		if len(want) < steps {
			continue
		}
		if !s.Done() || fork.Done() {
			t.Errorf("settings %d: done %t, its clone of before %t", n, s.Done(), fork.Done())
		}
		for step := steps/2 + 1; step < steps; step++ {
			if got := next(t, fork, randomLogits(uint64(step), vocab, 3)); got != want[step] {
				t.Fatalf("settings %d, step %d: a clone draws %d, want %d", n, step, got, want[step])
			}
		}
		if _, err := s.Sample(randomLogits(0, vocab, 3)); !errors.Is(err, ErrConstraint) {
			t.Errorf("settings %d: a draw after the end: %v", n, err)
		}
		if err := s.Accept(1); !errors.Is(err, ErrConstraint) || s.Position() != steps {
			t.Errorf("settings %d: an id after the end: %v, position %d", n, err, s.Position())
		}
	}
}

// A mask is asked for once for a draw, also where it is prepared before, and not copied.
func TestPrepare(t *testing.T) {
	const vocab = 70
	s := newSampler(t, Params{Temperature: 1, TopP: 1}, vocab)
	c := newRandomSets(t, vocab, 1<<30, 3)
	s.SetConstraint(c)
	logits := randomLogits(1, vocab, 1)
	for step := 1; step < 50; step++ {
		if err := s.Prepare(); err != nil {
			t.Fatal(err)
		}
		if s.limit.next != nil && len(c.forced) == 0 && &s.limit.next[0] != &c.mask[0] {
			t.Fatal("the mask was copied")
		}
		next(t, s, logits)
		if c.asked != step {
			t.Fatalf("%d masks for %d draws", c.asked, step)
		}
	}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := s.Sample(logits); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("a draw allocates %v times", n)
	}
}

// fixed is a constraint that answers always alike.
type fixed struct {
	mask   []uint64
	lasts  bool
	forced []int
	err    error
}

func (f fixed) Mask() ([]uint64, error)  { return f.mask, f.err }
func (f fixed) Lasts() bool              { return f.lasts }
func (f fixed) Forced() []int            { return f.forced }
func (f fixed) Accept(int) (bool, error) { return false, f.err }
func (f fixed) Clone() Constraint        { return f }

// What a constraint does wrong is an error of the draw, and leaves the sampler as it is.
func TestConstraintErrors(t *testing.T) {
	const vocab = 70
	logits := randomLogits(1, vocab, 1)
	beyond := make([]uint64, 2)
	beyond[1] = 1 << 6 // id 70
	cause := errors.New("the cause")
	for name, tt := range map[string]struct {
		c    fixed
		want string
	}{
		"a short mask":        {fixed{mask: make([]uint64, 1)}, "constraint: mask: want 2 words for 70 ids, got 1"},
		"an empty mask":       {fixed{mask: make([]uint64, 2)}, "constraint: mask: want one id that may come next, got none"},
		"an id beyond":        {fixed{mask: beyond}, "constraint: mask: want one id that may come next, got none"},
		"an error":            {fixed{err: cause}, "constraint: mask: the cause"},
		"a forced id beyond":  {fixed{forced: []int{70}}, "constraint: forced id: want 0 to 69, got 70"},
		"a forced id below 0": {fixed{forced: []int{-1}}, "constraint: forced id: want 0 to 69, got -1"},
	} {
		s := newSampler(t, Params{}, vocab)
		s.SetConstraint(tt.c)
		if _, err := s.Sample(logits); !errors.Is(err, ErrConstraint) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: want %q, got %v", name, tt.want, err)
		}
		if len(s.Forced()) > 0 {
			t.Errorf("%s: ids %v are forced", name, s.Forced())
		}
	}
	s := newSampler(t, Params{Presence: 1}, vocab)
	s.SetConstraint(fixed{err: cause})
	if err := s.Accept(3); !errors.Is(err, ErrConstraint) || !errors.Is(err, cause) {
		t.Errorf("a refused id: %v", err)
	}
	if _, seen := s.Count(3); seen || s.Position() != 0 {
		t.Errorf("a refused id counts: %t, position %d", seen, s.Position())
	}
}

// Forced ids end where a mask or a ban leaves one out: it is not drawn either.
func TestForcedAndLeftOut(t *testing.T) {
	const vocab = 70
	s := newSampler(t, Params{Ban: []int{9}}, vocab)
	s.SetConstraint(fixed{forced: []int{5, 6, 9, 7}})
	if got := s.Forced(); !slices.Equal(got, []int{5, 6}) {
		t.Errorf("beside a ban: %v", got)
	}
	if err := s.SetMask(bitsOf(vocab, 5, 9)); err != nil {
		t.Fatal(err)
	}
	if got := s.Forced(); !slices.Equal(got, []int{5}) {
		t.Errorf("beside a mask: %v", got)
	}
	if err := s.SetMask(bitsOf(vocab, 6)); err != nil {
		t.Fatal(err)
	}
	if got := s.Forced(); len(got) > 0 {
		t.Errorf("beside a mask without the first: %v", got)
	}
	if _, err := s.Sample(randomLogits(1, vocab, 1)); !errors.Is(err, ErrLogits) {
		t.Errorf("a forced id that is masked: %v", err)
	}
}
