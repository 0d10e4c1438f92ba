package openai

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/engine/text"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// tokenRoutes are what vLLM's server has beside OpenAI's protocol, for programs that want a model's tokens.
func (h *Handlers) tokenRoutes() []api.Route {
	return []api.Route{
		{Pattern: "POST /tokenize", Handle: h.tokenize, Fail: Fail},
		{Pattern: "POST /detokenize", Handle: h.detokenize, Fail: Fail},
		{Pattern: "GET /tokenizer_info", Handle: h.tokenizerInfo, Fail: Fail},
		{Pattern: "POST /v1/chat/completions/render", Handle: h.render, Fail: Fail},
	}
}

// TokenizeRequest is the body of POST /tokenize.
type TokenizeRequest struct {
	Conversation
	Prompt *string `json:"prompt"`
	Names  bool    `json:"return_token_strs"`
}

// DetokenizeRequest is the body of POST /detokenize.
type DetokenizeRequest struct {
	Tokens []int `json:"tokens"`
}

func (h *Handlers) tokenize(w http.ResponseWriter, c *api.Call) *wire.Error {
	var q TokenizeRequest
	if err := c.Decode(w, &q); err != nil {
		return err
	}
	var ids []int
	var err *wire.Error
	talk := len(q.Messages) > 0 && q.Messages.Kind() != 'n'
	switch {
	case q.Prompt != nil && talk:
		return wire.Wrong("messages", "none beside a prompt", "some")
	case q.Prompt != nil:
		ids, err = h.encode("prompt", *q.Prompt)
	case talk:
		t := &chatCall{h: h, q: ChatRequest{Conversation: q.Conversation}}
		if err = t.render(); err == nil {
			ids, err = chat.Encode(h.model, t.prompt)
		}
	default:
		return wire.Missing("prompt", "a string, or messages")
	}
	if err != nil {
		return err
	}
	answer := struct {
		Count  int      `json:"count"`
		Most   int      `json:"max_model_len"` // there is none: a state is as large after any number of tokens
		Tokens []int    `json:"tokens"`
		Names  []string `json:"token_strs,omitzero"`
	}{Count: len(ids), Most: 1<<31 - 1, Tokens: ids}
	if q.Names {
		answer.Names = []string{}
		for _, id := range ids {
			answer.Names = append(answer.Names, tokenName(id, h.model.Tokenizer().Bytes(id)))
		}
	}
	reply(w, answer)
	return nil
}

// encode returns the ids of a text, in which endName stands for the end of a text.
func (h *Handlers) encode(param, s string) ([]int, *wire.Error) {
	ids := []int{}
	for i, part := range strings.Split(s, endName) {
		if i > 0 {
			ids = append(ids, text.EndOfText)
		}
		var err error
		if ids, err = h.model.Tokenizer().AppendEncode(ids, []byte(part)); err != nil {
			return nil, wire.Wrong(param, "a text that the vocabulary can spell", "another")
		}
	}
	return ids, nil
}

func (h *Handlers) detokenize(w http.ResponseWriter, c *api.Call) *wire.Error {
	var q DetokenizeRequest
	if err := c.Decode(w, &q); err != nil {
		return err
	}
	if q.Tokens == nil {
		return wire.Missing("tokens", "a list of token ids")
	}
	var b []byte
	for i, id := range q.Tokens {
		switch {
		case id == text.EndOfText:
			b = append(b, endName...)
		case id < 0 || id >= h.model.Info().Vocab:
			return wire.Wrong(fmt.Sprintf("tokens[%d]", i), fmt.Sprintf("a token id from 0 to %d", h.model.Info().Vocab-1), fmt.Sprint(id))
		default:
			b = append(b, h.model.Tokenizer().Bytes(id)...)
		}
	}
	reply(w, struct {
		Prompt string `json:"prompt"`
	}{tokenizer.Text(b)})
	return nil
}

func (h *Handlers) tokenizerInfo(w http.ResponseWriter, _ *api.Call) *wire.Error {
	reply(w, struct {
		Class    string  `json:"tokenizer_class"`
		Vocab    int     `json:"vocab_size"`
		BOS      string  `json:"bos_token"`
		EOS      string  `json:"eos_token"`
		Template *string `json:"chat_template"` // conversations are written by the server: /v1/chat/completions/render
	}{h.model.Tokenizer().Name(), h.model.Info().Vocab, endName, endName, nil})
	return nil
}

// render answers with the text and the ids that a chat becomes: each segment is encoded by itself, as where nothing is kept.
// What is wrong with the chat's other fields is an error as well.
func (h *Handlers) render(w http.ResponseWriter, c *api.Call) *wire.Error {
	q := &chatCall{h: h}
	defer func() { q.span.End() }()
	err := c.Decode(w, &q.q)
	if err == nil {
		err = q.prepare(c)
	}
	if err != nil {
		return err
	}
	ids, err := chat.Encode(h.model, q.prompt)
	if err != nil {
		return err
	}
	reply(w, struct {
		Prompt string   `json:"prompt"`
		Tokens []int    `json:"tokens"`
		Stop   []string `json:"stop"`
	}{q.prompt.Text(), ids, q.prompt.Stop})
	return nil
}
