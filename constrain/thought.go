package constrain

import (
	"fmt"
	"sync"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
)

// Thoughts makes constraints for the beginnings of thoughts, behind a prompt that ends with "<think". It is safe for
// concurrent use.
type Thoughts struct {
	size  int // ids
	bytes func(id int) []byte
	once  sync.Once
	masks [begunThought][]uint64 // by the place
}

// NewThoughts returns Thoughts for a vocabulary of size ids. bytes returns what an id stands for: nothing, if it ends a
// text.
func NewThoughts(size int, bytes func(id int) []byte) *Thoughts {
	return &Thoughts{size: size, bytes: bytes}
}

// Thought has a model begin the thought that its prompt opens: the tag is closed by ">", and before "</" there is more
// than white space. From then on any text is free, and costs nothing. Another constraint may hold beside it.
type Thought struct {
	t     *Thoughts
	place place
	next  sample.Constraint // nil for none
}

var _ sample.Constraint = (*Thought)(nil)

// place is how far a thought has come.
type place int

const (
	inTag        place = iota // > has to follow
	emptyThought              // only white space came
	lessThan                  // < came first, behind which / would end the thought
	begunThought
	noThought // the text is not allowed
)

// Begin returns a constraint for one answer. next, which may be nil, holds from its first byte on as well.
func (t *Thoughts) Begin(next sample.Constraint) *Thought {
	t.once.Do(t.make)
	return &Thought{t: t, next: next}
}

// make makes the masks.
func (t *Thoughts) make() {
	for p := range t.masks {
		t.masks[p] = make([]uint64, (t.size+63)/64)
		for id := range t.size {
			if text := t.bytes(id); len(text) > 0 && place(p).read(text) != noThought {
				t.masks[p][id/64] |= 1 << (id % 64)
			}
		}
	}
}

// read returns the place behind a text.
func (p place) read(text []byte) place {
	for _, b := range text {
		switch {
		case p == inTag && b == '>':
			p = emptyThought
		case p == inTag, p == lessThan && b == '/':
			return noThought
		case p == emptyThought && b == '<':
			p = lessThan
		case p == emptyThought && (b == ' ' || b == '\t' || b == '\r' || b == '\n'):
		default:
			return begunThought
		}
	}
	return p
}

// Mask returns the ids that may come next.
func (c *Thought) Mask() ([]uint64, error) {
	var other []uint64
	if c.next != nil {
		var err error
		if other, err = c.next.Mask(); err != nil {
			return nil, err
		}
	}
	if c.place == begunThought {
		return other, nil
	}
	mask := c.t.masks[c.place]
	if other == nil {
		return mask, nil
	}
	both := make([]uint64, len(mask))
	for i := range both {
		both[i] = mask[i] & other[i]
	}
	return both, nil
}

// Lasts reports, after Mask, whether the mask is expected to stay.
func (c *Thought) Lasts() bool { return c.place == begunThought && c.next != nil && c.next.Lasts() }

// Forced returns the ids that must come next.
func (c *Thought) Forced() []int {
	if c.next == nil || c.place != begunThought {
		return nil
	}
	return c.next.Forced()
}

// Accept moves on by id.
func (c *Thought) Accept(id int) (done bool, err error) {
	p := c.place
	if p != begunThought {
		text := c.t.bytes(id)
		if p = p.read(text); p == noThought || len(text) == 0 {
			return false, fmt.Errorf("constrain: id %d: want the thought to begin, got %q", id, text)
		}
	}
	if c.next != nil {
		if done, err = c.next.Accept(id); err != nil {
			return false, err
		}
	}
	c.place = p
	return done, nil
}

// Clone returns a constraint that goes on from here by itself.
func (c *Thought) Clone() sample.Constraint {
	clone := *c
	if c.next != nil {
		clone.next = c.next.Clone()
	}
	return &clone
}
