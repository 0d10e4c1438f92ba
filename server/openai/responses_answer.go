package openai

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/rwkv-gpu/rwkv-gpu/server/api"
)

// Response is an answer of /v1/responses.
type Response struct {
	ID           string            `json:"id"`
	Object       string            `json:"object"` // response
	Created      int64             `json:"created_at"`
	Completed    *int64            `json:"completed_at"`
	Status       string            `json:"status"` // in_progress, completed, incomplete or failed
	Background   bool              `json:"background"`
	Error        *ResponseError    `json:"error"`
	Incomplete   *ResponseEnding   `json:"incomplete_details"`
	Instructions *string           `json:"instructions"`
	Max          *int              `json:"max_output_tokens"`
	MaxCalls     *int              `json:"max_tool_calls"`
	Model        string            `json:"model"`
	Output       []OutputItem      `json:"output"`
	Parallel     bool              `json:"parallel_tool_calls"`
	Previous     *string           `json:"previous_response_id"`
	Reasoning    ResponseEffort    `json:"reasoning"`
	Tier         string            `json:"service_tier"` // default
	Store        bool              `json:"store"`
	Temperature  float32           `json:"temperature"`
	TopP         float32           `json:"top_p"`
	Presence     float32           `json:"presence_penalty"`
	Frequency    float32           `json:"frequency_penalty"`
	Text         ResponseText      `json:"text"`
	ToolChoice   any               `json:"tool_choice"`
	Tools        jsontext.Value    `json:"tools"`
	TopLogprobs  int               `json:"top_logprobs"`
	Truncation   string            `json:"truncation"` // as it was sent
	Usage        *ResponseUsage    `json:"usage"`
	Metadata     map[string]string `json:"metadata"`
	CacheKey     string            `json:"prompt_cache_key,omitzero"`
	SafetyID     string            `json:"safety_identifier,omitzero"`
	User         string            `json:"user,omitzero"`
	State        string            `json:"state,omitzero"` // behind the answer
}

// ResponseError is why an answer failed.
type ResponseError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// ResponseEnding is why an answer is not whole.
type ResponseEnding struct {
	Reason string `json:"reason"` // max_output_tokens
}

// OutputItem is a part of an answer.
type OutputItem struct {
	ID        string       `json:"id"`
	Type      string       `json:"type"` // reasoning, message, function_call or, of a conversation, function_call_output
	Status    string       `json:"status"`
	Role      string       `json:"role,omitzero"`
	Summary   []OutputPart `json:"summary,omitzero"`
	Content   []OutputPart `json:"content,omitzero"`
	CallID    string       `json:"call_id,omitzero"`
	Name      string       `json:"name,omitzero"`
	Arguments *string      `json:"arguments,omitzero"`
	Output    *string      `json:"output,omitzero"` // of function_call_output
}

// OutputPart is a text of an item.
type OutputPart struct {
	Type        string      `json:"type"` // output_text, reasoning_text or, of a conversation, input_text or refusal
	Text        string      `json:"text"`
	Refusal     string      `json:"refusal,omitzero"`
	Annotations []any       `json:"annotations,omitzero"` // none
	Logprobs    []ChatToken `json:"logprobs,omitzero"`    // of output_text, if they are asked for
}

// ResponseUsage counts the tokens of a response.
type ResponseUsage struct {
	Input   int `json:"input_tokens"`
	Details struct {
		Cached int `json:"cached_tokens"`
	} `json:"input_tokens_details"`
	Output        int `json:"output_tokens"`
	OutputDetails struct {
		Reasoning int `json:"reasoning_tokens"`
	} `json:"output_tokens_details"`
	Total int `json:"total_tokens"`
}

// usageOf counts the tokens of an answer, of which so many are those of a thought.
func usageOf(r api.Result, reasoning int) *ResponseUsage {
	u := &ResponseUsage{Input: r.Prompt, Output: r.Drawn, Total: r.Prompt + r.Drawn}
	u.Details.Cached, u.OutputDetails.Reasoning = r.Cached, reasoning
	return u
}

// echo returns the choice as a response shows it.
func (c *ToolChoice) echo() any {
	switch c.Mode {
	case "":
		return "auto"
	case "named":
		return struct {
			Type string `json:"type"`
			Name string `json:"name"`
		}{"function", c.Name}
	}
	return c.Mode
}
