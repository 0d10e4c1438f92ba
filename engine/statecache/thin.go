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

// near is how few tokens are read sooner than a checkpoint is made.
const near = 16

// recent is how many checkpoints at the end of a text are kept whatever their distance: most changes are made there.
const recent = 8

// Plan returns where to make checkpoints while the ids from from to the end of a text of n are read, in order: the ends of
// segments, where the text parts from others (hit.Shared), and where more than every tokens lie between two places, places
// every tokens. It leaves out what lies less than 16 tokens before another end or behind another place, and what a text of
// this length does not keep. An end at n itself yields to one before it: who reads the text again needs a token to read.
// every 0 adds none.
//
// # What is kept
//
// Let the texts be of m tokens without the 8 checkpoints at its end. Of the others b is given up when its neighbours a and
// c, or the text's beginning in place of a, lie so close that
//
//	c - a <= m - c
//
// first Passing ones, then those at Turns, never Anchors or places where kept texts part. Hence, for checkpoints and n as
// the text grows:
//
//   - Cut back to p tokens, the text goes on from the longest checkpoint that there ever was at or before p, or from one
//     that lies less than n - p tokens before p: at most so many tokens are read again as were cut off. Each gap that giving
//     up b opened is at most m - c, which is less than n - p for every p in it, and m only grows.
//   - No more than 2 log2(n) + 11 are kept, Anchors and partings aside: by the rule m - a > 2 (m - c) for those that are
//     left, so the distance from m halves with every second one.
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
	if every > 0 {
		marks = between(from, every, marks)
	}
	return thinned(marks)
}

// apart leaves out marks that lie near others.
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

// between adds marks every so many tokens where two are further apart.
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

// thinned returns the marks that a text keeps which has these and no other.
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

// thin gives up what the checkpoints before a new one no longer need.
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
	var residents []Resident
	for i, b := range chain {
		if len(kept) > 0 && kept[0] == marks[i] {
			kept = kept[1:]
			continue
		}
		c.index.stats.Thinned++
		for t := range b.copies {
			if !b.copies[t].there {
				continue
			}
			if b.resident != nil {
				residents = append(residents, b.resident)
			}
			c.index.drop(b, t)
		}
	}
	if residents != nil {
		c.unlocked(func() {
			for _, r := range residents {
				r.Release()
			}
		})
	}
}
