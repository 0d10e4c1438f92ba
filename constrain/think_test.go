package constrain

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/constrain/jsonschema"
	"github.com/rwkv-gpu/rwkv-gpu/constrain/token"
	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// The constraint begins at the byte behind the end of the think text, wherever tokens are cut.
func TestThink(t *testing.T) {
	g, err := JSONSchema([]byte(`{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"],"additionalProperties":false}`), jsonschema.Options{})
	if err != nil {
		t.Fatal(err)
	}
	const text = `I think </thin or </</think>` + "\n\n" + `{"a":17}`
	rng := rand.New(rand.NewPCG(9, 10))
	for range 300 {
		var tokens [][]byte
		tokens = append(tokens, nil)
		var sequence []int
		for rest := text; rest != ""; {
			n := min(1+rng.IntN(12), len(rest))
			tokens = append(tokens, []byte(rest[:n]))
			sequence = append(sequence, len(tokens)-1)
			rest = rest[n:]
		}
		// And tokens that end the think text and go on as the grammar forbids, or allows.
		bad, good := len(tokens), len(tokens)+1
		tokens = append(tokens, []byte(`</think>no`), []byte(`x</think>{"`))
		v := pieces(t, tokens)
		c, err := NewAfter(g, v, "</think>")
		if err != nil {
			t.Fatal(err)
		}
		mask, err := c.Mask()
		if err != nil || allowed(mask, bad) || !allowed(mask, good) || allowed(mask, 0) {
			t.Fatalf("%q: %v: bad %v, good %v, end %v", tokens, err, allowed(mask, bad), allowed(mask, good), allowed(mask, 0))
		}
		if _, err := c.Accept(bad); err == nil {
			t.Fatal("a token that goes on as the grammar forbids is accepted")
		}
		done := false
		for _, id := range sequence {
			mask, err := c.Mask()
			if err != nil || !allowed(mask, id) {
				t.Fatalf("%q: id %d is masked (%v)", tokens, id, err)
			}
			if done, err = c.Accept(id); err != nil {
				t.Fatalf("%q: id %d: %v", tokens, id, err)
			}
		}
		if !done {
			t.Fatalf("%q: not done", tokens)
		}
	}
}

// Where the end has to come first, nothing else does, and the constraint begins behind it.
func TestBehind(t *testing.T) {
	g, err := Regexp("yes|no")
	if err != nil {
		t.Fatal(err)
	}
	v := small(t)
	for range 50 {
		c, err := NewBehind(g, v, ">")
		if err != nil {
			t.Fatal(err)
		}
		mask, err := c.Mask()
		if err != nil || !slices.Equal(ids(mask), naive(t, c, v)) || c.Lasts() {
			t.Fatalf("%v: the mask is not what is accepted", err)
		}
		text := walk(t, c, v, rand.New(rand.NewPCG(13, rand.Uint64())), 40)
		if !regexp.MustCompile(`^>[ \t\r\n]*(yes|no)$`).MatchString(text) {
			t.Fatalf("%q", text)
		}
	}
}

// In think text the mask stays the same words from token to token, but for the place where a token may complete the end,
// so that one submission can draw many tokens. Nowhere in it may the text end.
func TestThinkLasts(t *testing.T) {
	g, err := Regexp("yes|no")
	if err != nil {
		t.Fatal(err)
	}
	v := world(t)
	tok, err := tokenizer.Open(reference.Shared(t, "vocab", "rwkv_vocab_v20230424.txt"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewAfter(g, v, "</think>")
	if err != nil {
		t.Fatal(err)
	}
	ids, err := tokenizer.Encode(tok, "I think 1 < 2 </ and </thin air.\n\nSo it is. </think>\nno")
	if err != nil {
		t.Fatal(err)
	}
	var first []uint64
	others := 0
	for i, id := range ids {
		thought := c.seen >= 0
		mask, err := c.Mask()
		if err != nil || allowed(mask, 0) {
			t.Fatalf("%q: %v, or the text may end", tok.Bytes(id), err)
		}
		if i == 0 {
			first = mask
		}
		switch same := &mask[0] == &first[0]; {
		case c.Lasts() != same:
			t.Errorf("before %q: it lasts %t, the words are the first %t", tok.Bytes(id), c.Lasts(), same)
		case thought && !same:
			others++
		}
		if _, err := c.Accept(id); err != nil {
			t.Fatal(err)
		}
	}
	if others != 1 { // before the last byte of the end
		t.Errorf("%d other masks in %d tokens", others, len(ids))
	}
}

// The end of think text is found where it first is, also when it overlaps with what looked like its beginning.
func TestThinkEnd(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	for range 2000 {
		end, text := "", ""
		for range 1 + rng.IntN(6) {
			end += string("ab"[rng.IntN(2)])
		}
		for range 30 {
			text += string("ab"[rng.IntN(2)])
		}
		k := newThinking(end)
		seen, found, from := 0, -1, 0
		for from < len(text) && found < 0 {
			to := min(from+1+rng.IntN(4), len(text))
			now, rest, complete := k.read(seen, []byte(text[from:to]))
			if seen = now; complete {
				found = to - len(rest) - len(end)
			}
			from = to
		}
		if want := strings.Index(text, end); found != want {
			t.Fatalf("%q in %q: found at %d, want %d", end, text, found, want)
		}
	}
}

// tokens is a tokenizer of a list of tokens, of which none may come twice.
type tokens struct {
	tokenizer.Tokenizer
	list [][]byte
}

func (k tokens) Size() int           { return len(k.list) }
func (k tokens) Bytes(id int) []byte { return k.list[id] }

func pieces(t *testing.T, list [][]byte) *token.Vocabulary {
	t.Helper()
	v, err := token.NewVocabulary(tokens{list: list}, len(list), []int{0}, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
