package openai

import (
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/rwkv-gpu/rwkv-gpu/prompt"
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
	TopLogprobs *int              `json:"top_logprobs"` // there are none
	Stream      bool              `json:"stream"`
	Store       *bool             `json:"store"`
	Metadata    map[string]string `json:"metadata"`
	Background  bool              `json:"background"` // there is none
	Cache       *bool             `json:"cache"`
}

// ResponseConversation are the fields from which the text for the model is written. It is the body of POST
// /v1/responses/input_tokens.
type ResponseConversation struct {
	Model        string         `json:"model"`
	Input        Items          `json:"input"`
	Instructions *string        `json:"instructions"`
	Previous     string         `json:"previous_response_id"`
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
	Summary *string `json:"summary"` // thoughts are told of as they are
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
	texts := make([]string, len(l))
next:
	for i, p := range l {
		texts[i] = p.Text + p.Refusal
		for _, t := range append(types, "text") {
			if p.Type == t {
				continue next
			}
		}
		return "", wire.Wrong(fmt.Sprintf("%s[%d].type", at, i), strings.Join(types, " or "), other(p.Type))
	}
	return strings.Join(texts, "\n"), nil
}

// other says what a string is that is none of those wanted, without a client's text.
func other(s string) string {
	if s == "" {
		return "none"
	}
	return "another string"
}

// messages returns items as package prompt has them. What an assistant thought, said and called in a row is one
// message. find returns the item of an earlier response, or nil.
func (l Items) messages(find func(id string) *OutputItem) (list []prompt.Message, err *wire.Error) {
	for i := range l {
		it, at := &l[i], fmt.Sprintf("input[%d]", i)
		if it.Type == "item_reference" || it.Type == "" && it.Role == "" && it.ID != "" { // whose type may be missing
			kept := find(it.ID)
			if kept == nil {
				return nil, &wire.Error{Status: http.StatusNotFound, Param: at + ".id", Code: "item_not_found",
					Message: at + ".id: there is no item of this id in the responses that are kept"}
			}
			it = kept.input()
		}
		switch it.Type {
		case "", "message":
			list, err = it.message(list, at)
		case "reasoning":
			var thought string
			thought, err = it.Content.join(at+".content", "reasoning_text")
			if n := len(list); n == 0 || list[n-1].Role != prompt.Assistant || list[n-1].Content != "" || len(list[n-1].Calls) > 0 {
				list = append(list, prompt.Message{Role: prompt.Assistant})
			}
			list[len(list)-1].Reasoning += thought
		case "function_call":
			if e := prompt.CheckName(at+".name", it.Name); e != nil {
				return nil, chat.Fault(e)
			}
			if n := len(list); n == 0 || list[n-1].Role != prompt.Assistant {
				list = append(list, prompt.Message{Role: prompt.Assistant})
			}
			a := &list[len(list)-1]
			a.Calls = append(a.Calls, prompt.Call{ID: it.CallID, Name: it.Name, Arguments: it.Arguments})
		case "function_call_output":
			out := prompt.Message{Role: prompt.Output, CallID: it.CallID}
			out.Content, err = it.Output.join(at+".output", "input_text")
			list = append(list, out)
		default:
			err = wire.Wrong(at+".type", "message, reasoning, function_call, function_call_output or item_reference", "another string")
		}
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}

// input returns an item of an answer as one of a conversation.
func (o *OutputItem) input() *Item {
	it := &Item{Type: o.Type, Role: o.Role, Content: Parts{}, CallID: o.CallID, Name: o.Name}
	for _, part := range o.Content {
		it.Content = append(it.Content, Part{Type: part.Type, Text: part.Text})
	}
	if o.Arguments != nil {
		it.Arguments = *o.Arguments
	}
	return it
}

// message appends a message.
func (it *Item) message(list []prompt.Message, at string) ([]prompt.Message, *wire.Error) {
	if it.Content == nil {
		return nil, wire.Missing(at+".content", it.Content.Want())
	}
	m, types := prompt.Message{}, []string{"input_text"}
	switch it.Role {
	case "user":
		m.Role = prompt.User
	case "system", "developer":
		m.Role = prompt.System
	case "assistant":
		m.Role, types = prompt.Assistant, []string{"output_text", "refusal"}
	default:
		return nil, wire.Wrong(at+".role", "user, assistant, system or developer", other(it.Role))
	}
	text, err := it.Content.join(at+".content", types...)
	if err != nil {
		return nil, err
	}
	if n := len(list); m.Role == prompt.Assistant && n > 0 && list[n-1].Role == prompt.Assistant && list[n-1].Content == "" && len(list[n-1].Calls) == 0 {
		list[n-1].Content = text // which it thought before
		return list, nil
	}
	m.Content = text
	return append(list, m), nil
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
