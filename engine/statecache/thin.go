package statecache

import (
	"cmp"
	"slices"
)

// Mark is a place in a sequence.
type Mark struct {
	Tokens int // ids before it
	Kind   Kind
}

// near is a distance in tokens that is cheaper to read again than to keep a checkpoint for.
const near = 16

// recent is the number of checkpoints at the end of a text that are always kept. People change texts there most often.
const recent = 8

// Plan returns the places for checkpoints, in order, in a text of n ids, of which the ids behind from are to be read.
// These are the ends of segments, the place where the text parts from all kept texts (hit.Shared; hit may be nil), and
// places in between, every so many tokens (none if every is 0).
//
// Plan leaves out the end of a segment that lies less than 16 tokens before the next one, and any other place less than
// 16 tokens behind the one before it. A sequence that reads the same text again needs a token to read. So an end at n
// yields to another less than 16 tokens before it, and where there is none, to the place one token before n if at least
// 16 tokens are to be read. Plan also leaves out the places that a text of this length would not keep.
//
// # The rule of keeping
//
// The last 8 checkpoints of a text are kept. Let m be the tokens before the 9th last. Let a, b, c be neighbours up to
// there, or a = 0 and b the first. Then b is given up if
//
//	c - a <= m - c
//
// Passing checkpoints are given up first, then those at Turns. Anchors stay, and so do places where kept texts part.
// Two bounds follow, at every length n of a growing text.
//
// Let the text be cut back to p tokens, and q be the longest checkpoint ever made at or before p. Then q is kept, or
// another one less than n - p tokens before p: no more tokens are read again than were cut off. For a gap from a to c
// that the rule opened has at most m - c tokens, fewer than n - p for each p in the gap; and m never shrinks.
//
// At most 2 log2(n) + 11 checkpoints are kept beside Anchors and partings. For each b that stays, m - a > 2 (m - c), so
// the distance to m halves with every second checkpoint.
func Plan(from, n, every int, hit *Hit, ends []Mark) []Mark {
	marks := slices.Clone(ends)
	if hit != nil {
		marks = append(marks, Mark{hit.Shared, Passing})
	}
	marks = slices.DeleteFunc(marks, func(m Mark) bool { return m.Tokens <= from || m.Tokens > n || m.Kind == None })
	slices.SortFunc(marks, func(a, b Mark) int {
		return cmp.Or(cmp.Compare(a.Tokens, b.Tokens), -cmp.Compare(a.Kind, b.Kind))
	})
	marks = slices.CompactFunc(marks, func(a, b Mark) bool { return a.Tokens == b.Tokens })
	marks = apart(from, n, marks)
	if k := len(marks) - 1; k >= 0 && marks[k] == (Mark{n, Turn}) && n-from >= near {
		marks[k].Tokens--
	}
	if every > 0 {
		marks = between(from, every, marks)
	}
	return thinned(marks)
}

// apart leaves out marks near others.
func apart(from, n int, marks []Mark) []Mark {
	out := marks[:0]
	for i, m := range marks {
		last := from
		if len(out) > 0 {
			last = out[len(out)-1].Tokens
		}
		behind := m.Tokens-last < near && len(out) > 0
		ahead := i+1 < len(marks) && marks[i+1].Kind >= Turn && marks[i+1].Tokens < n && marks[i+1].Tokens-m.Tokens < near
		switch {
		case m.Kind == Anchor:
		case m.Kind == Passing && m.Tokens-last < near, m.Kind == Turn && (ahead || m.Tokens == n && behind):
			continue
		}
		out = append(out, m)
	}
	return out
}

// between adds marks, every so many tokens, where two marks are further apart.
func between(from, every int, marks []Mark) []Mark {
	var out []Mark
	at := from
	for _, m := range marks {
		for at += every; at+near <= m.Tokens; at += every {
			out = append(out, Mark{at, Passing})
		}
		out, at = append(out, m), m.Tokens
	}
	return out
}

// thinned returns the marks that a text keeps of these, by the rule of Plan.
func thinned(marks []Mark) []Mark {
	if len(marks) <= recent {
		return marks
	}
	old := slices.Clone(marks[:len(marks)-recent])
	m := old[len(old)-1].Tokens
	for kind := Passing; kind < Anchor; kind++ {
		kept := old[:0]
		for i, b := range old {
			a := 0
			if len(kept) > 0 {
				a = kept[len(kept)-1].Tokens
			}
			if b.Kind != kind || i+1 == len(old) || old[i+1].Tokens-a > m-old[i+1].Tokens {
				kept = append(kept, b)
			}
		}
		old = kept
	}
	return append(old, marks[len(marks)-recent:]...)
}

// thin applies the rule of Plan to the checkpoints before a new one.
func (c *Cache) thin(e *entry) {
	chain := c.index.chain(e.space, e.node.IDs())
	marks := make([]Mark, len(chain))
	for i, b := range chain {
		marks[i] = Mark{b.node.Depth(), b.Kind}
		if b.node.Branches() > 1 || b.pins > 0 {
			marks[i].Kind = Anchor
		}
	}
	kept := thinned(marks)
	for i, b := range chain {
		if len(kept) > 0 && kept[0] == marks[i] {
			kept = kept[1:]
			continue
		}
		c.index.stats.Thinned++
		for t := range b.copies {
			if b.copies[t].there {
				c.index.drop(b, t)
			}
		}
	}
}
