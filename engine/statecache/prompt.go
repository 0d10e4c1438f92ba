package statecache

import (
	"cmp"
	"slices"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache/radix"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// Segment is a part of a prompt that is encoded by itself: the name of a role, a message, a separator.
type Segment struct {
	// Verbatim is what a kept sequence has to spell to be the ids of an answer, where that is not its Text: text that the
	// client sent is cleaned before it is encoded anew, and ids that the model drew are not.
	Verbatim string

	Text   string
	Answer bool // reports whether the model wrote the text; a client may have trimmed it
	End    Kind // of the place behind the segment
	// IDs, if there are any, spell the text or its beginning, and take the place of what that would be encoded to. Those
	// of an answer are the ids that the model drew. IDs that spell something else are not used.
	IDs []int
}

// Prompt is a text as ids.
type Prompt struct {
	IDs  []int
	Ends []Mark // the ends of segments that are places for checkpoints
}

// Prompt chooses ids for the segments such that the fewest ids lie behind the longest checkpoint of the space. Each
// segment that is no answer has its own IDs, or those that its own text encodes to. An answer has one of
//
//   - the ids of a kept sequence that has the same ids before the answer and then spells the answer. The white space at
//     the ends of the answer may differ: the ids are those the model drew. If they end in white space that the next
//     segment begins with, that segment is encoded without it. At the end of the prompt white space may not differ.
//   - the ids of a kept sequence up to a checkpoint within the answer, and those that the rest of the answer encodes to
//   - its own IDs, or the ids that the answer encodes to
//
// Prompt tries a bounded number of such choices. Nobody waits for it while it encodes. The error is a
// *tokenizer.TextError.
func (s *Space) Prompt(tok tokenizer.Tokenizer, segments []Segment) (*Prompt, error) {
	m := &matcher{s: s, tok: tok, segments: segments, encoded: make([][]int, len(segments)), known: map[string][]int{}}
	for i, seg := range segments {
		m.encoded[i] = m.own(seg)
	}
	if m.err != nil {
		return nil, m.err
	}
	w := m.best()
	if m.err != nil {
		return nil, m.err
	}
	p := m.prompt(&w)
	return &p, nil
}

// way is a choice of ids for segments.
type way struct {
	last  *piece
	open  int                 // the segments from here on have the ids of their own text
	count int                 // ids, with those
	at    radix.Cursor[entry] // the place in the tree that the ids lead to
	on    bool                // reports whether there is such a place
	kept  int                 // ids of the longest checkpoint on the way
}

// piece is a part of the ids of a way, which ways share.
type piece struct {
	before *piece
	ids    []int
	end    Kind // of the place behind it
}

// left returns the number of ids to read.
func (w *way) left() int { return w.count - w.kept }

// matcher looks for the best way.
type matcher struct {
	s        *Space
	tok      tokenizer.Tokenizer
	segments []Segment
	encoded  [][]int          // of the text of each segment
	known    map[string][]int // what texts encode to
	err      error

	tree    *radix.Tree[entry]
	changes int  // of the tree, at the beginning of the search
	stale   bool // reports whether the tree has changed during the search
	settled bool // reports whether the search does without texts that are not known
	tried   int  // spellings of answers, beside the first of each
}

const (
	// mostTried bounds the spellings of answers that a search tries, beside the first of each answer. Answers have one
	// spelling, unless somebody drives the same text into the cache in many.
	mostTried = 64
	// mostBegun bounds the spellings of a part of one answer that are tried. Those with the shortest rest leave the
	// fewest ids to read, but for one or two.
	mostBegun = 4
	// mostStale bounds the searches that are given up since the tree changed.
	mostStale = 8
)

// best returns the best way for all segments. It holds the lock, except while it encodes. If the tree changes in that
// time it searches anew and knows more texts.
func (m *matcher) best() way {
	c := m.s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	for n := 0; ; n++ {
		var w way
		m.stale, m.settled, m.tried = false, n == mostStale, 0
		if m.tree = c.index.trees[m.s.key]; m.tree != nil {
			w.at, w.on, m.changes = m.tree.Root(), true, m.tree.Changes()
		}
		if w = m.rest(0, w); !m.stale {
			return w
		}
	}
}

// encode returns the ids of a text. It fails if the search is at its end since the tree has changed, and if a text is
// not known and the search does without those. The lock is held, and released meanwhile.
func (m *matcher) encode(text string) (ids []int, ok bool) {
	if ids, ok = m.known[text]; ok || m.settled || m.stale {
		return ids, ok
	}
	c := m.s.c
	c.unlocked(func() { ids = m.learn(text) })
	m.stale = c.index.trees[m.s.key] != m.tree || m.tree.Changes() != m.changes
	return ids, !m.stale
}

// own returns the ids of a segment by itself.
func (m *matcher) own(seg Segment) []int {
	if len(seg.IDs) > 0 {
		if rest, ok := strings.CutPrefix(seg.Text, string(tokenizer.Decode(m.tok, seg.IDs))); ok {
			return append(slices.Clone(seg.IDs), m.learn(rest)...)
		}
	}
	return m.learn(seg.Text)
}

// learn encodes a text.
func (m *matcher) learn(text string) []int {
	ids, err := tokenizer.Encode(m.tok, text)
	if m.err == nil {
		m.err = err
	}
	m.known[text] = ids
	return ids
}

// rest returns the best way for the segments from i on after w.
func (m *matcher) rest(i int, w way) way {
	for ; i < len(m.segments) && w.on && !m.stale; i++ {
		if m.segments[i].Answer {
			return m.answer(i, w)
		}
		w = w.follow(m.encoded[i], m.segments[i].End)
	}
	w.open = i
	for _, ids := range m.encoded[i:] {
		w.count += len(ids)
	}
	return w
}

// prompt returns the ids of a way to the end.
func (m *matcher) prompt(w *way) Prompt {
	var pieces []piece
	for p := w.last; p != nil; p = p.before {
		pieces = append(pieces, *p)
	}
	slices.Reverse(pieces)
	for i := w.open; i < len(m.segments); i++ {
		pieces = append(pieces, piece{ids: m.encoded[i], end: m.segments[i].End})
	}
	p := Prompt{IDs: make([]int, 0, w.count)}
	for _, piece := range pieces {
		p.IDs = append(p.IDs, piece.ids...)
		if piece.end != None {
			p.Ends = append(p.Ends, Mark{len(p.IDs), piece.end})
		}
	}
	return p
}

// follow returns the way that goes on with ids.
func (w way) follow(ids []int, end Kind) way {
	w.last = &piece{w.last, ids, end}
	w.count += len(ids)
	for k := 0; k < len(ids) && w.on; k++ {
		if w.at, w.on = w.at.Follow(ids[k]); w.on && w.at.Node() != nil {
			w.kept = w.at.Node().Depth()
		}
	}
	return w
}

// answer returns the best way for the segments from i on after w. Segment i is an answer, and w leads to a place in the
// tree.
func (m *matcher) answer(i int, w way) way {
	text := m.segments[i].Verbatim
	if text == "" {
		text = m.segments[i].Text
	}
	text = strings.TrimLeft(text, white)
	a := speller{m: m, text: text, content: text, last: i+1 == len(m.segments)}
	if !a.last {
		a.content = strings.TrimRight(text, white)
	}
	if a.content != "" {
		a.spell(w.at, nil, 0, "")
	}
	ways, next := m.whole(i, w, a.whole)
	var best *way
	take := func(v way) {
		if best != nil {
			v = m.better(*best, v)
		}
		best = &v
	}
	for k, v := range ways {
		if k == 0 || m.another() {
			take(m.rest(next, v))
		}
	}
	if v := w.follow(m.encoded[i], m.segments[i].End); !v.on || len(ways) == 0 { // else v is one of ways
		take(m.rest(i+1, v))
	}
	for _, s := range a.begun {
		if !m.another() {
			break
		}
		tail, ok := m.encode(s.tail)
		if !ok {
			continue
		}
		if v := w.follow(s.ids, None).follow(tail, m.segments[i].End); !v.on {
			take(m.rest(i+1, v))
		}
	}
	return *best
}

// another reports whether the search tries one more spelling, and counts it.
func (m *matcher) another() bool {
	if m.stale || m.tried == mostTried {
		return false
	}
	m.tried++
	return true
}

// whole returns the ways for an answer as the tree spells it, no more than may be tried. A segment behind it that is no
// answer is part of each way. next is the segment behind the ways.
func (m *matcher) whole(i int, w way, spellings []spelling) (ways []way, next int) {
	next = i + 1
	joined := next < len(m.segments) && !m.segments[next].Answer
	if joined {
		next++
	}
	for _, s := range spellings {
		if m.stale || len(ways) > mostTried-m.tried {
			break
		}
		v := w.follow(s.ids, m.segments[i].End)
		if joined {
			text := m.segments[i+1].Text
			ids, ok := m.encode(text[repeated(s.white, text):])
			if !ok {
				continue
			}
			v = v.follow(ids, m.segments[i+1].End)
		}
		// Two spellings are one way if white space in the tree may belong to the answer or to the next segment.
		if !slices.ContainsFunc(ways, func(u way) bool { return slices.Equal(u.behind(w.last), v.behind(w.last)) }) {
			ways = append(ways, v)
		}
	}
	return ways, next
}

// behind returns the ids of a way that is not at its end behind those of a piece.
func (w *way) behind(last *piece) (ids []int) {
	for p := w.last; p != last; p = p.before {
		ids = append(slices.Clone(p.ids), ids...)
	}
	return ids
}

// repeated returns the length of the longest beginning of text that ended ends with.
func repeated(ended, text string) int {
	n := min(len(ended), len(text))
	for !strings.HasSuffix(ended, text[:n]) {
		n--
	}
	return n
}

// better returns the way with fewer ids to read. Among equals the order of ids decides, so that calls agree.
func (m *matcher) better(a, b way) way {
	switch cmp.Compare(b.left(), a.left()) {
	case 1:
		return a
	case 0:
		if slices.Compare(m.prompt(&b).IDs, m.prompt(&a).IDs) >= 0 {
			return a
		}
	}
	return b
}
