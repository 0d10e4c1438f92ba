package openai

import (
	"math"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"github.com/rwkv-gpu/rwkv-gpu/engine/text"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// Usage counts the tokens of a request.
type Usage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	Total      int `json:"total_tokens"`
	Details    struct {
		Cached int `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
	Thoughts *ThoughtTokens `json:"completion_tokens_details,omitzero"` // of chats
}

// ThoughtTokens counts tokens of an answer that are those of thoughts.
type ThoughtTokens struct {
	Reasoning int `json:"reasoning_tokens"`
}

// thoughtTokens returns how many tokens of an answer are those of a thought.
func (h *Handlers) thoughtTokens(r api.Result, thought string) int {
	ids, err := h.model.Tokenizer().AppendEncode(nil, []byte(thought))
	if err != nil {
		return 0 // of a vocabulary that can spell no thoughts
	}
	return min(len(ids), r.Drawn)
}

// add adds an answer: a prompt that several answers share counts once.
func (u *Usage) add(r api.Result, first bool) {
	if first {
		u.Prompt += r.Prompt
		u.Details.Cached += r.Cached
	}
	u.Completion += r.Drawn
	u.Total = u.Prompt + u.Completion
}

// Completion is an answer of /v1/completions, or a piece of it.
type Completion struct {
	ID          string             `json:"id"`
	Object      string             `json:"object"` // text_completion
	Created     int64              `json:"created"`
	Model       string             `json:"model"`
	Fingerprint string             `json:"system_fingerprint"`
	Choices     []CompletionChoice `json:"choices"`
	Usage       *Usage             `json:"usage,omitzero"`
	State       string             `json:"state,omitzero"` // behind the answer; in a stream, in the piece that ends it
}

// CompletionChoice is one of the answers.
type CompletionChoice struct {
	Index    int       `json:"index"`
	Text     string    `json:"text"`
	Logprobs *Logprobs `json:"logprobs"`
	Finish   *string   `json:"finish_reason"`
}

// Logprobs tell how likely tokens were, in the form of /v1/completions. All lists have one element a token.
type Logprobs struct {
	Tokens  []string             `json:"tokens"`
	Token   []*float32           `json:"token_logprobs"` // null for the first of a prompt
	Top     []map[string]float32 `json:"top_logprobs"`   // likewise
	Offsets []int                `json:"text_offset"`    // in characters, from the start of the text that is answered
}

// newLogprobs returns those of no tokens, whose lists are empty and not null.
func newLogprobs() *Logprobs {
	return &Logprobs{Tokens: []string{}, Token: []*float32{}, Top: []map[string]float32{}, Offsets: []int{}}
}

// add adds tokens, whose text begins at a number of characters. It returns the number behind them.
func (l *Logprobs) add(tokens []api.Token, top int, bytesOf func(id int) []byte, at int) int {
	for _, t := range tokens {
		name := tokenName(t.ID, t.Bytes)
		l.Tokens, l.Offsets = append(l.Tokens, name), append(l.Offsets, at)
		at += utf8.RuneCount(t.Bytes)
		if math.IsNaN(float64(t.Logprob)) {
			l.Token, l.Top = append(l.Token, nil), append(l.Top, nil)
			continue
		}
		logprob := finite(t.Logprob)
		l.Token = append(l.Token, &logprob)
		likely := map[string]float32{name: logprob}
		for _, c := range t.Top[:min(top, len(t.Top))] {
			likely[tokenName(c.ID, bytesOf(c.ID))] = finite(c.Logprob)
		}
		l.Top = append(l.Top, likely)
	}
	return at
}

// endName is the name of the end of a text, as tokenizers of other models spell it.
const endName = "<|endoftext|>"

// tokenName is the text of a token, or its bytes where these are no text.
func tokenName(id int, b []byte) string {
	switch {
	case id == text.EndOfText:
		return endName
	case utf8.Valid(b):
		return string(b)
	}
	var name strings.Builder
	name.WriteString("bytes:")
	for _, c := range b {
		const hex = "0123456789abcdef"
		name.WriteString(`\x`)
		name.WriteByte(hex[c>>4])
		name.WriteByte(hex[c&15])
	}
	return name.String()
}

// finishReason returns why an answer ended, in the protocol's words.
func finishReason(f text.Finish) *string {
	reason := "stop"
	if f == text.FinishedLength {
		reason = "length"
	}
	return &reason
}

// Fail answers with an error.
func Fail(w http.ResponseWriter, e *wire.Error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.Status)
	_, _ = w.Write(errorJSON(e)) // if the client has left, nobody is there to be told
}

func errorJSON(e *wire.Error) []byte {
	type inner struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    *string `json:"code"`
	}
	in := inner{Message: e.Message, Type: errorType(e.Status)}
	if e.Param != "" {
		in.Param = &e.Param
	}
	if e.Code != "" {
		in.Code = &e.Code
	}
	return encode(struct {
		Error inner `json:"error"`
	}{in})
}

func errorType(status int) string {
	switch {
	case status == http.StatusUnauthorized:
		return "authentication_error"
	case status == http.StatusTooManyRequests:
		return "rate_limit_error"
	case status == http.StatusNotFound:
		return "not_found_error"
	case status >= http.StatusInternalServerError:
		return "server_error"
	}
	return "invalid_request_error"
}

// encode writes what is known to have a form in JSON.
func encode(v any) []byte {
	data, err := json.Marshal(v, json.FormatNilSliceAsNull(true), json.FormatNilMapAsNull(true))
	if err != nil {
		panic(err) // a type of this package that cannot be written
	}
	return data
}

// reply answers with an object.
func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(encode(v)) // if the client has left, nobody is there to be told
}
