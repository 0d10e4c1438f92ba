package openai

import (
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// Common are the fields that completions and chats share.
type Common struct {
	Model string `json:"model"`
	chat.Settings

	Max           *int              `json:"max_tokens"`
	N             *int              `json:"n"`
	Stop          wire.List[string] `json:"stop"`
	Stream        bool              `json:"stream"`
	StreamOptions *StreamOptions    `json:"stream_options"`

	// Fields of our own.
	Grammar string `json:"grammar"` // GBNF
	Regex   string `json:"regex"`
	Cache   *bool  `json:"cache"`

	ReturnState bool `json:"return_state"`
}

// most returns how many tokens an answer may have, by a field of a request. What is above the server's own limit means
// that limit, and so does -1, since clients do not know the limit.
func (h *Handlers) most(param string, sent *int, otherwise, least int) (int, *wire.Error) {
	limit := h.options.Most
	switch {
	case sent == nil:
		return min(otherwise, limit), nil
	case *sent == -1:
		return limit, nil
	case *sent < least:
		return 0, wire.Wrong(param, fmt.Sprintf("an integer from %d on, or -1 for the server's limit", least), strconv.Itoa(*sent))
	}
	return min(*sent, limit), nil
}

// CompletionRequest is the body of POST /v1/completions.
type CompletionRequest struct {
	Common
	Prompt   wire.Prompts `json:"prompt"`
	Suffix   string       `json:"suffix"`
	Echo     bool         `json:"echo"`
	Logprobs *int         `json:"logprobs"` // how many alternatives
	BestOf   *int         `json:"best_of"`
	State    string       `json:"state"`
}

// ChatRequest is the body of POST /v1/chat/completions.
type ChatRequest struct {
	Common
	Conversation
	MaxCompletion *int              `json:"max_completion_tokens"`
	Logprobs      bool              `json:"logprobs"`
	TopLogprobs   *int              `json:"top_logprobs"`
	Format        *ResponseFormat   `json:"response_format"`
	Parallel      *bool             `json:"parallel_tool_calls"`
	Tier          *string           `json:"service_tier"`
	Metadata      map[string]string `json:"metadata"`
	Modalities    []string          `json:"modalities"`

	// Fields that ask for what there is none of.
	Audio        jsontext.Value `json:"audio"`
	Functions    jsontext.Value `json:"functions"`
	FunctionCall jsontext.Value `json:"function_call"`
	Moderation   jsontext.Value `json:"moderation"`
	WebSearch    jsontext.Value `json:"web_search_options"`
}

// Conversation are the fields from which the text for the model is written.
type Conversation struct {
	State        string         `json:"state"` // that the messages follow
	Messages     jsontext.Value `json:"messages"`
	Tools        jsontext.Value `json:"tools"`
	ToolChoice   ToolChoice     `json:"tool_choice"`
	Effort       string         `json:"reasoning_effort"`
	TemplateArgs *struct {
		Thinking *bool `json:"enable_thinking"`
	} `json:"chat_template_kwargs"`

	chat.Own
}

// ResponseFormat asks for an answer of a form.
type ResponseFormat struct {
	Type   string `json:"type"` // text, json_object or json_schema
	Schema *struct {
		Name   string         `json:"name"`
		Schema jsontext.Value `json:"schema"`
		Strict *bool          `json:"strict"`
	} `json:"json_schema"`
}

// ToolChoice says whether the answer is to call a tool, and which.
type ToolChoice struct {
	Mode string // none, auto, required or, if Name says which, named; "" if it was not sent
	Name string
}

// UnmarshalJSONFrom reads one of the modes' names or {"type":"function","function":{"name":…}}.
func (c *ToolChoice) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	return c.read(d)
}

// Want says what is taken.
func (*ToolChoice) Want() string {
	return `"none", "auto", "required" or {"type":"function","function":{"name":…}}`
}
