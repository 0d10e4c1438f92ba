package openai

import (
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
)

// told returns tokens as chats and responses tell of them, with so many of the likeliest others.
func (h *Handlers) told(tokens []api.Token, top int) []ChatToken {
	list := []ChatToken{}
	for _, t := range tokens {
		token := ChatToken{TokenLogprob: tokenLogprob(t.ID, t.Bytes, t.Logprob), Top: []TokenLogprob{}}
		for _, c := range t.Top[:min(top, len(t.Top))] {
			token.Top = append(token.Top, tokenLogprob(c.ID, h.model.Tokenizer().Bytes(c.ID), c.Logprob))
		}
		list = append(list, token)
	}
	return list
}

func tokenLogprob(id int, b []byte, logprob float32) TokenLogprob {
	t := TokenLogprob{Token: tokenName(id, b), Logprob: finite(logprob), Bytes: make([]int, len(b))}
	for i, c := range b {
		t.Bytes[i] = int(c)
	}
	return t
}

// contents finds the tokens of an answer whose text is content: those of thoughts, marks and calls are none. It places each
// by its bytes from the start of the answer. A token that is content in part is content.
type contents struct {
	spans   [][2]int // places of content, in order
	certain int      // the place before which all other text is no content
	tokens  []place  // in order, those that were neither told nor found to be no content
	next    int      // place of the next token
}

// place is where a token stands.
type place struct {
	token    api.Token
	from, to int
}

// push adds to the tokens of the answer, and takes what a parser says of the places of content. See prompt.Parser.Places.
func (c *contents) push(tokens []api.Token, spans [][2]int, certain int) {
	for _, t := range tokens {
		c.tokens = append(c.tokens, place{t, c.next, c.next + len(t.Bytes)})
		c.next += len(t.Bytes)
	}
	c.spans, c.certain = append(c.spans, spans...), certain
}

// take returns the tokens that are known to be content, each once. At the end of the answer all are known.
func (c *contents) take() (list []api.Token) {
	left := 0
	for left < len(c.tokens) {
		t := &c.tokens[left]
		for len(c.spans) > 0 && c.spans[0][1] <= t.from {
			c.spans = c.spans[1:]
		}
		content := len(c.spans) > 0 && c.spans[0][0] < t.to
		if !content && t.to > c.certain {
			break // its text may still become content
		}
		if content {
			list = append(list, t.token)
		}
		left++
	}
	c.tokens = c.tokens[left:]
	return list
}
