package statecache

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// watched is a tokenizer that counts what it is asked to encode, wants the cache to be free for others meanwhile, and
// lets them do something with it.
type watched struct {
	tokenizer.Tokenizer
	t         *testing.T
	c         *Cache
	encoded   int
	meanwhile func()
}

func (w *watched) AppendEncode(dst []int, text []byte) ([]int, error) {
	w.encoded++
	if w.c.mu.TryLock() {
		w.c.mu.Unlock()
	} else {
		w.t.Fatalf("the cache is locked while %q is encoded", text)
	}
	if w.meanwhile != nil {
		w.meanwhile()
	}
	return w.Tokenizer.AppendEncode(dst, text)
}

// watch returns a space and a tokenizer that watches its cache.
func watch(t *testing.T) (*Space, *watched) {
	t.Helper()
	c := newCache(t, Options{Size: 1, Host: 1 << 20})
	return c.Space(""), &watched{Tokenizer: letters(t), t: t, c: c}
}

// Sequences that spell one text in very many ways do not make a prompt slow.
func TestManySpellings(t *testing.T) {
	s, tok := watch(t)
	var segments []Segment
	for range 40 {
		segments = append(segments, Segment{Text: "b"}, Segment{Text: "ab", Answer: true})
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		var ids []int
		for range 40 {
			ids = append(ids, [][]int{{2, 1, 2}, {2, 5}}[r.IntN(2)]...)
		}
		put(s, ids, Anchor)
	}
	p, err := s.Prompt(tok, segments)
	if err != nil || string(tokenizer.Decode(tok, p.IDs)) != strings.Repeat("bab", 40) {
		t.Errorf("%v (%v)", p, err)
	}
	if hit := s.Find(p.IDs, len(p.IDs)); hit.Tokens != len(p.IDs) {
		t.Errorf("%d ids of %d found", hit.Tokens, len(p.IDs))
	}
	if most := len(segments) + mostTried; tok.encoded > most {
		t.Errorf("%d texts encoded, want at most %d", tok.encoded, most)
	}
}

// Checkpoints at very many places of an answer, on very many ways to spell it, do not make a prompt slow, and the
// longest is found.
func TestManyBegun(t *testing.T) {
	s, tok := watch(t)
	const pairs = 200
	segments := []Segment{{Text: "b"}, {Text: strings.Repeat("ab", pairs) + "bbb", Answer: true}, {Text: "\nb"}}
	r := rand.New(rand.NewPCG(1, 2))
	longest := 0
	for range 100 {
		ids := []int{2}
		for range 1 + r.IntN(pairs) {
			ids = append(ids, [][]int{{1, 2}, {5}}[r.IntN(2)]...)
			if r.IntN(4) == 0 {
				put(s, ids, Anchor)
			}
		}
		put(s, ids, Anchor)
		longest = max(longest, len(tokenizer.Decode(tok, ids)))
	}
	p, err := s.Prompt(tok, segments)
	if err != nil || !aligned(tok.Tokenizer, p.IDs, segments, "", false) {
		t.Fatalf("%v (%v)", p, err)
	}
	hit := s.Find(p.IDs, len(p.IDs))
	defer hit.Release()
	if got := len(tokenizer.Decode(tok, p.IDs[:hit.Tokens])); got != longest {
		t.Errorf("the checkpoint found spells %d bytes, want %d", got, longest)
	}
	if most := len(segments) + 4; tok.encoded > most {
		t.Errorf("%d texts encoded, want at most %d", tok.encoded, most)
	}
}

// What others put and drop while a prompt is encoded counts, as if it had been there before or not at all.
func TestPromptWhileChanging(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	changed, saved := 0, 0
	for range 2_000 {
		s, tok := watch(t)
		segments := []Segment{{Text: "ab\n"}, {Text: "ba ab", Answer: true}, {Text: "\n\nb"}, {Text: "aab", Answer: true}, {Text: "\nba"}}
		var kept [][]int
		change := func() {
			if len(kept) > 0 && r.IntN(3) == 0 {
				k := r.IntN(len(kept))
				drop(s, kept[k])
				kept = slices.Delete(kept, k, k+1)
				return
			}
			if ids := spelled(tok.Tokenizer, r, segments); len(ids) > 0 && put(s, ids, Anchor) {
				kept = append(kept, ids)
			}
		}
		for range 4 {
			change()
		}
		left := r.IntN(12) // the first encode the segments; all that follow may be during a search
		tok.meanwhile = func() {
			if tok.encoded > len(segments) && left > 0 {
				left--
				changed++
				change()
			}
		}
		p, err := s.Prompt(tok, segments)
		if err != nil || !aligned(tok.Tokenizer, p.IDs, segments, "", false) {
			t.Fatalf("%v (%v)", p, err)
		}
		hit := s.Find(p.IDs, len(p.IDs))
		hit.Release()
		if got, want := len(p.IDs)-hit.Tokens, cheapest(tok.Tokenizer, kept, segments); tok.encoded < len(segments)+mostStale && got > want {
			t.Fatalf("kept %v: %v leaves %d ids, want at most %d", kept, p.IDs, got, want)
		}
		saved += hit.Tokens
	}
	if changed < 2_000 || saved < 2_000 {
		t.Errorf("only %d changes and %d ids saved", changed, saved)
	}
}

// A prompt ends however often the tree changes meanwhile.
func TestPromptEnds(t *testing.T) {
	s, tok := watch(t)
	segments := []Segment{{Text: "b"}, {Text: strings.Repeat("ab", 50) + "b", Answer: true}}
	for n := range 50 {
		put(s, append([]int{2}, slices.Repeat([]int{1, 2}, n+1)...), Anchor)
	}
	n := 50
	tok.meanwhile = func() {
		drop(s, append([]int{2}, slices.Repeat([]int{1, 2}, n)...))
		n--
	}
	p, err := s.Prompt(tok, segments)
	if err != nil || !aligned(tok.Tokenizer, p.IDs, segments, "", false) {
		t.Fatalf("%v (%v)", p, err)
	}
	if want := len(segments) + mostStale; tok.encoded != want {
		t.Errorf("%d texts encoded, want %d", tok.encoded, want)
	}
}

// drop takes a checkpoint in host memory out of the cache.
func drop(s *Space, ids []int) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if e := s.c.index.at(s.key, ids); e != nil {
		s.c.index.drop(e, host)
	}
}
