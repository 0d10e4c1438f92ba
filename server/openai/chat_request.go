package openai

import (
	"errors"
	"net/http"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// chat is a request to /v1/chat/completions under way.
type chat struct {
	h        *Handlers
	q        ChatRequest
	prompt   *prompt.Prompt
	head     Chat
	n, top   int
	requests []api.Request
	parsers  []*prompt.Parser
	results  []api.Result
	calls    []int // calls of tools that each choice has begun
}

// efforts are modes of thinking by the names that OpenAI's protocol has for them.
var efforts = map[string]prompt.Think{"none": prompt.ThinkFast, "minimal": prompt.ThinkFast, "low": prompt.ThinkShort,
	"medium": prompt.ThinkFree, "high": prompt.ThinkLong, "xhigh": prompt.ThinkLong}

// prepare checks the request and makes those of the model.
func (q *chat) prepare(user string) (err *wire.Error) {
	if err := q.h.called(q.q.Model, "model"); err != nil {
		return err
	}
	if err := q.render(); err != nil {
		return err
	}
	r := api.Request{User: user, Segments: q.prompt.Segments, Cold: q.q.Cache != nil && !*q.q.Cache, Logprobs: q.q.Logprobs}
	preset, err := q.h.preset(q.prompt.Preset)
	if err != nil {
		return err
	}
	if r.Params, err = q.q.Params(preset, q.h.model.Info().Vocab); err != nil {
		return err
	}
	if err := q.counts(&r); err != nil {
		return err
	}
	if err := stops(q.q.Stop); err != nil {
		return err
	}
	r.Stop = append(append(r.Stop, q.prompt.Stop...), q.q.Stop...)
	for i := range q.n {
		r := r
		r.Params = q.q.seeds(r.Params, i)
		q.requests, q.parsers = append(q.requests, r), append(q.parsers, q.prompt.Parser(prompt.ParserOptions{}))
	}
	q.calls, q.results = make([]int, q.n), make([]api.Result, q.n)
	q.head = Chat{ID: newID("chatcmpl-"), Object: "chat.completion", Created: time.Now().Unix(), Model: q.h.model.Info().Name,
		Fingerprint: q.h.model.Info().Fingerprint}
	return nil
}

// counts checks the fields that count something.
func (q *chat) counts(r *api.Request) (err *wire.Error) {
	most := q.h.options.Most
	if r.Max, err = count("max_tokens", q.q.Max, most, 1, most); err != nil {
		return err
	}
	if r.Max, err = count("max_completion_tokens", q.q.MaxCompletion, r.Max, 1, most); err != nil {
		return err
	}
	if q.n, err = count("n", q.q.N, 1, 1, mostChoices); err != nil {
		return err
	}
	q.top, err = count("top_logprobs", q.q.TopLogprobs, 0, 0, 20)
	if err == nil && q.top > 0 && !q.q.Logprobs {
		return wire.Wrong("top_logprobs", "none without logprobs", "some")
	}
	r.Top = q.top
	return err
}

// render writes the conversation as the model knows it.
func (q *chat) render() *wire.Error {
	if len(q.q.Messages) == 0 || q.q.Messages.Kind() == 'n' {
		return wire.Missing("messages", "a list of messages")
	}
	messages, err := prompt.ParseMessages("messages", q.q.Messages)
	if err != nil {
		return field(err)
	}
	o := prompt.Options{Date: q.h.options.Date, KeepReasoning: q.q.PreserveReasoning, Unclean: q.q.Clean != nil && !*q.q.Clean,
		Continue: messages[len(messages)-1].Role == prompt.Assistant}
	if len(q.q.Tools) > 0 && q.q.Tools.Kind() != 'n' {
		if o.Tools, err = prompt.ParseTools("tools", q.q.Tools); err != nil {
			return field(err)
		}
	}
	o.ToolChoice = q.q.ToolChoice.choice()
	if e := q.think(&o); e != nil {
		return e
	}
	dialect := q.h.options.Dialect
	if q.q.Template != "" && q.q.Template != prompt.Auto {
		if dialect, err = prompt.ByName("template", q.q.Template); err != nil {
			return field(err)
		}
	}
	if q.prompt, err = dialect.Render(messages, o); err != nil {
		return field(err)
	}
	return nil
}

// think chooses how long the model shall think: by our own field, else by those of others, else as the server was told.
func (q *chat) think(o *prompt.Options) *wire.Error {
	o.Think = q.h.options.Think
	if a := q.q.TemplateArgs; a != nil && a.Thinking != nil {
		o.Think = prompt.ThinkFast
		if *a.Thinking {
			o.Think = prompt.ThinkFree
		}
	}
	if q.q.Effort != "" {
		think, known := efforts[q.q.Effort]
		if !known {
			return wire.Wrong("reasoning_effort", "none, minimal, low, medium, high or xhigh", "another string")
		}
		o.Think = think
	}
	if q.q.Think != "" {
		think, err := prompt.ParseThink("think", q.q.Think)
		if err != nil {
			return field(err)
		}
		o.Think = think
	}
	return nil
}

// preset returns the settings for what is not sent: those that the server was told, else those of a name.
func (h *Handlers) preset(name string) (sample.Params, *wire.Error) {
	if h.options.Preset != nil {
		return *h.options.Preset, nil
	}
	preset, err := prompt.PresetByName("preset", name)
	if err != nil {
		return sample.Params{}, field(err)
	}
	return PresetParams(preset), nil
}

// PresetParams returns a preset as a sampler takes it.
func PresetParams(preset prompt.Preset) sample.Params {
	p := sample.Default()
	p.Temperature, p.TopP, p.TopK = preset.Temperature, preset.TopP, preset.TopK
	p.Presence, p.Frequency, p.PenaltyDecay = preset.Presence, preset.Frequency, preset.PenaltyDecay
	return p
}

// field returns the error of HTTP for one of package prompt.
func field(err error) *wire.Error {
	var f *prompt.FieldError
	if errors.As(err, &f) {
		return wire.Wrong(f.Field, f.Want, f.Got)
	}
	return &wire.Error{Status: http.StatusInternalServerError, Message: "the server failed; its log says more", Code: "internal", Cause: err}
}

// choice returns the choice as package prompt has it.
func (c *ToolChoice) choice() prompt.ToolChoice {
	modes := map[string]prompt.ToolMode{"none": prompt.ToolNone, "required": prompt.ToolRequired, "named": prompt.ToolNamed}
	return prompt.ToolChoice{Mode: modes[c.Mode], Name: c.Name}
}
