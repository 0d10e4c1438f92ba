package openai

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/engine/text"
	"github.com/rwkv-gpu/rwkv-gpu/prompt"
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

func (h *Handlers) tokenize(w http.ResponseWriter, c *api.Call) *wire.Error {
	var q struct {
		ChatRequest
		Prompt *string `json:"prompt"`
		Names  bool    `json:"return_token_strs"`
	}
	if err := c.Decode(w, &q); err != nil {
		return err
	}
	var ids []int
	var err *wire.Error
	switch {
	case q.Prompt != nil && q.Messages != nil:
		return wire.Wrong("messages", "none beside a prompt", "some")
	case q.Prompt != nil:
		ids, err = h.encode("prompt", *q.Prompt)
	case q.Messages != nil:
		_, ids, err = h.renderIDs(q.ChatRequest)
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
	var q struct {
		Tokens []int `json:"tokens"`
	}
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

// render answers with the text and the ids that a chat becomes.
func (h *Handlers) render(w http.ResponseWriter, c *api.Call) *wire.Error {
	var q ChatRequest
	if err := c.Decode(w, &q); err != nil {
		return err
	}
	p, ids, err := h.renderIDs(q)
	if err != nil {
		return err
	}
	reply(w, struct {
		Prompt string   `json:"prompt"`
		Tokens []int    `json:"tokens"`
		Stop   []string `json:"stop"`
	}{p.Text(), ids, p.Stop})
	return nil
}

// renderIDs writes a chat and encodes it as it is encoded where nothing of it is cached: each segment by itself.
func (h *Handlers) renderIDs(r ChatRequest) (*prompt.Prompt, []int, *wire.Error) {
	q := chatCall{h: h, q: r}
	if err := q.render(); err != nil {
		return nil, nil, err
	}
	ids, err := chat.Encode(h.model, q.prompt)
	return q.prompt, ids, err
}
