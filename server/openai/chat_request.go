package openai

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// chatCall is a request to /v1/chat/completions under way.
type chatCall struct {
	h        *Handlers
	q        ChatRequest
	talk     chat.Talk
	span     *chat.Span
	prompt   *prompt.Prompt
	head     Chat
	n, top   int
	requests []api.Request
	parsers  []*prompt.Parser
	results  []api.Result
	calls    []int // calls of tools that each choice has begun
	called   bool  // reports whether the answer is held to a call of a tool
}

// prepare checks the request and makes those of the model.
func (q *chatCall) prepare(c *api.Call) (err *wire.Error) {
	if err := q.check(); err != nil {
		return err
	}
	if err := q.render(); err != nil {
		return err
	}
	r := api.Request{User: c.User, Segments: q.prompt.Segments, Cold: q.q.Cache != nil && !*q.q.Cache, Logprobs: q.q.Logprobs}
	preset, err := q.h.options.Settings(q.prompt.Preset)
	if err != nil {
		return err
	}
	if r.Params, err = q.q.Params(preset, q.h.model.Info().Vocab); err != nil {
		return err
	}
	if err := q.counts(&r); err != nil {
		return err
	}
	if err := readable("messages", len(q.prompt.Text()), q.n); err != nil {
		return err
	}
	if err := chat.Stops("stop", q.q.Stop); err != nil {
		return err
	}
	r.Stop = q.prompt.Stop
	form, err := q.form()
	if err != nil {
		return err
	}
	if err := single(q.q.ReturnState, q.n); err != nil {
		return err
	}
	if q.span, err = q.h.options.Span(q.h.model, c, q.q.State, q.q.ReturnState); err != nil {
		return err
	}
	r.State, r.Returned = q.span.Begin, q.span.Returns()
	for i := range q.n {
		r := r
		r.Params, r.Shares = q.q.Seeds(r.Params, i), i > 0
		if !q.called { // a call stays whole
			r.Late, r.Gate = q.q.Stop, q.prompt.Start()
		}
		if form != nil {
			r.Constraint = form.Clone()
		}
		r.Constraint = q.h.options.Open(q.prompt, r.Constraint)
		parser := q.prompt.Parser(prompt.ParserOptions{Eager: q.called, Single: q.q.Parallel != nil && !*q.q.Parallel})
		q.requests, q.parsers = append(q.requests, r), append(q.parsers, parser)
	}
	q.calls, q.results = make([]int, q.n), make([]api.Result, q.n)
	q.head = Chat{ID: api.NewID("chatcmpl-"), Object: "chat.completion", Created: time.Now().Unix(), Model: q.h.model.Info().Named(q.q.Model),
		Fingerprint: q.h.model.Info().Fingerprint, Tier: tier(q.q.Tier)}
	return nil
}

// check finds what the request must not ask for.
func (q *chatCall) check() *wire.Error {
	if err := q.h.model.Info().Want("model", q.q.Model); err != nil {
		return err
	}
	for i, m := range q.q.Modalities {
		if m != "text" {
			return wire.Wrong(fmt.Sprintf("modalities[%d]", i), "text", "another string")
		}
	}
	if err := q.q.StreamOptions.check(); err != nil {
		return err
	}
	if err := checkMetadata(q.q.Metadata); err != nil {
		return err
	}
	return refuse(
		absent{"audio", q.q.Audio, "none, since the model writes text alone"},
		absent{"functions", q.q.Functions, "none: tools takes its place"},
		absent{"function_call", q.q.FunctionCall, "none: tool_choice takes its place"},
		absent{"moderation", q.q.Moderation, "none, since this server has no moderation"},
		absent{"web_search_options", q.q.WebSearch, "none, since this server does not search"},
	)
}

// counts checks the fields that count something.
func (q *chatCall) counts(r *api.Request) (err *wire.Error) {
	if r.Max, err = q.h.most("max_tokens", q.q.Max, q.h.options.Most, 1); err != nil {
		return err
	}
	if r.Max, err = q.h.most("max_completion_tokens", q.q.MaxCompletion, r.Max, 1); err != nil {
		return err
	}
	if q.n, err = wire.Count("n", q.q.N, 1, 1, mostChoices); err != nil {
		return err
	}
	q.top, err = wire.Count("top_logprobs", q.q.TopLogprobs, 0, 0, 20)
	if err == nil && q.top > 0 && !q.q.Logprobs {
		return wire.Wrong("top_logprobs", "none without logprobs", "some")
	}
	r.Top = q.top
	return err
}

// render writes the conversation as the model knows it.
func (q *chatCall) render() (e *wire.Error) {
	if len(q.q.Messages) == 0 || q.q.Messages.Kind() == 'n' {
		return wire.Missing("messages", "a list of messages")
	}
	t := &q.talk
	*t = chat.Talk{Own: q.q.Own, Choice: q.q.ToolChoice.choice(), Field: "reasoning_effort", Begun: q.q.State != ""}
	var err error
	if t.Messages, err = prompt.ParseMessages("messages", q.q.Messages); err != nil {
		return chat.Fault(err)
	}
	if t.Tools, e = tools(q.q.Tools); e != nil {
		return e
	}
	if t.Thinking, e = q.thinking(); e != nil {
		return e
	}
	q.prompt, e = q.h.options.Render(t)
	return e
}

// tools reads the list of tools, which may be missing.
func tools(data jsontext.Value) ([]prompt.Tool, *wire.Error) {
	if len(data) == 0 || data.Kind() == 'n' {
		return nil, nil
	}
	list, err := prompt.ParseTools("tools", data)
	if err != nil {
		return nil, chat.Fault(err)
	}
	return list, nil
}

// thinking returns how long the model shall think by the fields that other servers have as well.
func (q *chatCall) thinking() (think prompt.Think, err *wire.Error) {
	if a := q.q.TemplateArgs; a != nil && a.Thinking != nil {
		think = prompt.ThinkFast
		if *a.Thinking {
			think = prompt.ThinkFree
		}
	}
	if q.q.Effort != "" {
		return chat.Effort("reasoning_effort", q.q.Effort)
	}
	return think, nil
}

// choice returns the choice as package prompt has it.
func (c *ToolChoice) choice() prompt.ToolChoice {
	modes := map[string]prompt.ToolMode{"none": prompt.ToolNone, "required": prompt.ToolRequired, "named": prompt.ToolNamed}
	return prompt.ToolChoice{Mode: modes[c.Mode], Name: c.Name}
}
