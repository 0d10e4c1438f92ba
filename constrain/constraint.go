package constrain

import (
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/constrain/grammar"
	"github.com/rwkv-gpu/rwkv-gpu/constrain/token"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
)

// Constraint holds what a sequence says to a grammar. It is a sample.Constraint: one goroutine uses it at a time; others may
// use constraints of the same grammar and vocabulary beside it.
type Constraint struct {
	m      *grammar.Machine
	v      *token.Vocabulary
	state  grammar.State
	think  *thinking // nil if the grammar holds from the first byte on
	seen   int       // of the think text's end, how many bytes have come last; -1 behind it
	forced []int
	known  bool // reports whether forced is that of the state
}

var _ sample.Constraint = (*Constraint)(nil)

// New returns a constraint that holds from the first byte on.
func New(g *Grammar, v *token.Vocabulary) *Constraint {
	return &Constraint{m: g.machine, v: v, state: g.machine.Start(false), seen: -1}
}

// NewSpaced returns a constraint that holds from the first byte on, before which a few blanks and line ends may stand.
func NewSpaced(g *Grammar, v *token.Vocabulary) *Constraint {
	return &Constraint{m: g.machine, v: v, state: g.machine.Start(true), seen: -1}
}

// NewAfter returns a constraint that begins behind the first end, such as "</think>", in the text that comes. Before it any
// text is free, but the text may not end. Behind it a few blanks and line ends may stand before what the grammar matches.
// The token that has the last byte of end may go on as the grammar allows.
func NewAfter(g *Grammar, v *token.Vocabulary, end string) (*Constraint, error) {
	if end == "" {
		return nil, fmt.Errorf("constrain: end of the think text: want at least one byte, got none")
	}
	return &Constraint{m: g.machine, v: v, state: g.machine.Start(true), think: g.thinkingTo(v, end, false)}, nil
}

// NewBehind is NewAfter where end has to come first, such as the ">" of a tag that the prompt has begun.
func NewBehind(g *Grammar, v *token.Vocabulary, end string) (*Constraint, error) {
	c, err := NewAfter(g, v, end)
	if err == nil {
		c.think = g.thinkingTo(v, end, true)
	}
	return c, err
}

// Mask returns the ids that may come next. That there are none, as when a byte has no token, is an error.
func (c *Constraint) Mask() ([]uint64, error) {
	if c.seen >= 0 {
		return c.think.mask(c)
	}
	mask, s, err := c.v.Mask(c.m, c.state)
	c.state = s
	if err != nil {
		return nil, fmt.Errorf("constrain: %w", err)
	}
	for _, word := range mask {
		if word != 0 {
			return mask, nil
		}
	}
	return nil, fmt.Errorf("constrain: no token of the vocabulary begins what the grammar allows next")
}

// Lasts reports, after Mask, whether the mask is expected to stay, as in think text.
func (c *Constraint) Lasts() bool { return c.seen >= 0 && c.think.lasts(c.seen) }

// Forced returns the ids that must come next, and that encoding would give whatever follows.
func (c *Constraint) Forced() []int {
	if c.seen >= 0 {
		return nil
	}
	if !c.known {
		forced, s, err := c.v.Forced(c.m, c.state)
		if err != nil {
			forced = nil // Mask reports it
		}
		c.forced, c.state, c.known = forced, s, true
	}
	return c.forced
}

// Accept moves on by id. done says that nothing may follow.
func (c *Constraint) Accept(id int) (done bool, err error) {
	text := c.v.Bytes(id)
	if c.seen >= 0 {
		return c.acceptThought(id, text)
	}
	r, s := c.m.Begin(c.state)
	next, n, accepting := grammar.Dead, 0, r.Accepting(s)
	if len(text) > 0 {
		next, n = r.Advance(s, text)
		done = next != grammar.Dead && r.Final(next)
	}
	state := r.State(next)
	if err := r.End(); err != nil {
		return false, fmt.Errorf("constrain: %w", err)
	}
	switch {
	case c.v.IsEnd(id) && accepting:
		return true, nil
	case c.v.IsEnd(id):
		return false, fmt.Errorf("constrain: id %d: want the text to go on, got its end", id)
	case next == grammar.Dead:
		return false, fmt.Errorf("constrain: id %d: want what the grammar allows, got %q, of which %d bytes fit", id, text, n)
	}
	c.moved(id, state)
	return done, nil
}

// moved notes the new state, behind id.
func (c *Constraint) moved(id int, state grammar.State) {
	c.state = state
	if c.known && len(c.forced) > 0 && c.forced[0] == id {
		c.forced = c.forced[1:]
		c.known = len(c.forced) > 0
		return
	}
	c.forced, c.known = nil, false
}

// Clone returns a constraint that goes on from here by itself.
func (c *Constraint) Clone() sample.Constraint {
	clone := *c
	return &clone
}
