package openai

import (
	"fmt"
	"math"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// Settings are the fields that say how tokens are drawn. Where one is not sent, that of the preset holds.
type Settings struct {
	Temperature  *float32           `json:"temperature"`
	TopP         *float32           `json:"top_p"`
	TopK         *int               `json:"top_k"`
	MinP         *float32           `json:"min_p"`
	Presence     *float32           `json:"presence_penalty"`
	Frequency    *float32           `json:"frequency_penalty"`
	PenaltyDecay *float32           `json:"penalty_decay"`
	Seed         *int64             `json:"seed"`
	Bias         map[string]float32 `json:"logit_bias"`
}

// Params returns the settings of a preset with those that were sent in their place, for a vocabulary of so many ids.
func (s *Settings) Params(preset sample.Params, vocab int) (sample.Params, *wire.Error) {
	p := preset
	set(&p.Temperature, s.Temperature)
	set(&p.TopP, s.TopP)
	set(&p.TopK, s.TopK)
	set(&p.MinP, s.MinP)
	set(&p.Presence, s.Presence)
	set(&p.Frequency, s.Frequency)
	set(&p.PenaltyDecay, s.PenaltyDecay)
	if s.Seed != nil {
		p.Seed = uint64(*s.Seed)
	}
	if len(s.Bias) > 0 {
		p.Bias = make(map[int]float32, len(s.Bias))
	}
	for text, bias := range s.Bias {
		id, err := strconv.Atoi(text)
		if err != nil || id < 0 || id >= vocab {
			return p, wire.Wrong("logit_bias", fmt.Sprintf("token ids from 0 to %d as names", vocab-1), strconv.Quote(clip(text)))
		}
		if !(bias >= -100 && bias <= 100) {
			return p, wire.Wrong("logit_bias["+text+"]", "a number from -100 to 100", number(bias))
		}
		p.Bias[id] = bias
	}
	return p, s.check()
}

// check holds the settings to the protocol's ranges. TopK, MinP and PenaltyDecay are fields of our own.
func (s *Settings) check() *wire.Error {
	for _, f := range []struct {
		name     string
		value    *float32
		min, max float32
	}{
		{"temperature", s.Temperature, 0, 100},
		{"top_p", s.TopP, 0, 1},
		{"min_p", s.MinP, 0, 1},
		{"presence_penalty", s.Presence, -2, 2},
		{"frequency_penalty", s.Frequency, -2, 2},
		{"penalty_decay", s.PenaltyDecay, 0, 1},
	} {
		if f.value != nil && !(*f.value >= f.min && *f.value <= f.max) {
			return wire.Wrong(f.name, fmt.Sprintf("a number from %g to %g", f.min, f.max), number(*f.value))
		}
	}
	if s.TopK != nil && (*s.TopK < -1 || *s.TopK > math.MaxInt32) { // -1 is "off" for some clients
		return wire.Wrong("top_k", "an integer of at least 0", strconv.Itoa(*s.TopK))
	}
	return nil
}

func set[T any](dst, src *T) {
	if src != nil {
		*dst = *src
	}
}

func number(x float32) string { return "the number " + strconv.FormatFloat(float64(x), 'g', -1, 32) }

// clip shortens a name that a client sent, for an error.
func clip(s string) string {
	if len(s) > 32 {
		return s[:32] + "…"
	}
	return s
}

// Common are the fields that completions and chats share.
type Common struct {
	Model string `json:"model"`
	Settings

	Max           *int              `json:"max_tokens"`
	N             *int              `json:"n"`
	Stop          wire.List[string] `json:"stop"`
	Stream        bool              `json:"stream"`
	StreamOptions *struct {
		Usage bool `json:"include_usage"`
	} `json:"stream_options"`

	// Fields of our own.
	Grammar     string `json:"grammar"` // GBNF
	Regex       string `json:"regex"`
	Cache       *bool  `json:"cache"`
	State       string `json:"state"`
	ReturnState bool   `json:"return_state"`
}

// CompletionRequest is the body of POST /v1/completions.
type CompletionRequest struct {
	Common
	Prompt   wire.Prompts `json:"prompt"`
	Suffix   string       `json:"suffix"`
	Echo     bool         `json:"echo"`
	Logprobs *int         `json:"logprobs"` // how many alternatives
	BestOf   *int         `json:"best_of"`
}

// ChatRequest is the body of POST /v1/chat/completions.
type ChatRequest struct {
	Common
	Messages      jsontext.Value  `json:"messages"`
	MaxCompletion *int            `json:"max_completion_tokens"`
	Logprobs      bool            `json:"logprobs"`
	TopLogprobs   *int            `json:"top_logprobs"`
	Format        *ResponseFormat `json:"response_format"`
	Tools         jsontext.Value  `json:"tools"`
	ToolChoice    ToolChoice      `json:"tool_choice"`
	Parallel      *bool           `json:"parallel_tool_calls"`
	Effort        string          `json:"reasoning_effort"`
	TemplateArgs  *struct {
		Thinking *bool `json:"enable_thinking"`
	} `json:"chat_template_kwargs"`

	// Fields of our own.
	Template          string `json:"template"`
	Think             string `json:"think"`
	Clean             *bool  `json:"clean"`
	PreserveReasoning bool   `json:"preserve_reasoning"`
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
