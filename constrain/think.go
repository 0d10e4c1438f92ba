package constrain

import (
	"fmt"
	"slices"
	"sync"

	"github.com/rwkv-gpu/rwkv-gpu/constrain/grammar"
	"github.com/rwkv-gpu/rwkv-gpu/constrain/token"
)

// thinking finds the end of think text, a byte at a time. The masks before it are kept, one for each number of bytes of
// the end that have come. Most of them leave out only the ids that end a text; these are the same words.
type thinking struct {
	end   string
	first bool  // reports whether nothing may come before end
	back  []int // of Knuth, Morris and Pratt: the longest beginning of end that ends behind so many of its bytes
	mu    sync.Mutex
	masks [][]uint64
	text  []uint64 // the mask of every id that has text
}

// thinkKey is what the masks before the end of think text depend on, besides the grammar.
type thinkKey struct {
	v     *token.Vocabulary
	end   string
	first bool
}

// maxThinking bounds the kept thinking of a grammar.
const maxThinking = 16

// thinkingTo returns the thinking up to end, which constraints of the same grammar and vocabulary share.
func (g *Grammar) thinkingTo(v *token.Vocabulary, end string, first bool) *thinking {
	g.mu.Lock()
	defer g.mu.Unlock()
	k := thinkKey{v, end, first}
	t := g.thinking[k]
	if t == nil {
		if len(g.thinking) >= maxThinking {
			clear(g.thinking)
		}
		t = newThinking(end)
		t.first = first
		g.thinking[k] = t
	}
	return t
}

func newThinking(end string) *thinking {
	t := &thinking{end: end, back: make([]int, len(end)+1), masks: make([][]uint64, len(end))}
	for i := 1; i < len(end); i++ {
		t.back[i+1] = t.next(t.back[i], end[i])
	}
	return t
}

// next returns how many bytes of end have come, when seen had and b comes.
func (t *thinking) next(seen int, b byte) int {
	for {
		if t.end[seen] == b {
			return seen + 1
		}
		if seen == 0 {
			return 0
		}
		seen = t.back[seen]
	}
}

// fits reports whether a token may come that is not empty, as far as end goes.
func (t *thinking) fits(seen int, text []byte) bool {
	n := min(len(text), len(t.end)-seen)
	return !t.first || string(text[:n]) == t.end[seen:][:n]
}

// read goes on by text. It returns how many bytes of end have come last, and, if end is complete, what stands behind it.
func (t *thinking) read(seen int, text []byte) (now int, rest []byte, complete bool) {
	for i, b := range text {
		if seen = t.next(seen, b); seen == len(t.end) {
			return seen, text[i+1:], true
		}
	}
	return seen, nil, false
}

// mask returns every id but those that end a text, and those that complete the end and go on as the grammar forbids.
func (t *thinking) mask(c *Constraint) ([]uint64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if mask := t.masks[c.seen]; mask != nil {
		return mask, nil
	}
	text, mask := make([]uint64, (c.v.Size()+63)/64), make([]uint64, (c.v.Size()+63)/64)
	r, s := c.m.Begin(c.state)
	for id := range c.v.Size() {
		piece := c.v.Bytes(id)
		if len(piece) == 0 {
			continue
		}
		text[id/64] |= 1 << (id % 64)
		if !t.fits(c.seen, piece) {
			continue
		}
		if _, rest, complete := t.read(c.seen, piece); complete {
			if next, _ := r.Advance(s, rest); next == grammar.Dead {
				continue
			}
		}
		mask[id/64] |= 1 << (id % 64)
	}
	if err := r.End(); err != nil {
		return nil, fmt.Errorf("constrain: %w", err)
	}
	if t.text == nil {
		t.text = text
	}
	if slices.Equal(mask, text) {
		mask = t.text
	}
	t.masks[c.seen] = mask
	return mask, nil
}

// lasts reports whether the mask is that of every id that has text, as it is nearly everywhere in think text.
func (t *thinking) lasts(seen int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	mask := t.masks[seen]
	return len(mask) > 0 && &mask[0] == &t.text[0]
}

// acceptThought moves on by a token of the think text, or by that which completes its end.
func (c *Constraint) acceptThought(id int, text []byte) (done bool, err error) {
	if len(text) == 0 {
		return false, fmt.Errorf("constrain: id %d: want think text up to %q, got a token without text", id, c.think.end)
	}
	if !c.think.fits(c.seen, text) {
		return false, fmt.Errorf("constrain: id %d: want %q, got %q", id, c.think.end[c.seen:], text)
	}
	seen, rest, complete := c.think.read(c.seen, text)
	if !complete {
		c.seen = seen
		return false, nil
	}
	r, s := c.m.Begin(c.state)
	next, n := r.Advance(s, rest)
	state := r.State(next)
	done = next != grammar.Dead && r.Final(next)
	if err := r.End(); err != nil {
		return false, fmt.Errorf("constrain: %w", err)
	}
	if next == grammar.Dead {
		return false, fmt.Errorf("constrain: id %d: want what the grammar allows behind %q, got %q, of which %d bytes fit",
			id, c.think.end, rest, n)
	}
	c.seen, c.state = -1, state
	return done, nil
}
