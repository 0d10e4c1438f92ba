package sampletest

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
)

// Phases is a constraint that in turns allows every id for some tokens, and then for some tokens a random set or forced
// ids. All of it follows from the seed and the ids accepted so far. It refuses what it does not allow.
type Phases struct {
	vocab  int
	last   int // the step after which nothing follows; 0 for none
	state  uint64
	steps  int
	free   int // tokens left of a phase that allows every id
	bound  int // tokens left of a phase that does not
	forced []int
	mask   []uint64
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
		p.free, p.bound = rng.IntN(14), 1+rng.IntN(8)
	}
	if p.free > 0 {
		p.free--
		return
	}
	p.bound--
	if len(p.forced) == 0 && rng.IntN(3) == 0 {
		for range 1 + rng.IntN(4) {
			p.forced = append(p.forced, rng.IntN(p.vocab))
		}
	}
	var ids []int
	if len(p.forced) > 0 {
		p.bound = max(p.bound, len(p.forced)-1)
		ids = p.forced[:1]
	} else {
		for range 1 + rng.IntN(5) {
			ids = append(ids, rng.IntN(p.vocab))
		}
	}
	p.mask = make([]uint64, (p.vocab+63)/64)
	for _, id := range ids {
		p.mask[id/64] |= 1 << (id % 64)
	}
}

// Mask implements sample.Constraint.
func (p *Phases) Mask() ([]uint64, error) { return p.mask, nil }

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
