package openai

import (
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/prompt"
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

// contents finds the tokens of an answer whose text is content: those of thoughts, marks and calls are none. It knows the
// text of the answer, what a parser made of it, and the tokens, and places each by its bytes from the start of the answer.
// A token that is content in part is content.
type contents struct {
	text   string   // that no delta has, so far
	from   int      // its place
	spans  [][2]int // places of content, in order
	tokens []place  // in order, those that were neither told nor found to be no content
	next   int      // place of the next token
}

// place is where a token stands.
type place struct {
	token    api.Token
	from, to int
}

// push adds to the text and to the tokens of the answer, and takes what a parser has made of that text.
func (c *contents) push(text string, tokens []api.Token, deltas []prompt.Delta) {
	c.text += text
	for _, t := range tokens {
		c.tokens = append(c.tokens, place{t, c.next, c.next + len(t.Bytes)})
		c.next += len(t.Bytes)
	}
	for i := range deltas {
		c.find(&deltas[i], i == len(deltas)-1)
	}
}

// find finds a delta in the text. The last one stands at the end, but for what is held back; before it there may be a mark
// that has the same text.
func (c *contents) find(d *prompt.Delta, last bool) {
	if d.Kind != prompt.ContentDelta && d.Kind != prompt.ReasoningDelta {
		return // the names and arguments of calls may be written anew
	}
	at := strings.Index(c.text, d.Text)
	if last {
		at = strings.LastIndex(c.text, d.Text)
	}
	if at < 0 {
		return
	}
	from, end := c.from+at, at+len(d.Text)
	if d.Kind == prompt.ContentDelta {
		c.spans = append(c.spans, [2]int{from, c.from + end})
	}
	c.text, c.from = c.text[end:], c.from+end
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
		if !content && t.to > c.from {
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
