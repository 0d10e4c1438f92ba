package openai

import (
	"context"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rwkv-gpu/rwkv-gpu/constrain"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/text"
	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/sse"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// responseRoutes are those of responses, which the server remembers.
func (h *Handlers) responseRoutes() []api.Route {
	return []api.Route{
		{Pattern: "POST /v1/responses", Handle: h.responses, Fail: Fail},
		{Pattern: "GET /v1/responses/{id}", Handle: h.oneResponse, Fail: Fail},
		{Pattern: "DELETE /v1/responses/{id}", Handle: h.deleteResponse, Fail: Fail},
		{Pattern: "GET /v1/responses/{id}/input_items", Handle: h.inputItems, Fail: Fail},
		{Pattern: "POST /v1/responses/{id}/cancel", Handle: h.cancelResponse, Fail: Fail},
		{Pattern: "POST /v1/responses/input_tokens", Handle: h.inputTokens, Fail: Fail},
	}
}

// responseCall is a request to /v1/responses under way.
type responseCall struct {
	h        *Handlers
	ctx      context.Context
	user     string
	q        ResponseRequest
	messages []prompt.Message // the conversation, without instructions
	items    []OutputItem     // likewise, as items
	own      int              // of these, the first that the request has brought
	from     string           // the id of the kept state that the conversation follows; "" for none
	talk     chat.Talk
	span     *chat.Span
	prompt   *prompt.Prompt
	parser   *prompt.Parser
	request  api.Request
	answer   Response
	events   *sse.Writer // nil for an answer that is sent whole
	sequence int         // number of the next event
	open     bool        // reports whether the last item of the answer goes on
	contents contents
}

func (h *Handlers) inputTokens(w http.ResponseWriter, c *api.Call) *wire.Error {
	q := &responseCall{h: h, ctx: c.Context(), user: c.User}
	err := c.Decode(w, &q.q.ResponseConversation)
	if err == nil {
		err = q.render()
	}
	if err != nil {
		return err
	}
	ids, err := chat.Encode(h.model, q.prompt)
	if err != nil {
		return ofInput(err)
	}
	reply(w, struct {
		Object string `json:"object"`
		Input  int    `json:"input_tokens"`
	}{"response.input_tokens", len(ids)})
	return nil
}

func (h *Handlers) responses(w http.ResponseWriter, c *api.Call) *wire.Error {
	q := &responseCall{h: h, ctx: c.Context(), user: c.User}
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

// render writes the conversation as the model knows it.
func (q *responseCall) render() (err *wire.Error) {
	if err := q.checkConversation(); err != nil {
		return err
	}
	q.from = q.q.State
	if q.q.Previous != "" {
		k := q.h.response(q.ctx, q.user, q.q.Previous)
		switch {
		case k == nil:
			return noResponse("previous_response_id")
		case q.q.State != "":
			return wire.Wrong("state", "none beside previous_response_id", "one")
		}
		q.messages, q.items, q.from = k.messages, slices.Concat(k.input, k.items), k.begin
		q.own = len(q.items)
	}
	said, items, err := q.q.Input.messages(func(id string) *OutputItem { return q.h.kept.item(q.user, id) })
	if err != nil {
		return err
	}
	q.messages, q.items = slices.Concat(q.messages, said), slices.Concat(q.items, items)
	t := &q.talk
	*t = chat.Talk{Own: q.q.Own, Messages: q.messages, Choice: q.q.ToolChoice.choice(), Field: "reasoning.effort", Begun: q.from != ""}
	if i := q.q.Instructions; i != nil && *i != "" {
		t.Messages = slices.Concat([]prompt.Message{{Role: prompt.System, Content: *i}}, t.Messages)
	}
	if t.Tools, err = tools(q.q.Tools); err != nil {
		return err
	}
	keeps, err := q.q.Reasoning.keeps()
	if err != nil {
		return err
	}
	t.PreserveReasoning = t.PreserveReasoning || keeps
	if e := q.q.Reasoning.Effort; e != nil {
		if t.Thinking, err = chat.Effort("reasoning.effort", *e); err != nil {
			return err
		}
	}
	q.prompt, err = q.h.options.Render(t)
	return ofInput(err)
}

// checkConversation finds what the conversation must not ask for.
func (q *responseCall) checkConversation() *wire.Error {
	if err := q.h.model.Info().Want("model", q.q.Model); err != nil {
		return err
	}
	if len(q.q.Input) == 0 {
		return wire.Missing("input", "a string or a list of at least one item")
	}
	return refuse(
		absent{"conversation", q.q.Conversation, "none: previous_response_id continues a conversation"},
		absent{"prompt", q.q.Prompt, "none, since this server keeps no templates"},
	)
}

// check finds what else the request must not ask for.
func (q *responseCall) check() *wire.Error {
	switch t := q.q.Truncation; {
	case q.q.Background:
		return wire.Wrong("background", "false, since an answer is made while its client waits, and is not kept where it is not finished", "true")
	case q.q.CacheOptions != nil && q.q.CacheOptions.Prewarm:
		return wire.Wrong("prompt_cache_options.prewarm", "false, since each response has an answer", "true")
	case t != nil && *t != "auto" && *t != "disabled":
		return wire.Wrong("truncation", "auto or disabled", other(*t))
	}
	if err := refuse(
		absent{"access_programs", q.q.Access, "none, since this server has no such programs"},
		absent{"background_options", q.q.BackgroundOptions, "none, since answers are made while the client waits"},
		absent{"context_management", q.q.Management, "none, since a state has one size after any number of tokens"},
		absent{"moderation", q.q.Moderation, "none, since this server has no moderation"},
	); err != nil {
		return err
	}
	if err := q.q.StreamOptions.check(); err != nil {
		return err
	}
	if err := checkInclude(q.q.Include); err != nil {
		return err
	}
	if err := checkMetadata(q.q.Metadata); err != nil {
		return err
	}
	if _, err := wire.Count("max_tool_calls", q.q.MaxCalls, 0, 1, math.MaxInt32); err != nil {
		return err
	}
	top, err := wire.Count("top_logprobs", q.q.TopLogprobs, 0, 0, 20)
	if err == nil && top > 0 && !q.likely() {
		return wire.Wrong("top_logprobs", "none without "+includeLogprobs+" in include", "some")
	}
	q.request.Top = top
	return err
}

// likely reports whether the request asks how likely the tokens of the answer's text were.
func (q *responseCall) likely() bool { return slices.Contains(q.q.Include, includeLogprobs) }

// ofInput returns an error of messages as one of input.
func ofInput(err *wire.Error) *wire.Error {
	if err != nil && err.Param == "messages" {
		err.Param, err.Message = "input", "input"+strings.TrimPrefix(err.Message, "messages")
	}
	return err
}

// prepare checks the request and makes that of the model.
func (q *responseCall) prepare(c *api.Call) *wire.Error {
	if err := q.render(); err != nil {
		return err
	}
	if err := q.check(); err != nil {
		return err
	}
	r := api.Request{User: q.user, Segments: q.prompt.Segments, Stop: q.prompt.Stop, Cold: q.q.Cache != nil && !*q.q.Cache,
		Logprobs: q.likely(), Top: q.request.Top}
	preset, err := q.h.options.Settings(q.prompt.Preset)
	if err != nil {
		return err
	}
	if r.Params, err = q.q.Params(preset, q.h.model.Info().Vocab); err != nil {
		return err
	}
	r.Params = q.q.Seeds(r.Params, 0)
	if r.Max, err = q.h.most("max_output_tokens", q.q.Max, q.h.options.Most, 1); err != nil {
		return err
	}
	limit, called, err := q.form()
	if err != nil {
		return err
	}
	r.Constraint = q.h.options.Open(q.prompt, limit)
	if q.span, err = q.h.options.Span(q.h.model, c, q.from, q.q.ReturnState); err != nil {
		if q.q.Previous != "" && err.Param == "state" {
			err.Param, err.Message = "previous_response_id", "previous_response_id: the state that the conversation began from is not there any more"
		}
		return err
	}
	r.State, r.Returned = q.span.Begin, q.span.Returns()
	q.request, q.parser = r, q.prompt.Parser(prompt.ParserOptions{Eager: called, Single: q.q.Parallel != nil && !*q.q.Parallel})
	q.answer = Response{ID: api.NewID("resp_"), Object: "response", Created: time.Now().Unix(), Status: "in_progress",
		Instructions: q.q.Instructions, Max: q.q.Max, MaxCalls: q.q.MaxCalls, Model: q.h.model.Info().Named(q.q.Model), Output: []OutputItem{},
		Parallel: q.q.Parallel == nil || *q.q.Parallel, Reasoning: q.q.Reasoning, Tier: oneTier,
		Store: q.q.Store == nil || *q.q.Store, Temperature: r.Params.Temperature, TopP: r.Params.TopP, Presence: r.Params.Presence,
		Frequency: r.Params.Frequency, ToolChoice: q.q.ToolChoice.echo(), Tools: q.q.Tools, Truncation: "disabled",
		TopLogprobs: r.Top, Metadata: q.q.Metadata, CacheKey: q.q.CacheKey, SafetyID: q.q.SafetyID, User: q.q.User}
	a := &q.answer
	if q.q.Truncation != nil {
		a.Truncation = *q.q.Truncation
	}
	if a.Text = q.q.Text; a.Text.Format.Type == "" {
		a.Text.Format.Type = "text"
	}
	if q.q.Previous != "" {
		a.Previous = &q.q.Previous
	}
	if a.Tools.Kind() != '[' {
		a.Tools = jsontext.Value("[]")
	}
	if a.Metadata == nil {
		a.Metadata = map[string]string{}
	}
	return nil
}

// form returns what the answer is held to, nil for nothing, and reports whether that is a call of a tool.
func (q *responseCall) form() (limit sample.Constraint, called bool, err *wire.Error) {
	var g *constrain.Grammar
	field, asked := "text.format", q.q.Text.Format.Type != "" && q.q.Text.Format.Type != "text"
	switch c := q.q.ToolChoice; {
	case c.Mode == "required" || c.Mode == "named":
		if asked {
			return nil, false, wire.Wrong(field, "none beside tool_choice", "one")
		}
		field, called = "tool_choice", true
		g, err = q.h.options.Forms.Call("tools", "parameters", q.prompt.Tools, c.Name, q.prompt.Frame())
	case asked:
		g, err = q.h.format(q.q.Text.Format.form())
	default:
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	limit, err = q.h.options.Hold(q.prompt, field, g)
	return limit, called, err
}

// part returns the function that takes parts of the answer.
func (q *responseCall) part(s api.Stream) func(api.Part) error {
	return func(p api.Part) error {
		if !p.End {
			return q.add(p.Piece, q.parser.Push(p.Piece.Text))
		}
		if err := q.add(api.Piece{}, q.parser.End()); err != nil {
			return err
		}
		r := s.Result()
		status := "completed"
		if r.Finish == text.FinishedLength {
			status, q.answer.Incomplete = "incomplete", &ResponseEnding{"max_output_tokens"}
		}
		if err := q.close(status); err != nil {
			return err
		}
		return q.end(r, status)
	}
}

// plain returns items without the log-probabilities of their tokens, which items of a conversation have not.
func plain(items []OutputItem) []OutputItem {
	items = slices.Clone(items)
	for i := range items {
		it := &items[i]
		it.Content = slices.Clone(it.Content)
		for k := range it.Content {
			if it.Content[k].Logprobs != nil {
				it.Content[k].Logprobs = []ChatToken{} // and not a slice of the others, whose memory it would hold
			}
		}
	}
	return items
}

// end ends the answer, and keeps it.
func (q *responseCall) end(r api.Result, status string) error {
	said := q.parser.Answer()
	state, failed := q.span.AfterTalk(&q.h.options, q.talk, said, &q.request)
	if failed != nil {
		return failed
	}
	now := time.Now().Unix()
	q.answer.Status, q.answer.Completed, q.answer.Usage, q.answer.State = status, &now, usageOf(r, q.h.thoughtTokens(r, said.Reasoning)), state
	if q.answer.Store {
		q.h.keep(q.ctx, &keptResponse{id: q.answer.ID, user: q.user, body: encode(&q.answer), items: plain(q.answer.Output), input: q.items, own: q.own,
			messages: chat.Answered(q.messages, said), begin: q.from})
	}
	return nil
}
