package statecache

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache/radix"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// Segment is a part of a prompt that is encoded by itself: the name of a role, a message, a separator.
type Segment struct {
	Text   string
	Answer bool // reports whether the model wrote the text; a client may have trimmed it
	End    Kind // of the place behind the segment
}

// Prompt is a text as ids.
type Prompt struct {
	IDs  []int
	Ends []Mark // the ends of segments that are places for checkpoints
}

// Prompt chooses ids for the segments such that the fewest ids lie behind the longest checkpoint of the space. Each
// segment that is no answer has the ids that its own text encodes to. An answer has one of
//
//   - the ids of a kept sequence that has the same ids before the answer and then spells the answer. The white space at
//     the ends of the answer may differ: the ids are those the model drew. If they end in white space that the next
//     segment begins with, that segment is encoded without it. At the end of the prompt white space may not differ.
//   - the ids of a kept sequence up to a checkpoint within the answer, and those that the rest of the answer encodes to
//   - the ids that the answer encodes to
//
// The error is a *tokenizer.TextError.
func (s *Space) Prompt(tok tokenizer.Tokenizer, segments []Segment) (*Prompt, error) {
	m := &matcher{tok: tok, segments: segments, encoded: make([][]int, len(segments))}
	for i, seg := range segments {
		m.encoded[i] = m.encode(seg.Text)
	}
	if m.err != nil {
		return nil, m.err
	}
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	var w way
	if t := s.c.index.trees[s.key]; t != nil {
		w.at, w.on = t.Root(), true
	}
	w = m.rest(0, w)
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
	tok      tokenizer.Tokenizer
	segments []Segment
	encoded  [][]int // of the text of each segment
	tried    int     // spellings of answers
	err      error
}

// mostTried bounds the spellings of answers that are followed to the end of a prompt. Answers have one spelling, unless
// somebody drives the same text into the cache in many.
const mostTried = 64

func (m *matcher) encode(text string) []int {
	ids, err := tokenizer.Encode(m.tok, text)
	if m.err == nil {
		m.err = err
	}
	return ids
}

// rest returns the best way for the segments from i on after w.
func (m *matcher) rest(i int, w way) way {
	for ; i < len(m.segments) && w.on; i++ {
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
	text := strings.TrimLeft(m.segments[i].Text, white)
	a := speller{m: m, text: text, content: text, last: i+1 == len(m.segments)}
	if !a.last {
		a.content = strings.TrimRight(text, white)
	}
	if a.content != "" {
		a.spell(w.at, nil, 0)
	}
	ways, next := m.whole(i, w, a.whole)
	var best *way
	take := func(v way) {
		if best != nil {
			v = m.better(*best, v)
		}
		best = &v
	}
	for _, v := range ways {
		if m.tried++; m.tried <= mostTried || best == nil {
			take(m.rest(next, v))
		}
	}
	if v := w.follow(m.encoded[i], m.segments[i].End); !v.on || len(ways) == 0 { // else v is one of ways
		take(m.rest(i+1, v))
	}
	for _, s := range a.begun {
		v := w.follow(s.ids, None).follow(m.encode(s.tail), m.segments[i].End)
		if !v.on {
			take(m.rest(i+1, v))
		}
	}
	return *best
}

// whole returns the ways for an answer as the tree spells it. A segment behind it that is no answer is part of each
// way. next is the segment behind the ways.
func (m *matcher) whole(i int, w way, spellings []spelling) (ways []way, next int) {
	next = i + 1
	for _, s := range spellings {
		v := w.follow(s.ids, m.segments[i].End)
		if i+1 < len(m.segments) && !m.segments[i+1].Answer {
			text := m.segments[i+1].Text
			v, next = v.follow(m.encode(text[repeated(s.white, text):]), m.segments[i+1].End), i+2
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

// white is the white space that clients trim.
const white = " \t\r\n\v\f\u00a0\u3000"

// speller finds sequences in the tree that spell an answer.
type speller struct {
	m       *matcher
	text    string     // the answer without white space at its beginning
	content string     // text without white space at its end; not empty
	last    bool       // reports whether no segment follows: then white space at the end is part of the content
	whole   []spelling // of the whole content
	begun   []spelling // up to checkpoints within the content
}

// spelling is the part of a sequence in the tree that spells an answer.
type spelling struct {
	ids   []int
	white string // the white space that ids spell behind the content
	tail  string // the end of the answer that ids do not spell
}

// spell follows all sequences from the place at. The ids before it spell i bytes of the content. It may write behind
// ids.
func (a *speller) spell(at radix.Cursor[entry], ids []int, i int) {
	at.Next(func(id int, to radix.Cursor[entry]) {
		text := a.m.tok.Bytes(id)
		if len(text) == 0 {
			return // an id without bytes spells nothing
		}
		if i == 0 {
			text = bytes.TrimLeft(text, white)
		}
		n := min(len(text), len(a.content)-i)
		if string(text[:n]) != a.content[i:i+n] {
			return
		}
		ids := append(ids, id)
		if i+n == len(a.content) {
			a.found(to, ids, string(text[n:]))
			return
		}
		if to.Node() != nil {
			a.begun = append(a.begun, spelling{ids: slices.Clone(ids), tail: a.text[i+n:]})
		}
		a.spell(to, ids, i+n)
	})
}

// found notes ids that spell the content and ended behind it, if ended is white space. It then follows the sequences
// that go on with more white space.
func (a *speller) found(at radix.Cursor[entry], ids []int, ended string) {
	if strings.Trim(ended, white) != "" || a.last && ended != "" {
		return
	}
	a.whole = append(a.whole, spelling{ids: slices.Clone(ids), white: ended})
	at.Next(func(id int, to radix.Cursor[entry]) {
		if text := string(a.m.tok.Bytes(id)); text != "" {
			a.found(to, append(ids, id), ended+text)
		}
	})
}
