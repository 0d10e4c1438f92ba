// Package anthropic speaks Anthropic's protocol: messages, whole and as events, and the count of their tokens.
package anthropic

import (
	"net/http"
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/constrain"
	"github.com/rwkv-gpu/rwkv-gpu/engine/text"
	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/sse"
	"github.com/rwkv-gpu/rwkv-gpu/server/states"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// Handlers answer requests by a model.
type Handlers struct {
	model   api.Model
	options chat.Options
}

// New returns handlers for a model. Without a store of states, the handlers have one of their own.
func New(m api.Model, o chat.Options) *Handlers {
	if o.States == nil {
		o.States = states.New(m, states.Options{})
	}
	return &Handlers{m, o}
}

// Routes returns the routes of the protocol.
func (h *Handlers) Routes() []api.Route {
	return []api.Route{
		{Pattern: "POST /v1/messages", Handle: h.messages, Fail: Fail},
		{Pattern: "POST /v1/messages/count_tokens", Handle: h.countTokens, Fail: Fail},
	}
}

// call is a request to /v1/messages under way.
type call struct {
	h       *Handlers
	q       MessageRequest
	talk    chat.Talk
	span    *chat.Span
	prompt  *prompt.Prompt
	form    *constrain.Grammar // of the answer; nil for any text
	parser  *prompt.Parser
	request api.Request
	answer  Message
	events  *sse.Writer // nil for an answer that is sent whole
	calls   int         // calls of tools so far
	open    bool        // reports whether the last block of the answer goes on
}

func (h *Handlers) countTokens(w http.ResponseWriter, c *api.Call) *wire.Error {
	q := &call{h: h}
	err := c.Decode(w, &q.q.Conversation)
	if err == nil {
		err = q.render()
	}
	if err != nil {
		return err
	}
	ids, err := chat.Encode(h.model, q.prompt)
	if err != nil {
		return err
	}
	reply(w, struct {
		Input int `json:"input_tokens"`
	}{len(ids)})
	return nil
}

func (h *Handlers) messages(w http.ResponseWriter, c *api.Call) *wire.Error {
	q := &call{h: h}
	defer func() { q.span.End() }()
	return c.Answer(w, h.model, &q.q, func() ([]api.Request, *wire.Error) {
		err := q.prepare(c)
		return []api.Request{q.request}, err
	}, func(streams []api.Stream) *wire.Error {
		if q.q.Stream {
			return q.stream(w, streams)
		}
		if err := api.Gather(streams, nil, q.part(streams[0]), 0, nil); err != nil {
			return api.Fault(err)
		}
		reply(w, &q.answer)
		return nil
	})
}

// prepare checks the request and makes that of the model.
func (q *call) prepare(c *api.Call) *wire.Error {
	if err := q.render(); err != nil {
		return err
	}
	r := api.Request{User: c.User, Segments: q.prompt.Segments, Cold: q.q.Cache != nil && !*q.q.Cache}
	preset, err := q.h.options.Settings(q.prompt.Preset)
	if err != nil {
		return err
	}
	if r.Params, err = q.q.Params(preset, q.h.model.Info().Vocab); err != nil {
		return err
	}
	r.Params = q.q.Seeds(r.Params, 0)
	if q.q.Max == nil {
		return wire.Missing("max_tokens", "how many tokens the answer may have")
	}
	if r.Max, err = wire.Count("max_tokens", q.q.Max, 0, 1, mostTokens); err != nil {
		return err
	}
	r.Max = min(r.Max, q.h.options.Most)
	called, err := q.limit(&r)
	if err != nil {
		return err
	}
	if q.span, err = q.h.options.Span(q.h.model, c, q.q.State, q.q.ReturnState); err != nil {
		return err
	}
	r.State, r.Returned = q.span.Begin, q.span.Returns()
	// Arguments that are not whole are no JSON, which only a stream may show.
	q.request, q.parser = r, q.prompt.Parser(prompt.ParserOptions{Eager: q.q.Stream && called,
		Single: q.q.Choice != nil && q.q.Choice.Single})
	q.answer = Message{ID: api.NewID("msg_"), Type: "message", Role: "assistant", Model: q.h.model.Info().Named(q.q.Model), Content: []Block{}}
	if q.q.Stream {
		ids, err := chat.Encode(q.h.model, q.prompt)
		if err != nil {
			return err
		}
		q.answer.Usage.Input = len(ids) // how many of these are not read is known at the end
	}
	return nil
}

// limit sets what limits the answer: its form, if it has to be a call of a tool, else the client's stop strings. It
// reports whether it has to be a call.
func (q *call) limit(r *api.Request) (called bool, err *wire.Error) {
	if err := chat.Stops("stop_sequences", q.q.Stop); err != nil {
		return false, err
	}
	r.Stop = q.prompt.Stop
	if q.form != nil {
		if r.Constraint, err = q.h.options.Hold(q.prompt, "output_config.format", q.form); err != nil {
			return false, err
		}
	}
	if c := q.q.Choice; c != nil && (c.Type == "any" || c.Type == "tool") {
		if q.form != nil {
			return false, wire.Wrong("output_config.format", "none beside tool_choice", "one")
		}
		called = true
		name := ""
		if c.Type == "tool" {
			name = c.Name
		}
		g, err := q.h.options.Forms.Call("tools", "input_schema", q.prompt.Tools, name, q.prompt.Frame())
		if err != nil {
			return false, err
		}
		if r.Constraint, err = q.h.options.Hold(q.prompt, "tool_choice", g); err != nil {
			return false, err
		}
	} else {
		r.Late, r.Gate = q.q.Stop, q.prompt.Start()
	}
	r.Constraint = q.h.options.Open(q.prompt, r.Constraint)
	return called, nil
}

// part returns the function that takes parts of the answer.
func (q *call) part(s api.Stream) func(api.Part) error {
	return func(p api.Part) error {
		if !p.End {
			return q.add(q.parser.Push(p.Piece.Text))
		}
		if err := q.add(q.parser.End()); err != nil {
			return err
		}
		q.end(s.Result())
		if err := q.close(); err != nil {
			return err
		}
		state, err := q.span.AfterTalk(&q.h.options, q.talk, q.parser.Answer(), &q.request)
		if err != nil {
			return err
		}
		q.answer.State = state
		return nil
	}
}

// end notes how the answer ended.
func (q *call) end(r api.Result) {
	a := &q.answer
	a.Usage = usage(r)
	reason := "end_turn"
	switch {
	case r.Finish == text.FinishedLength:
		reason = "max_tokens"
	case q.calls > 0:
		reason = "tool_use"
	case r.Finish == text.FinishedStop && slices.Contains(q.q.Stop, r.Stop):
		reason, a.StopSequence = "stop_sequence", &r.Stop
	}
	a.StopReason = &reason
}
