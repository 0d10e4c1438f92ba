package anthropic

import (
	"fmt"
	"math"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/rwkv-gpu/rwkv-gpu/constrain"
	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/grammars"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// MessageRequest is the body of POST /v1/messages.
type MessageRequest struct {
	Conversation
	chat.Settings
	Max    *int     `json:"max_tokens"`
	Stop   []string `json:"stop_sequences"`
	Stream bool     `json:"stream"`
	Cache  *bool    `json:"cache"`

	ReturnState bool `json:"return_state"`
}

// Conversation are the fields from which the text for the model is written. It is the body of POST
// /v1/messages/count_tokens.
type Conversation struct {
	Model    string         `json:"model"`
	State    string         `json:"state"` // that the messages follow
	System   Texts          `json:"system"`
	Messages []InputMessage `json:"messages"`
	Tools    []Tool         `json:"tools"`
	Choice   *Choice        `json:"tool_choice"`
	Thinking *Thinking      `json:"thinking"`
	Output   *Output        `json:"output_config"`

	chat.Own
}

// mostTokens bounds max_tokens. What is above the server's own limit means that limit, since clients of this protocol
// have to send a number and do not know the limit.
const mostTokens = math.MaxInt32

// InputMessage is a message of the conversation.
type InputMessage struct {
	Role    string `json:"role"`
	Content Texts  `json:"content"`
}

// Texts is a text or a list of blocks.
type Texts []InputBlock

// InputBlock is a part of a message, of some type. Fields of other types are empty.
type InputBlock struct {
	Type     string         `json:"type"`
	Text     string         `json:"text"`
	Thinking string         `json:"thinking"`
	ID       string         `json:"id"` // of tool_use
	Name     string         `json:"name"`
	Input    jsontext.Value `json:"input"`
	CallID   string         `json:"tool_use_id"` // of tool_result
	Content  Texts          `json:"content"`
}

// UnmarshalJSONFrom reads a string or a list of blocks.
func (t *Texts) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	*t = nil
	switch kind := d.PeekKind(); kind {
	case 'n':
		return d.SkipValue()
	case '"':
		b := InputBlock{Type: "text"}
		err := json.UnmarshalDecode(d, &b.Text)
		*t = Texts{b}
		return err
	case '[':
		return json.UnmarshalDecode(d, (*[]InputBlock)(t))
	default:
		return wire.Wrong("", t.Want(), wire.Kind(kind))
	}
}

// Want says what is taken.
func (*Texts) Want() string { return "a string or a list of blocks" }

// Tool is a function that the model may call.
type Tool struct {
	Type        string         `json:"type"` // custom, or nothing
	Name        string         `json:"name"`
	Description string         `json:"description"`
	Schema      jsontext.Value `json:"input_schema"`
}

// Choice says whether the answer is to call a tool, and which.
type Choice struct {
	Type   string `json:"type"` // auto, any, tool or none
	Name   string `json:"name"`
	Single bool   `json:"disable_parallel_tool_use"`
}

// Thinking says whether the model is to think, and for how many tokens about.
type Thinking struct {
	Type   string `json:"type"` // enabled, adaptive or disabled
	Budget *int   `json:"budget_tokens"`
}

// Output says of which form the answer is, and how much effort it is worth.
type Output struct {
	Effort string `json:"effort"` // low, medium, high, xhigh or max; how long an adaptive thought is
	Format *struct {
		Type   string         `json:"type"` // json_schema
		Schema jsontext.Value `json:"schema"`
	} `json:"format"`
}

// efforts are how long an adaptive thought is.
var efforts = map[string]prompt.Think{"": prompt.ThinkFree, "low": prompt.ThinkShort, "medium": prompt.ThinkFree, "high": prompt.ThinkFree,
	"xhigh": prompt.ThinkLong, "max": prompt.ThinkLong}

// effort returns how long an adaptive thought is.
func (o *Output) effort() (prompt.Think, *wire.Error) {
	if o == nil {
		return prompt.ThinkFree, nil
	}
	think, known := efforts[o.Effort]
	if !known {
		return "", wire.Wrong("output_config.effort", "low, medium, high, xhigh or max", "another string")
	}
	return think, nil
}

// form returns the grammar of the answer's form, nil for any text.
func (o *Output) form(c *grammars.Compiler) (*constrain.Grammar, *wire.Error) {
	if o == nil || o.Format == nil {
		return nil, nil
	}
	switch f := o.Format; {
	case f.Type != "json_schema":
		return nil, wire.Wrong("output_config.format.type", "json_schema", other(f.Type))
	case len(f.Schema) == 0 || f.Schema.Kind() == 'n':
		return nil, wire.Missing("output_config.format.schema", "a JSON schema")
	default:
		return c.Schema("output_config.format.schema", f.Schema)
	}
}

// Budgets of thoughts: below the first a model is asked for a short one, from the second on for a long one. How long
// it thinks is the model's own decision.
const (
	shortBudget = 4096
	longBudget  = 16384
)

// mode returns how long the model shall think, "" for what the server was told. adaptive is what an adaptive thought is.
func (t *Thinking) mode(o *chat.Options, most *int, adaptive prompt.Think) (prompt.Think, *wire.Error) {
	if t == nil {
		return "", nil
	}
	if t.Type != "enabled" {
		if _, err := wire.Count("thinking.budget_tokens", t.Budget, 0, 0, mostTokens); err != nil {
			return "", err
		}
	}
	switch t.Type {
	case "disabled":
		if !o.Dialect.Thinks {
			return prompt.ThinkOff, nil
		}
		return prompt.ThinkFast, nil
	case "adaptive":
		return adaptive, nil
	case "enabled":
	default:
		return "", wire.Wrong("thinking.type", "enabled, adaptive or disabled", other(t.Type))
	}
	if t.Budget == nil {
		return "", wire.Missing("thinking.budget_tokens", "for how many tokens the model may think")
	}
	limit := mostTokens
	if most != nil {
		limit = max(*most-1, 1)
	}
	n, err := wire.Count("thinking.budget_tokens", t.Budget, 0, 1, limit)
	switch {
	case err != nil:
		return "", err
	case n < shortBudget:
		return prompt.ThinkShort, nil
	case n < longBudget:
		return prompt.ThinkFree, nil
	}
	return prompt.ThinkLong, nil
}

// choice returns the choice as package prompt has it.
func (c *Choice) choice() (prompt.ToolChoice, *wire.Error) {
	if c == nil {
		return prompt.ToolChoice{}, nil
	}
	switch c.Type {
	case "auto":
		return prompt.ToolChoice{}, nil
	case "none":
		return prompt.ToolChoice{Mode: prompt.ToolNone}, nil
	case "any":
		return prompt.ToolChoice{Mode: prompt.ToolRequired}, nil
	case "tool":
		if c.Name == "" {
			return prompt.ToolChoice{}, wire.Missing("tool_choice.name", "the name of one of the tools")
		}
		return prompt.ToolChoice{Mode: prompt.ToolNamed, Name: c.Name}, nil
	}
	return prompt.ToolChoice{}, wire.Wrong("tool_choice.type", "auto, any, tool or none", other(c.Type))
}

// tools returns the tools as package prompt has them.
func tools(list []Tool) ([]prompt.Tool, *wire.Error) {
	out := make([]prompt.Tool, len(list))
	for i, t := range list {
		if t.Type != "" && t.Type != "custom" {
			return nil, wire.Wrong(fmt.Sprintf("tools[%d].type", i), "custom", other(t.Type))
		}
		if err := prompt.CheckName(fmt.Sprintf("tools[%d].name", i), t.Name); err != nil {
			return nil, chat.Fault(err)
		}
		out[i] = prompt.Tool{Name: t.Name, Description: t.Description}
		switch t.Schema.Kind() {
		case '{':
			out[i].Parameters = []byte(t.Schema)
		case 0, 'n':
		default:
			return nil, wire.Wrong(fmt.Sprintf("tools[%d].input_schema", i), "an object", wire.Kind(t.Schema.Kind()))
		}
	}
	return out, nil
}

// other says what a string is that is none of those wanted, without a client's text.
func other(s string) string {
	if s == "" {
		return "none"
	}
	return "another string"
}
