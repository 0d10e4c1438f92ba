package statecache

import (
	"cmp"
	"slices"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache/radix"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// Segment is a part of a prompt that is encoded for itself: the name of a role, a message, what separates two.
type Segment struct {
	Text   string
	Answer bool // a model wrote it, and a client may have trimmed white space at its ends
	End    Kind // what its end is; None for no place for a checkpoint
}

// Prompt is a text as ids.
type Prompt struct {
	IDs  []int
	Ends []Mark // the ends of segments that are places for checkpoints
}

// Prompt encodes the segments so that as few ids as possible are behind the longest checkpoint that the space keeps. All but
// answers have the ids that each segment's text encodes to. An answer has one of
//
//   - the ids of a kept sequence that goes on from the ids before it with the answer's text. White space at its ends may
//     differ, but not at the end of the prompt: the answer is then as the model wrote it, and what the next segment begins
//     with is not repeated.
//   - the ids up to a checkpoint within the answer's text, and what the rest encodes to
//   - what it encodes to
//
// An error says what the tokenizer cannot spell.
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
	return &Prompt{w.ids, w.ends}, m.err
}

// way is a choice of ids for the first segments.
type way struct {
	ids  []int
	ends []Mark
	at   radix.Cursor[entry] // where the ids lead to in the tree
	on   bool                // whether they lead anywhere
	kept int                 // ids of the longest checkpoint on the way
}

// left is how many ids are to be read.
func (w *way) left() int { return len(w.ids) - w.kept }

// matcher looks for the best way.
type matcher struct {
	tok      tokenizer.Tokenizer
	segments []Segment
	encoded  [][]int // of each segment's text
	tried    int     // ways to spell an answer
	err      error
}

// mostTried bounds the ways to spell answers that are followed to the end: texts have one, unless somebody sends ids to
// have the same text in many.
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
	for ; i < len(m.segments); i++ {
		if m.segments[i].Answer && w.on {
			return m.answer(i, w)
		}
		w = m.end(i, w.follow(m.encoded[i]))
	}
	return w
}

// follow returns the way that goes on with ids.
func (w way) follow(ids []int) way {
	w.ids = append(w.ids[:len(w.ids):len(w.ids)], ids...)
	for k := 0; k < len(ids) && w.on; k++ {
		if w.at, w.on = w.at.Follow(ids[k]); w.on && w.at.Node() != nil {
			w.kept = w.at.Node().Depth()
		}
	}
	return w
}

// end notes the end of a segment.
func (m *matcher) end(i int, w way) way {
	if m.segments[i].End != None {
		w.ends = append(w.ends[:len(w.ends):len(w.ends)], Mark{len(w.ids), m.segments[i].End})
	}
	return w
}

// answer returns the best way for the segments from i on, which is an answer, after w, which leads somewhere.
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
			v = better(*best, v)
		}
		best = &v
	}
	for _, v := range ways {
		if m.tried++; m.tried <= mostTried || best == nil {
			take(m.rest(next, v))
		}
	}
	for _, s := range append(a.begun, spelling{tail: m.segments[i].Text}) {
		v := m.end(i, w.follow(s.ids).follow(m.encode(s.tail)))
		if !v.on || len(ways) == 0 { // or it is one of those above
			take(m.rest(i+1, v))
		}
	}
	return *best
}

// whole returns the ways to go on with an answer as it was spelled and the segment behind it, where that is to be encoded,
// and the segment behind those.
func (m *matcher) whole(i int, w way, spellings []spelling) (ways []way, next int) {
	next = i + 1
	for _, s := range spellings {
		v := m.end(i, w.follow(s.ids))
		if i+1 < len(m.segments) && !m.segments[i+1].Answer {
			text := m.segments[i+1].Text
			v, next = m.end(i+1, v.follow(m.encode(text[repeated(s.white, text):]))), i+2
		}
		// White space in the tree is found as the answer's and as the next segment's.
		if !slices.ContainsFunc(ways, func(u way) bool { return slices.Equal(u.ids, v.ids) }) {
			ways = append(ways, v)
		}
	}
	return ways, next
}

// repeated returns how much of the start of text ended ends in.
func repeated(ended, text string) int {
	n := min(len(ended), len(text))
	for !strings.HasSuffix(ended, text[:n]) {
		n--
	}
	return n
}

// better returns the way with fewer ids to read. Of equal ones the choice only has to be always the same.
func better(a, b way) way {
	if cmp.Or(cmp.Compare(b.left(), a.left()), slices.Compare(b.ids, a.ids)) < 0 {
		return b
	}
	return a
}

// white is what counts as white space at the ends of an answer.
const white = " \t\r\n"

// speller finds sequences in the tree that spell an answer.
type speller struct {
	m       *matcher
	text    string // of the answer, without white space at its beginning
	content string // the same without any at its end; not empty
	last    bool   // no segment follows: it is to be gone on with, and white space at its end is part of the content
	whole   []spelling
	begun   []spelling // those of checkpoints within the content
}

// spelling is how a sequence in the tree goes on with an answer.
type spelling struct {
	ids   []int
	white string // that they end in behind the content
	tail  string // of the answer, which they do not spell
}

// spell follows all sequences from a place that ids lead to, which spell i bytes of the content. It may write behind ids.
func (a *speller) spell(at radix.Cursor[entry], ids []int, i int) {
	at.Next(func(id int, to radix.Cursor[entry]) {
		text := string(a.m.tok.Bytes(id))
		if text == "" {
			return // what has no bytes is no text
		}
		if i == 0 {
			text = strings.TrimLeft(text, white)
		}
		n := min(len(text), len(a.content)-i)
		if text[:n] != a.content[i:i+n] {
			return
		}
		ids := append(ids, id)
		if i+n == len(a.content) {
			a.found(to, ids, text[n:])
			return
		}
		if to.Node() != nil {
			a.begun = append(a.begun, spelling{ids: slices.Clone(ids), tail: a.text[i+n:]})
		}
		a.spell(to, ids, i+n)
	})
}

// found notes a sequence that spells all of the content and ended behind it, if that is white space, and those that go on
// with more of it.
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
