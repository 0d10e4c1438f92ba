package openai

import (
	"fmt"
	"net/http"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/sse"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// completion is a request to /v1/completions under way.
type completion struct {
	h        *Handlers
	q        CompletionRequest
	head     Completion
	n, bests int // choices a prompt that are answered, and made
	top      int // alternatives a token
	span     *chat.Span
	requests []api.Request
	texts    []string // of the prompts, where they are echoed
	results  []api.Result
	offsets  []int // characters before the next token of each choice, from the start of its prompt
}

func (h *Handlers) completions(w http.ResponseWriter, c *api.Call) *wire.Error {
	q := &completion{h: h}
	defer func() { q.span.End() }()
	return c.Answer(w, h.model, &q.q, func() ([]api.Request, *wire.Error) {
		err := q.prepare(c)
		return q.requests, err
	}, func(streams []api.Stream) *wire.Error {
		q.results, q.offsets = make([]api.Result, len(streams)), make([]int, len(streams))
		for i := range q.offsets {
			if !q.q.Echo { // so that no token of the prompt is told of
				q.offsets[i] = utf8.RuneCountInString(q.texts[i/q.bests])
			}
		}
		if q.q.Stream {
			return q.stream(w, streams)
		}
		return q.whole(w, streams)
	})
}

// prepare checks the request and makes those of the model.
func (q *completion) prepare(c *api.Call) (err *wire.Error) {
	if err := q.h.model.Info().Want("model", q.q.Model); err != nil {
		return err
	}
	if err := q.q.StreamOptions.check(); err != nil {
		return err
	}
	r := api.Request{User: c.User, Stop: q.q.Stop, Cold: q.q.Cache != nil && !*q.q.Cache, Prompted: q.q.Echo && q.q.Logprobs != nil}
	preset := sample.Default()
	if q.h.options.Preset != nil {
		preset = *q.h.options.Preset
	}
	if r.Params, err = q.q.Params(preset, q.h.model.Info().Vocab); err != nil {
		return err
	}
	for _, field := range []struct {
		name                string
		sent                *int
		otherwise, min, max int
		to                  *int
	}{
		{"n", q.q.N, 1, 1, mostChoices, &q.n},
		{"logprobs", q.q.Logprobs, 0, 0, 20, &q.top},
	} {
		if *field.to, err = wire.Count(field.name, field.sent, field.otherwise, field.min, field.max); err != nil {
			return err
		}
	}
	if r.Max, err = q.h.most("max_tokens", q.q.Max, 16, 0); err != nil {
		return err
	}
	if q.bests, err = wire.Count("best_of", q.q.BestOf, q.n, q.n, mostChoices); err != nil {
		return err
	}
	if q.bests > q.n && q.q.Stream {
		return wire.Wrong("best_of", "no more than n in a stream, whose answers cannot be chosen afterwards", fmt.Sprint(q.bests))
	}
	if err := chat.Stops("stop", q.q.Stop); err != nil {
		return err
	}
	form, err := q.h.pattern(&q.q.Common)
	if err != nil {
		return err
	}
	if form != nil {
		if r.Constraint, err = q.h.options.Forms.Constraint(form, "", false); err != nil {
			return err
		}
	}
	if q.q.Suffix != "" && r.Prompted {
		return wire.Wrong("suffix", "none beside echo and logprobs together", "one")
	}
	r.Logprobs = q.q.Logprobs != nil || q.bests > q.n
	if r.Top = q.top; r.Logprobs {
		r.Top = max(r.Top, 1) // by which a client knows whether a token is the likeliest
	}
	if len(q.q.Prompt) == 0 {
		q.q.Prompt = wire.Prompts{{}}
	}
	if most := len(q.q.Prompt) * q.bests; most > mostChoices {
		return wire.Wrong("prompt", fmt.Sprintf("at most %d answers, prompts times best_of", mostChoices), fmt.Sprint(most))
	}
	bytes := 0
	for _, p := range q.q.Prompt {
		bytes += len(p.Text) + idBytes*len(p.IDs) + len(q.q.Suffix)
	}
	if err := readable("prompt", bytes, q.bests); err != nil {
		return err
	}
	if err := single(q.q.ReturnState, len(q.q.Prompt)*q.bests); err != nil {
		return err
	}
	if q.span, err = q.h.options.Span(q.h.model, c, q.q.State, q.q.ReturnState); err != nil {
		return err
	}
	r.State, r.Whole, r.Returned = q.span.Begin, q.q.ReturnState, q.span.Returns()
	q.head = Completion{ID: api.NewID("cmpl-"), Object: "text_completion", Created: time.Now().Unix(), Model: q.h.model.Info().Named(q.q.Model),
		Fingerprint: q.h.model.Info().Fingerprint}
	for i := range q.q.Prompt {
		if err := q.prompt(r, i); err != nil {
			return err
		}
	}
	return nil
}

// prompt makes the requests of one of the prompts.
func (q *completion) prompt(r api.Request, i int) *wire.Error {
	p, tok := &q.q.Prompt[i], q.h.model.Tokenizer()
	name := "prompt"
	if len(q.q.Prompt) > 1 {
		name = fmt.Sprintf("prompt[%d]", i)
	}
	if err := q.h.checkIDs(name, p.IDs); err != nil {
		return err
	}
	echo := p.Text
	switch {
	case q.q.Suffix != "":
		if len(p.IDs) > 0 {
			return wire.Wrong("suffix", "none beside a prompt of token ids", "one")
		}
		gap, err := q.h.options.Dialect.Fill(p.Text, q.q.Suffix)
		if err != nil {
			return chat.Fault(err)
		}
		r.Segments, r.Stop = gap.Segments, slices.Concat(gap.Stop, r.Stop)
	case len(p.IDs) > 0:
		r.IDs, echo = p.IDs, tokensText(tok, p.IDs)
	case p.Text == "" && r.State == nil:
		r.IDs = []int{0} // as at the start of a text
	case p.Text == "" && r.State.Pending == api.NoToken:
		return wire.Wrong(name, "a text of at least one token, since the state has read all of its tokens", "none")
	case p.Text == "":
		r.IDs = []int{}
	default:
		r.Segments = []prompt.Segment{{Text: p.Text, End: prompt.Turn}}
	}
	for k := range q.bests {
		r := r
		r.Params, r.Shares = q.q.Seeds(r.Params, i*q.bests+k), k > 0
		if r.Constraint != nil {
			r.Constraint = r.Constraint.Clone()
		}
		q.requests = append(q.requests, r)
	}
	q.texts = append(q.texts, echo)
	return nil
}

// stream answers with events.
func (q *completion) stream(w http.ResponseWriter, streams []api.Stream) *wire.Error {
	events := sse.NewWriter(w, q.h.options.Write)
	q.span.Idle(q.h.options.Ping, events.Ping)
	begin := func() error {
		err := events.Begin()
		for i := 0; q.q.Echo && err == nil && i < len(streams); i++ {
			err = events.Event("", q.chunk(i, q.texts[i/q.bests], nil, nil))
		}
		return err
	}
	each := func(p api.Part) error {
		if p.End {
			q.results[p.Index] = streams[p.Index].Result()
			if err := q.keep(); err != nil {
				return err
			}
			return events.Event("", q.chunk(p.Index, "", nil, finishReason(q.results[p.Index].Finish)))
		}
		return events.Event("", q.chunk(p.Index, p.Piece.Text, p.Piece.Tokens, nil))
	}
	err := api.Gather(streams, begin, each, q.h.options.Ping, events.Ping)
	if err == nil && q.q.StreamOptions != nil && q.q.StreamOptions.Usage {
		last := q.head
		last.Choices, last.Usage = []CompletionChoice{}, q.usage()
		err = events.Event("", encode(last))
	}
	return endStream(events, err)
}

// endStream ends a stream of events, with an error if there is one, of which the client is told by an event.
func endStream(events *sse.Writer, err error) *wire.Error {
	if err == nil {
		err = events.Event("", []byte("[DONE]"))
	}
	if err == nil {
		return nil
	}
	e := *api.Fault(err)
	e.Told = true
	_ = events.Event("", errorJSON(&e)) // the last thing that may be said
	return &e
}

func (q *completion) chunk(i int, text string, tokens []api.Token, finish *string) []byte {
	part := q.head
	choice := CompletionChoice{Index: i, Text: text, Finish: finish}
	if q.q.Logprobs != nil && tokens != nil {
		choice.Logprobs = newLogprobs()
		q.offsets[i] = choice.Logprobs.add(tokens, max(q.top, 1), q.h.model.Tokenizer().Bytes, q.offsets[i])
	}
	part.Choices = []CompletionChoice{choice}
	return encode(part)
}

// whole answers with all at once.
func (q *completion) whole(w http.ResponseWriter, streams []api.Stream) *wire.Error {
	texts, tokens := make([]string, len(streams)), make([][]api.Token, len(streams))
	err := api.Gather(streams, nil, func(p api.Part) error {
		texts[p.Index] += p.Piece.Text
		tokens[p.Index] = append(tokens[p.Index], p.Piece.Tokens...)
		return nil
	}, 0, nil)
	if err != nil {
		return api.Fault(err)
	}
	for i, s := range streams {
		q.results[i] = s.Result()
	}
	if err := q.keep(); err != nil {
		return err
	}
	answer := q.head
	answer.Choices, answer.Usage = []CompletionChoice{}, q.usage()
	for p, echo := range q.texts {
		first := p * q.bests
		for _, k := range best(tokens[first:first+q.bests], q.n) {
			choice := CompletionChoice{Index: len(answer.Choices), Text: texts[first+k], Finish: finishReason(q.results[first+k].Finish)}
			if q.q.Echo {
				choice.Text = echo + choice.Text
			}
			if q.q.Logprobs != nil {
				choice.Logprobs = newLogprobs()
				choice.Logprobs.add(tokens[first+k], max(q.top, 1), q.h.model.Tokenizer().Bytes, q.offsets[first+k])
			}
			answer.Choices = append(answer.Choices, choice)
		}
	}
	reply(w, answer)
	return nil
}

// keep keeps the state behind the answer, if that is asked for.
func (q *completion) keep() (err *wire.Error) {
	q.head.State, err = q.span.AfterText(&q.requests[0], q.results[0])
	return err
}

func (q *completion) usage() *Usage {
	u := new(Usage)
	for i, r := range q.results {
		u.add(r, i%q.bests == 0)
	}
	return u
}

// checkIDs checks the token ids of a field.
func (h *Handlers) checkIDs(param string, ids []int) *wire.Error {
	most := h.model.Info().Vocab - 1
	for i, id := range ids {
		if id < 0 || id > most {
			return wire.Wrong(fmt.Sprintf("%s[%d]", param, i), fmt.Sprintf("a token id from 0 to %d", most), fmt.Sprint(id))
		}
	}
	return nil
}

// tokensText returns the text of ids, with U+FFFD in place of bytes that are no text.
func tokensText(tok interface{ Bytes(id int) []byte }, ids []int) string {
	var text []byte
	for _, id := range ids {
		text = append(text, tok.Bytes(id)...)
	}
	return tokenizer.Text(text)
}
