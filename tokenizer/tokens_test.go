package tokenizer

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
)

// A vocabulary's tokens by id give the tokenizer that its file gives.
func TestNewWorld(t *testing.T) {
	for _, w := range []*World{small(t), fromTokens(t, rand.New(rand.NewPCG(19, 20)), map[string]bool{"there": true, "the": true, "\xff\x00": true})} {
		tokens := make([][]byte, w.Size())
		for id := range tokens {
			tokens[id] = bytes.Clone(w.Bytes(id))
		}
		got, err := NewWorld("again", tokens)
		if err != nil || got.Name() != "again" || got.Size() != w.Size() {
			t.Fatalf("%v (%v)", got, err)
		}
		for _, token := range tokens {
			clear(token) // nothing of them is kept
		}
		for id := -1; id <= w.Size(); id++ {
			if !bytes.Equal(got.Bytes(id), w.Bytes(id)) {
				t.Fatalf("id %d: want %q, got %q", id, w.Bytes(id), got.Bytes(id))
			}
		}
		rng := rand.New(rand.NewPCG(21, 22))
		for range 300 {
			text := salad(rng, w)
			checkBothWays(t, got, text, appendEncode(w, nil, text))
		}
	}
}

func TestNewWorldRefuses(t *testing.T) {
	sound := func() [][]byte {
		tokens := make([][]byte, 260)
		for c := range 256 {
			tokens[c+1] = []byte{byte(c)}
		}
		return tokens
	}
	if w, err := NewWorld("m", sound()); err != nil || w.Size() != 257 {
		t.Fatalf("the tokens that are varied are broken themselves: %v", err)
	}
	for want, change := range map[string]func([][]byte) [][]byte{
		"m: token 0: want none or a name such as <s>, since id 0 ends a document, got \"a\"": func(x [][]byte) [][]byte { x[0] = []byte("a"); return x },
		"m: token 258: want at most 1024 bytes, got 1025":                                    func(x [][]byte) [][]byte { x[258] = make([]byte, 1025); return x },
		"m: token 259: want each token once, got \"B\", which id 67 has":                     func(x [][]byte) [][]byte { x[259] = []byte("B"); return x },
		"m: tokens: want at most 1048576, got 1048577":                                       func([][]byte) [][]byte { return make([][]byte, 1<<20+1) },
		"m: tokens: want at least one, got none":                                             func([][]byte) [][]byte { return nil },
	} {
		_, err := NewWorld("m", change(sound()))
		var e *Error
		if !errors.As(err, &e) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}
