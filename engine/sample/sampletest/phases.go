package sampletest

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
)

// Phases is a constraint that in turns allows every id, or every id of a set that lasts, for some tokens, and then for
// some tokens a random set or forced ids. All of it follows from the seed and the ids accepted so far. It refuses what
// it does not allow.
type Phases struct {
	vocab  int
	last   int // the step after which nothing follows; 0 for none
	state  uint64
	steps  int
	free   int // tokens left of a phase whose mask lasts
	bound  int // tokens left of a phase that does not
	forced []int
	mask   []uint64
	lasts  []uint64 // the mask of a phase that allows every id of a set; nil where that is every id
}

// New returns a constraint on ids of a vocabulary, after last tokens of which nothing follows, or never if last is 0.
func New(vocab, last int, seed uint64) *Phases {
	p := &Phases{vocab: vocab, last: last, state: seed}
	p.step()
	return p
}

// step decides what may come next.
func (p *Phases) step() {
	rng := rand.New(rand.NewPCG(p.state, uint64(p.steps)))
	p.mask = nil
	if p.free == 0 && p.bound == 0 {
		p.free, p.bound, p.lasts = rng.IntN(14), 1+rng.IntN(8), nil
		if rng.IntN(2) == 0 {
			p.lasts = p.set(rng, 1+p.vocab/2)
		}
	}
	if p.free > 0 {
		p.free--
		p.mask = p.lasts
		return
	}
	p.bound--
	if len(p.forced) == 0 && rng.IntN(3) == 0 {
		for range 1 + rng.IntN(4) {
			p.forced = append(p.forced, rng.IntN(p.vocab))
		}
	}
	if len(p.forced) == 0 {
		p.mask = p.set(rng, 1+rng.IntN(5))
		return
	}
	p.bound = max(p.bound, len(p.forced)-1)
	id := p.forced[0]
	p.mask = make([]uint64, (p.vocab+63)/64)
	p.mask[id/64] = 1 << (id % 64)
}

// set returns a mask of at most n ids.
func (p *Phases) set(rng *rand.Rand, n int) []uint64 {
	mask := make([]uint64, (p.vocab+63)/64)
	for range n {
		id := rng.IntN(p.vocab)
		mask[id/64] |= 1 << (id % 64)
	}
	return mask
}

// Mask implements sample.Constraint.
func (p *Phases) Mask() ([]uint64, error) { return p.mask, nil }

// Lasts implements sample.Constraint.
func (p *Phases) Lasts() bool { return len(p.lasts) > 0 && &p.mask[0] == &p.lasts[0] }

// Forced implements sample.Constraint.
func (p *Phases) Forced() []int { return p.forced }

// Allows reports whether an id may come next.
func (p *Phases) Allows(id int) bool {
	return len(p.mask) == 0 || p.mask[id/64]>>(id%64)&1 == 1
}

// Accept implements sample.Constraint.
func (p *Phases) Accept(id int) (done bool, err error) {
	switch {
	case p.steps == p.last && p.last > 0:
		return false, fmt.Errorf("want nothing after %d ids, got id %d", p.last, id)
	case !p.Allows(id):
		return false, fmt.Errorf("id %d is not allowed after %d ids", id, p.steps)
	}
	if len(p.forced) > 0 {
		p.forced = slices.Clone(p.forced[1:])
	}
	p.state = p.state*31 + uint64(id)
	p.steps++
	p.step()
	return p.steps == p.last, nil
}

// Clone implements sample.Constraint.
func (p *Phases) Clone() sample.Constraint {
	c := *p
	c.forced = slices.Clone(p.forced)
	return &c
}
