package openai

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// ResponseRequest is the body of POST /v1/responses.
type ResponseRequest struct {
	ResponseConversation
	chat.Settings
	Max         *int              `json:"max_output_tokens"`
	Parallel    *bool             `json:"parallel_tool_calls"`
	Text        ResponseText      `json:"text"`
	TopLogprobs *int              `json:"top_logprobs"`
	Stream      bool              `json:"stream"`
	Store       *bool             `json:"store"`
	Metadata    map[string]string `json:"metadata"`
	Background  bool              `json:"background"` // there is none
	Include     []string          `json:"include"`
	Truncation  *string           `json:"truncation"`     // nothing is ever cut off
	MaxCalls    *int              `json:"max_tool_calls"` // of tools of the server, which has none
	Cache       *bool             `json:"cache"`
	ReturnState bool              `json:"return_state"`

	StreamOptions *StreamOptions `json:"stream_options"`
	CacheOptions  *struct {
		Prewarm bool `json:"prewarm"`
	} `json:"prompt_cache_options"`

	// Fields that the response shows again.
	CacheKey string `json:"prompt_cache_key"`
	SafetyID string `json:"safety_identifier"`
	User     string `json:"user"`

	// Fields that ask for what there is none of.
	Access            jsontext.Value `json:"access_programs"`
	BackgroundOptions jsontext.Value `json:"background_options"`
	Management        jsontext.Value `json:"context_management"`
	Moderation        jsontext.Value `json:"moderation"`
}

// ResponseConversation are the fields from which the text for the model is written. It is the body of POST
// /v1/responses/input_tokens.
type ResponseConversation struct {
	Model        string         `json:"model"`
	Input        Items          `json:"input"`
	Instructions *string        `json:"instructions"`
	Previous     string         `json:"previous_response_id"`
	State        string         `json:"state"` // that the conversation follows
	Tools        jsontext.Value `json:"tools"`
	ToolChoice   ToolChoice     `json:"tool_choice"`
	Reasoning    ResponseEffort `json:"reasoning"`

	// Fields that ask for what there is none of.
	Conversation jsontext.Value `json:"conversation"`
	Prompt       jsontext.Value `json:"prompt"`

	chat.Own
}

// ResponseText says of which form the answer's text is.
type ResponseText struct {
	Format ResponseTextFormat `json:"format"`
}

// ResponseTextFormat is a form of a text.
type ResponseTextFormat struct {
	Type   string         `json:"type"` // text, json_object or json_schema
	Name   string         `json:"name,omitzero"`
	Schema jsontext.Value `json:"schema,omitzero"`
	Strict *bool          `json:"strict,omitzero"`
}

// form returns the form that the format is.
func (f *ResponseTextFormat) form() format {
	form := format{kind: f.Type, kindField: "text.format.type", schemaField: "text.format.schema"}
	if f.Schema.Kind() != 'n' {
		form.schema = string(f.Schema)
	}
	return form
}

// ResponseEffort says how long the model is to think.
type ResponseEffort struct {
	Effort  *string `json:"effort"`
	Summary *string `json:"summary"`          // thoughts are told of as they are
	Context *string `json:"context,omitzero"` // all_turns, if thoughts of earlier answers stay; else auto or current_turn
	Mode    *string `json:"mode,omitzero"`    // standard
}

// keeps reports whether thoughts of earlier answers stay in the conversation.
func (e *ResponseEffort) keeps() (bool, *wire.Error) {
	if e.Mode != nil && *e.Mode != "standard" {
		return false, wire.Wrong("reasoning.mode", "standard", other(*e.Mode))
	}
	if e.Context == nil {
		return false, nil
	}
	switch *e.Context {
	case "auto", "current_turn":
		return false, nil
	case "all_turns":
		return true, nil
	}
	return false, wire.Wrong("reasoning.context", "auto, current_turn or all_turns", other(*e.Context))
}

// Items are parts of a conversation.
type Items []Item

// Item is a part of a conversation, of some type. Fields of other types are empty.
type Item struct {
	Type      string `json:"type"` // message, reasoning, function_call, function_call_output or item_reference; "" is message
	ID        string `json:"id"`   // of item_reference: an item of an earlier response
	Role      string `json:"role"`
	Content   Parts  `json:"content"`
	CallID    string `json:"call_id"`
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
	Output    Parts  `json:"output"`
}

// Parts is a text or a list of its parts.
type Parts []Part

// Part is a part of a text, of some type.
type Part struct {
	Type    string `json:"type"`
	Text    string `json:"text"`
	Refusal string `json:"refusal"`
}

// UnmarshalJSONFrom reads a string or a list of items.
func (l *Items) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	var text string
	list, isText, err := textOr[Item](d, &text, l.Want())
	if isText {
		list = []Item{{Role: "user", Content: Parts{{Type: "input_text", Text: text}}}}
	}
	*l = list
	return err
}

// Want says what is taken.
func (*Items) Want() string { return "a string or a list of items" }

// UnmarshalJSONFrom reads a string or a list of parts.
func (l *Parts) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	var text string
	list, isText, err := textOr[Part](d, &text, l.Want())
	if isText {
		list = []Part{{Type: "text", Text: text}}
	}
	*l = list
	return err
}

// Want says what is taken.
func (*Parts) Want() string { return "a string or a list of parts" }

// textOr reads a string or a list.
func textOr[T any](d *jsontext.Decoder, text *string, want string) (list []T, isText bool, err error) {
	switch kind := d.PeekKind(); kind {
	case 'n':
		return nil, false, d.SkipValue()
	case '"':
		return nil, true, json.UnmarshalDecode(d, text)
	case '[':
		err = json.UnmarshalDecode(d, &list)
		return list, false, err
	default:
		return nil, false, wire.Wrong("", want, wire.Kind(kind))
	}
}

// join returns the texts of parts that are of some types.
func (l Parts) join(at string, types ...string) (string, *wire.Error) {
next:
	for i, p := range l {
		for _, t := range append(types, "text") {
			if p.Type == t {
				continue next
			}
		}
		return "", wire.Wrong(fmt.Sprintf("%s[%d].type", at, i), strings.Join(types, " or "), other(p.Type))
	}
	return l.text(), nil
}

// text returns the texts of all parts, a line for each.
func (l Parts) text() string {
	texts := make([]string, len(l))
	for i, p := range l {
		texts[i] = p.Text + p.Refusal
	}
	return strings.Join(texts, "\n")
}

// other says what a string is that is none of those wanted, without a client's text.
func other(s string) string {
	if s == "" {
		return "none"
	}
	return "another string"
}

// checkMetadata checks what a client wants to find again with its response. The bounds are those of the protocol.
func checkMetadata(m map[string]string) *wire.Error {
	const most, mostName, mostValue = 16, 64, 512
	if len(m) > most {
		return wire.Wrong("metadata", fmt.Sprintf("at most %d entries", most), fmt.Sprint(len(m)))
	}
	for name, value := range m {
		if n := utf8.RuneCountInString(name); n > mostName {
			return wire.Wrong("metadata", fmt.Sprintf("names of at most %d characters", mostName), fmt.Sprintf("one of %d", n))
		}
		if n := utf8.RuneCountInString(value); n > mostValue {
			return wire.Wrong("metadata", fmt.Sprintf("values of at most %d characters", mostValue), fmt.Sprintf("one of %d", n))
		}
	}
	return nil
}
