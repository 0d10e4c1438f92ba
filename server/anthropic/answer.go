package anthropic

import (
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// Message is an answer.
type Message struct {
	ID           string  `json:"id"`
	Type         string  `json:"type"` // message
	Role         string  `json:"role"` // assistant
	Model        string  `json:"model"`
	Content      []Block `json:"content"`
	StopReason   *string `json:"stop_reason"` // end_turn, max_tokens, stop_sequence or tool_use
	StopSequence *string `json:"stop_sequence"`
	Usage        Usage   `json:"usage"`
	State        string  `json:"state,omitzero"` // behind the answer
}

// Block is a part of an answer: a text, a thought or a call of a tool.
type Block struct {
	Type      string         `json:"type"` // text, thinking or tool_use
	Text      *string        `json:"text,omitzero"`
	Thinking  *string        `json:"thinking,omitzero"`
	Signature *string        `json:"signature,omitzero"` // of a thought: nobody asks for it, so it is empty
	ID        string         `json:"id,omitzero"`
	Name      string         `json:"name,omitzero"`
	Input     jsontext.Value `json:"input,omitzero"`
}

// Usage counts the tokens of a request. The prompt is Input and CacheRead together.
type Usage struct {
	Input     int `json:"input_tokens"`
	CacheMade int `json:"cache_creation_input_tokens"` // 0: nobody pays for what is kept
	CacheRead int `json:"cache_read_input_tokens"`     // tokens that were not read, since a state was kept after them
	Output    int `json:"output_tokens"`
}

func usage(r api.Result) Usage {
	return Usage{Input: r.Prompt - r.Cached, CacheRead: r.Cached, Output: r.Drawn}
}

// block returns an empty block for what a delta begins or goes on with.
func block(d *prompt.Delta) Block {
	empty := func() *string { return new(string) }
	switch d.Kind {
	case prompt.ContentDelta:
		return Block{Type: "text", Text: empty()}
	case prompt.ReasoningDelta:
		return Block{Type: "thinking", Thinking: empty(), Signature: empty()}
	}
	return Block{Type: "tool_use", ID: api.NewID("toolu_"), Name: d.Text, Input: jsontext.Value("{}")}
}

// Fail answers with an error.
func Fail(w http.ResponseWriter, e *wire.Error) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Request-Id", w.Header().Get("X-Request-Id"))
	w.WriteHeader(e.Status)
	_, _ = w.Write(errorJSON(w, e)) // if the client has left, nobody is there to be told
}

func errorJSON(w http.ResponseWriter, e *wire.Error) []byte {
	type inner struct {
		Type    string `json:"type"`
		Message string `json:"message"`
	}
	return encode(struct {
		Type    string `json:"type"`
		Error   inner  `json:"error"`
		Request string `json:"request_id"`
	}{"error", inner{errorType(e.Status), e.Message}, w.Header().Get("X-Request-Id")})
}

func errorType(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "authentication_error"
	case http.StatusForbidden:
		return "permission_error"
	case http.StatusNotFound:
		return "not_found_error"
	case http.StatusRequestEntityTooLarge:
		return "request_too_large"
	case http.StatusTooManyRequests:
		return "rate_limit_error"
	case http.StatusServiceUnavailable:
		return "overloaded_error"
	case http.StatusGatewayTimeout:
		return "timeout_error"
	case http.StatusInternalServerError:
		return "api_error"
	}
	return "invalid_request_error"
}

// encode writes what is known to have a form in JSON. What a model writes as arguments may have a name twice.
func encode(v any) []byte {
	data, err := json.Marshal(v, json.FormatNilSliceAsNull(true), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		panic(err) // a type of this package that cannot be written
	}
	return data
}

// reply answers with an object.
func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Request-Id", w.Header().Get("X-Request-Id"))
	_, _ = w.Write(encode(v)) // if the client has left, nobody is there to be told
}
