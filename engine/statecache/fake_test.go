package statecache

import (
	"context"
	"hash/fnv"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/text"
	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// fakeSize is the elements of a state of the fake engine.
const fakeSize = 6

// seq is a sequence of a fake engine, whose state is a chain of hashes of the ids fed: two states are alike when their
// ids are, in whatever passes they were fed, and not otherwise.
type seq struct {
	state [fakeSize]float32
	fed   int // ids, since the sequence was made or restored
}

func (s *seq) feed(ids ...int) {
	for _, id := range ids {
		h := fnv.New64a()
		for _, v := range s.state {
			h.Write([]byte{byte(int(v)), byte(int(v) >> 8)})
		}
		h.Write([]byte{byte(id), byte(id >> 8), byte(id >> 16)})
		sum := h.Sum64()
		for i := range s.state {
			s.state[i] = float32(sum >> (8 * i) & 0xffff)
		}
		s.fed++
	}
}

// after is the state of a run from the start.
func after(ids []int) []float32 {
	var s seq
	s.feed(ids...)
	return s.state[:]
}

// server answers prompts as a server on this cache does, with answers that are given.
type server struct {
	t     testing.TB
	tok   tokenizer.Tokenizer
	cache *Cache
	every int
}

// reply is what one request came to.
type reply struct {
	prompt    []int
	prefilled int    // ids of the prompt that were read
	text      string // as returned to the client
}

// ask reads the prompt, draws the ids given, and keeps the state at the end of the answer's text.
func (s *server) ask(user string, prompt []Segment, draws []int, stop ...string) reply {
	s.t.Helper()
	space := s.cache.Space(user)
	p, err := space.Prompt(s.tok, prompt)
	if err != nil {
		s.t.Fatal(err)
	}
	s.checkText(prompt, p.IDs)
	hit := space.Find(p.IDs, len(p.IDs)-1)
	var q seq
	if hit.Tokens > 0 {
		copy(q.state[:], hit.State)
		if want := after(p.IDs[:hit.Tokens]); !slices.Equal(hit.State, want) {
			s.t.Fatalf("restored %v after %d ids, want %v", hit.State, hit.Tokens, want)
		}
	}
	hit.Release()
	at := hit.Tokens
	keep := func(ids []int, kind Kind) {
		if d := space.Reserve(ids, Meta{Kind: kind, Pending: -1}); d != nil {
			copy(d.State(), q.state[:])
			d.Commit()
		}
	}
	for _, m := range Plan(at, len(p.IDs), s.every, hit, p.Ends) {
		q.feed(p.IDs[at:m.Tokens]...)
		at = m.Tokens
		keep(p.IDs[:at], m.Kind)
	}
	q.feed(p.IDs[at:]...)
	r := reply{prompt: p.IDs, prefilled: q.fed}
	if want := after(p.IDs); !slices.Equal(q.state[:], want) {
		s.t.Fatalf("state %v after the prompt, want %v", q.state, want)
	}
	w, err := text.NewWriter(s.tok, text.Options{Stop: stop})
	if err != nil {
		s.t.Fatal(err)
	}
	states := []seq{q}
	for _, id := range draws {
		piece, done := w.Push(id)
		r.text += string(piece)
		if done {
			break
		}
		q.feed(id)
		states = append(states, q)
	}
	r.text += string(w.Flush())
	n, _ := w.Covered()
	q = states[n]
	keep(append(slices.Clone(p.IDs), draws[:n]...), Turn)
	return r
}

// checkText wants ids to spell the prompt, but for white space around answers.
func (s *server) checkText(prompt []Segment, ids []int) {
	s.t.Helper()
	got, want := string(tokenizer.Decode(s.tok, ids)), ""
	lenient := false
	for _, seg := range prompt {
		want += seg.Text
		lenient = lenient || seg.Answer
	}
	if lenient {
		got, want = strings.Join(strings.Fields(got), ""), strings.Join(strings.Fields(want), "")
	}
	if got != want {
		s.t.Fatalf("the ids spell %q, want %q", got, want)
	}
}

func (s *server) encode(text string) []int {
	s.t.Helper()
	ids, err := tokenizer.Encode(s.tok, text)
	if err != nil {
		s.t.Fatal(err)
	}
	return ids
}

// count returns how many ids the segments have, each encoded for itself.
func (s *server) count(texts ...string) (n int) {
	for _, text := range texts {
		n += len(s.encode(text))
	}
	return n
}

// smallWords are the tokens of a small vocabulary beside all single bytes: among them those that span a text's end and
// a line's, as the published vocabulary has.
var smallWords = []string{
	"\n\n", ".\n", "。\n", "，\n", "User", "Ass", "istant", "System", " the", " a", "Hello", " Hello", "Hel", " there", " <", "think", "</",
	"></", ">\n", " is", " time", "\u3000", "今日", "は", "です", "。", "你好", "！", "我", "很", "好", "，", " you", " are", " and", "ing", " 1", " 2", "00",
}

func smallVocabulary(t testing.TB) tokenizer.Tokenizer {
	t.Helper()
	tokens := [][]byte{nil}
	seen := map[string]bool{}
	add := func(text string) {
		if !seen[text] {
			seen[text] = true
			tokens = append(tokens, []byte(text))
		}
	}
	for b := range 256 {
		add(string([]byte{byte(b)}))
	}
	for _, word := range smallWords {
		add(word)
	}
	tok, err := tokenizer.NewWorld("small", tokens)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// eachVocabulary runs a test with a small vocabulary, and with the published one where that is at hand.
func eachVocabulary(t *testing.T, test func(t *testing.T, s *server)) {
	run := func(open func(t testing.TB) tokenizer.Tokenizer) func(t *testing.T) {
		return func(t *testing.T) {
			test(t, &server{t: t, tok: open(t), cache: newCache(t, Options{Size: fakeSize, Host: 1 << 20, Identity: "fake"}), every: 512})
		}
	}
	t.Run("small", run(smallVocabulary))
	t.Run("world", run(func(t testing.TB) tokenizer.Tokenizer {
		tok, err := tokenizer.Open(reference.Shared(t, "vocab", "rwkv_vocab_v20230424.txt"))
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}))
}

func newCache(t testing.TB, o Options) *Cache {
	t.Helper()
	c, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return c
}
