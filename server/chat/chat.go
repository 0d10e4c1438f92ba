// Package chat is what the protocols of conversations share: a request's conversation becomes a prompt, its settings
// those of a sampler. What the JSON of a protocol looks like is the protocol's own business.
package chat

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/constrain"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/grammars"
	"github.com/rwkv-gpu/rwkv-gpu/server/states"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// Options say how a server holds conversations.
type Options struct {
	Preset  *sample.Params     // what holds for settings that are not sent; nil for what fits the dialect
	Dialect *prompt.Dialect    // of conversations that name none
	Think   prompt.Think       // likewise
	Date    int                // of the model, as prompt.Choice has it
	Forms   *grammars.Compiler // of what answers are held to
	Most    int                // most tokens of an answer, and of a chat that does not say how many
	Ping    time.Duration      // between signs of life in a stream while nothing comes; 0 for none
	Write   time.Duration      // that a reader may take for one event; 0 for any time
	States  *states.Store      // that requests may begin from
	Shared  api.Shared         // of servers that work together; nil for none
}

// Own are the fields of requests that no other server has.
type Own struct {
	Template          string `json:"template"`
	Think             string `json:"think"`
	Clean             *bool  `json:"clean"`
	PreserveReasoning bool   `json:"preserve_reasoning"`
}

// Talk is a conversation, and how it is to be written.
type Talk struct {
	Own
	Messages []prompt.Message
	Tools    []prompt.Tool
	Choice   prompt.ToolChoice
	Thinking prompt.Think // what the protocol's own field asks for; "" for nothing
	Field    string       // the name of that field
	Begun    bool         // as prompt.Options has it
	Closed   bool         // likewise
}

// Render writes a conversation as the model knows it. A message of an assistant at its end is the beginning of the
// answer.
func (o *Options) Render(t *Talk) (*prompt.Prompt, *wire.Error) {
	p := prompt.Options{Think: o.Think, Date: o.Date, Tools: t.Tools, ToolChoice: t.Choice, KeepReasoning: t.PreserveReasoning,
		Unclean: t.Clean != nil && !*t.Clean, Begun: t.Begun, Closed: t.Closed,
		Continue: !t.Closed && len(t.Messages) > 0 && t.Messages[len(t.Messages)-1].Role == prompt.Assistant}
	if t.Thinking != "" {
		p.Think = t.Thinking
	}
	var err error
	if t.Think != "" {
		if p.Think, err = prompt.ParseThink("think", t.Think); err != nil {
			return nil, Fault(err)
		}
	}
	dialect := o.Dialect
	if t.Template != "" && t.Template != prompt.Auto {
		if dialect, err = prompt.ByName("template", t.Template); err != nil {
			return nil, Fault(err)
		}
	}
	written, err := dialect.Render(t.Messages, p)
	var f *prompt.FieldError
	if errors.As(err, &f) && f.Field == "think" && t.Think == "" && t.Thinking != "" {
		f.Field = t.Field
	}
	if err != nil {
		return nil, Fault(err)
	}
	return written, nil
}

// Hold returns the constraint that holds the answer to a prompt to a grammar, for which a field asks.
func (o *Options) Hold(p *prompt.Prompt, param string, g *constrain.Grammar) (sample.Constraint, *wire.Error) {
	frame := p.Frame()
	if frame.Begun {
		return nil, wire.Wrong(param, "none where the conversation ends with the beginning of the answer", "one")
	}
	if frame.First {
		return o.Forms.Behind(g, frame.After)
	}
	return o.Forms.Constraint(g, frame.After, true)
}

// Open returns the constraint of an answer to a prompt, beside another one that may be nil: where the prompt opens a
// thought, the model neither breaks its tag nor ends it before there is one.
func (o *Options) Open(p *prompt.Prompt, limit sample.Constraint) sample.Constraint {
	if !p.Frame().Thought {
		return limit
	}
	return o.Forms.Thought(limit)
}

// efforts are modes of thinking by the names that OpenAI's protocol has for them.
var efforts = map[string]prompt.Think{"none": prompt.ThinkFast, "minimal": prompt.ThinkFast, "low": prompt.ThinkShort,
	"medium": prompt.ThinkFree, "high": prompt.ThinkLong, "xhigh": prompt.ThinkLong, "max": prompt.ThinkLong}

// Effort returns the mode of thinking for an effort, of a field of a name.
func Effort(param, effort string) (prompt.Think, *wire.Error) {
	think, known := efforts[effort]
	if !known {
		return "", wire.Wrong(param, "none, minimal, low, medium, high, xhigh or max", "another string")
	}
	return think, nil
}

// Encode returns the ids of a prompt of which nothing is kept: each segment is encoded by itself.
func Encode(m api.Model, p *prompt.Prompt) ([]int, *wire.Error) {
	ids := []int{}
	for _, s := range p.Segments {
		var err error
		if ids, err = m.Tokenizer().AppendEncode(ids, []byte(s.Text)); err != nil {
			return nil, wire.Wrong("messages", "texts that the vocabulary can spell", "others")
		}
	}
	return ids, nil
}

// Fault returns the error of HTTP for one of package prompt.
func Fault(err error) *wire.Error {
	var f *prompt.FieldError
	if errors.As(err, &f) {
		return wire.Wrong(f.Field, f.Want, f.Got)
	}
	return &wire.Error{Status: http.StatusInternalServerError, Message: "the server failed; its log says more", Code: "internal", Cause: err}
}

const (
	mostStops = 64
	mostStop  = 1024 // bytes of a stop string
)

// Stops checks the stop strings of a field.
func Stops(param string, list []string) *wire.Error {
	if len(list) > mostStops {
		return wire.Wrong(param, fmt.Sprintf("at most %d stop strings", mostStops), strconv.Itoa(len(list)))
	}
	for i, s := range list {
		if s == "" || len(s) > mostStop {
			return wire.Wrong(fmt.Sprintf("%s[%d]", param, i), fmt.Sprintf("a string of 1 to %d bytes", mostStop), fmt.Sprintf("%d bytes", len(s)))
		}
	}
	return nil
}
