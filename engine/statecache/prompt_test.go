package statecache

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// letters is a vocabulary in which few texts have one spelling.
func letters(t testing.TB) tokenizer.Tokenizer {
	t.Helper()
	tok, err := tokenizer.NewWorld("letters", [][]byte{nil, []byte("a"), []byte("b"), []byte(" "), []byte("\n"), []byte("ab"), []byte("ba"),
		[]byte(" a"), []byte("b\n"), []byte("\n\n"), []byte("aab"), []byte("b ")})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// aligned reports how ids spell segments by the rules of Prompt: answers by any ids, with any white space around them,
// and every other segment by what encode gives it, or what remains of it where an answer's white space was its
// beginning. It tries all ways. free tells that an answer ended right before, in the white space given.
func aligned(tok tokenizer.Tokenizer, ids []int, segments []Segment, ended string, free bool) bool {
	if len(segments) == 0 {
		return len(ids) == 0
	}
	seg := segments[0]
	if !seg.Answer {
		for n := range len(seg.Text) + 1 {
			if n > 0 && (!free || !strings.HasSuffix(ended, seg.Text[:n])) {
				continue
			}
			want, _ := tokenizer.Encode(tok, seg.Text[n:])
			if begins(ids, want) && aligned(tok, ids[len(want):], segments[1:], "", false) {
				return true
			}
		}
		return false
	}
	for n := range len(ids) + 1 {
		text := string(tokenizer.Decode(tok, ids[:n]))
		if content(text, len(segments) == 1) == content(seg.Text, len(segments) == 1) && aligned(tok, ids[n:], segments[1:], text[len(strings.TrimRight(text, white)):], true) {
			return true
		}
	}
	return false
}

// content returns what counts of an answer, which may be the last segment.
func content(text string, last bool) string {
	if last {
		return strings.TrimLeft(text, white)
	}
	return strings.Trim(text, white)
}

// cheapest returns how many ids a prompt leaves to read that goes on from the best of all kept sequences.
func cheapest(tok tokenizer.Tokenizer, kept [][]int, segments []Segment) int {
	best := 0
	for _, seg := range segments {
		ids, _ := tokenizer.Encode(tok, seg.Text)
		best += len(ids)
	}
	for _, ids := range kept {
		if n, ok := remaining(tok, ids, segments); ok {
			best = min(best, n)
		}
	}
	return best
}

// remaining returns how many ids are left behind those of a kept sequence that spell the beginning of the segments.
func remaining(tok tokenizer.Tokenizer, ids []int, segments []Segment) (int, bool) {
	least, found := 0, false
	note := func(n int, ok bool) {
		if ok && (!found || n < least) {
			least, found = n, true
		}
	}
	if len(ids) == 0 {
		return plain(tok, segments), true
	}
	if len(segments) == 0 {
		return 0, false
	}
	last := len(segments) == 1
	content := content(segments[0].Text, last)
	if !segments[0].Answer || content == "" {
		return after1(tok, ids, segments[0].Text, segments[1:])
	}
	for n := range len(ids) + 1 {
		text := strings.TrimLeft(string(tokenizer.Decode(tok, ids[:n])), white)
		ended, whole := strings.CutPrefix(text, content)
		switch {
		case whole && strings.Trim(ended, white) == "" && !(last && ended != ""):
			if last || segments[1].Answer {
				note(remaining(tok, ids[n:], segments[1:]))
			} else {
				next := segments[1].Text
				note(after1(tok, ids[n:], next[repeated(ended, next):], segments[2:]))
			}
		case n == len(ids) && strings.HasPrefix(content, text):
			tail, _ := tokenizer.Encode(tok, strings.TrimLeft(segments[0].Text, white)[len(text):])
			note(len(tail)+plain(tok, segments[1:]), true)
		}
	}
	return least, found
}

// after1 is remaining for a segment that is encoded, and those behind it.
func after1(tok tokenizer.Tokenizer, ids []int, text string, segments []Segment) (int, bool) {
	want, _ := tokenizer.Encode(tok, text)
	switch {
	case begins(ids, want):
		return remaining(tok, ids[len(want):], segments)
	case begins(want, ids):
		return len(want) - len(ids) + plain(tok, segments), true
	}
	return 0, false
}

func plain(tok tokenizer.Tokenizer, segments []Segment) (n int) {
	for _, seg := range segments {
		ids, _ := tokenizer.Encode(tok, seg.Text)
		n += len(ids)
	}
	return n
}

// checkPrompts keeps random sequences and wants every prompt to be spelled by the rules, and to leave as little to read
// as any kept sequence allows.
func checkPrompts(t *testing.T, r *rand.Rand) (saved int) {
	t.Helper()
	tok := letters(t)
	c := newCache(t, Options{Size: 1, Host: 1 << 20})
	s := c.Space("")
	word := func(most int) string {
		var b strings.Builder
		for range 1 + r.IntN(most) {
			b.WriteString([]string{"a", "b", "ab", " ", "\n"}[r.IntN(3+r.IntN(3))])
		}
		return b.String()
	}
	var segments []Segment
	for i := range 1 + r.IntN(6) {
		segments = append(segments, Segment{Text: word(5), Answer: i%2 == 1 && r.IntN(4) > 0, End: Kind(r.IntN(4))})
	}
	var kept [][]int
	for range r.IntN(8) {
		ids := spelled(tok, r, segments)
		if len(ids) > 0 && put(s, ids, Anchor) {
			kept = append(kept, ids)
		}
	}
	p, err := s.Prompt(tok, segments)
	if err != nil {
		t.Fatal(err)
	}
	if !aligned(tok, p.IDs, segments, "", false) {
		t.Fatalf("%v (%q) does not spell %+v", p.IDs, tokenizer.Decode(tok, p.IDs), segments)
	}
	hit := s.Find(p.IDs, len(p.IDs))
	defer hit.Release()
	if got, want := len(p.IDs)-hit.Tokens, cheapest(tok, kept, segments); got > want {
		t.Fatalf("%+v, kept %v: %v leaves %d ids, want at most %d", segments, kept, p.IDs, got, want)
	}
	again, err := s.Prompt(tok, segments)
	if err != nil || !slices.Equal(again.IDs, p.IDs) || !slices.Equal(again.Ends, p.Ends) {
		t.Fatalf("%v and then %v (%v)", p, again, err)
	}
	for i, m := range p.Ends {
		if m.Kind == None || i > 0 && m.Tokens < p.Ends[i-1].Tokens || m.Tokens > len(p.IDs) {
			t.Fatalf("ends %v of %d ids", p.Ends, len(p.IDs))
		}
	}
	return hit.Tokens
}

// spelled returns ids of a beginning of the segments as a server may have kept them: answers in any spelling, with
// other white space around them, and cut off anywhere.
func spelled(tok tokenizer.Tokenizer, r *rand.Rand, segments []Segment) (ids []int) {
	ended := ""
	for _, seg := range segments {
		text := seg.Text
		if !seg.Answer {
			more, _ := tokenizer.Encode(tok, text[repeated(ended, text):])
			ids, ended = append(ids, more...), ""
			continue
		}
		text = []string{"", " ", "\n"}[r.IntN(3)] + strings.Trim(text, white) + []string{"", " ", "\n", "\n\n"}[r.IntN(4)]
		ended = text[len(strings.TrimRight(text, white)):]
		for text != "" {
			n := 1 + r.IntN(min(3, len(text)))
			more, _ := tokenizer.Encode(tok, text[:n])
			ids, text = append(ids, more...), text[n:]
		}
	}
	return ids[:r.IntN(len(ids)+1)]
}

func TestPrompts(t *testing.T) {
	reference.Numbers(t)
	r := rand.New(rand.NewPCG(1, 2))
	saved := 0
	for range 4_000 {
		saved += checkPrompts(t, r)
	}
	if saved < 8_000 {
		t.Errorf("only %d ids were saved", saved)
	}
}

func FuzzPrompts(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) { checkPrompts(t, rand.New(rand.NewPCG(seed, 9))) })
}

// What the vocabulary cannot spell is the tokenizer's error, whatever is kept.
func TestPromptErrors(t *testing.T) {
	tok := letters(t)
	s := newCache(t, Options{Size: 1, Host: 1 << 10}).Space("")
	put(s, []int{1}, Turn)
	for _, segments := range [][]Segment{{{Text: "ax"}}, {{Text: "a"}, {Text: "x", Answer: true}}, {{Text: "a"}, {Text: "a", Answer: true}, {Text: "\nx"}}} {
		var e *tokenizer.TextError
		if p, err := s.Prompt(tok, segments); !errors.As(err, &e) || p != nil {
			t.Errorf("%+v: want a TextError, got %v, %v", segments, p, err)
		}
	}
	if p, err := s.Prompt(tok, nil); err != nil || len(p.IDs) != 0 {
		t.Errorf("no segments: %v, %v", p, err)
	}
}
