package openai

import (
	"net/http"

	"github.com/rwkv-gpu/rwkv-gpu/engine/text"
	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/sse"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

func (h *Handlers) chats(w http.ResponseWriter, c *api.Call) *wire.Error {
	q := &chatCall{h: h}
	defer func() { q.span.End() }()
	return c.Answer(w, h.model, &q.q, func() ([]api.Request, *wire.Error) {
		err := q.prepare(c)
		return q.requests, err
	}, func(streams []api.Stream) *wire.Error {
		if q.q.Stream {
			return q.stream(w, streams)
		}
		return q.whole(w, streams)
	})
}

// stream answers with events.
func (q *chatCall) stream(w http.ResponseWriter, streams []api.Stream) *wire.Error {
	events := sse.NewWriter(w, q.h.options.Write)
	q.span.Idle(q.h.options.Ping, events.Ping)
	q.head.Object = "chat.completion.chunk"
	begin := func() error {
		err := events.Begin()
		for i := 0; err == nil && i < len(streams); i++ {
			empty := ""
			err = q.event(events, ChatChoice{Index: i, Delta: &ChatDelta{Role: "assistant", Content: &empty}})
		}
		return err
	}
	each := func(p api.Part) error {
		i := p.Index
		if !p.End {
			return q.deltas(events, i, q.parsers[i].Push(p.Piece.Text), spoken(p.Piece.Tokens))
		}
		q.results[i] = streams[i].Result()
		if err := q.deltas(events, i, q.parsers[i].End(), nil); err != nil {
			return err
		}
		if err := q.keep(); err != nil {
			return err
		}
		return q.event(events, ChatChoice{Index: i, Delta: &ChatDelta{}, Finish: q.finish(i)})
	}
	err := api.Gather(streams, begin, each, q.h.options.Ping, events.Ping)
	if err == nil && q.q.StreamOptions != nil && q.q.StreamOptions.Usage {
		last := q.head
		last.Choices, last.Usage = []ChatChoice{}, q.usage()
		err = events.Event("", encode(last))
	}
	return endStream(events, err)
}

func (q *chatCall) event(events *sse.Writer, c ChatChoice) error {
	part := q.head
	part.Choices = []ChatChoice{c}
	return events.Event("", encode(part))
}

// deltas tells of more of an answer, and of tokens beside it.
func (q *chatCall) deltas(events *sse.Writer, i int, list []prompt.Delta, tokens []api.Token) error {
	if len(list) == 0 && len(tokens) > 0 {
		empty := ""
		return q.event(events, ChatChoice{Index: i, Delta: &ChatDelta{Content: &empty}, Logprobs: q.logprobs(tokens)})
	}
	for k, d := range list {
		c := ChatChoice{Index: i, Delta: new(ChatDelta)}
		if k == 0 {
			c.Logprobs = q.logprobs(tokens)
		}
		switch d.Kind {
		case prompt.ContentDelta:
			c.Delta.Content = &d.Text
		case prompt.ReasoningDelta:
			c.Delta.Reasoning = &d.Text
		case prompt.CallDelta:
			q.calls[i]++
			c.Delta.Calls = []ToolCall{{Index: &d.Call, ID: api.NewID("call_"), Type: "function", Function: CalledFunction{Name: &d.Text}}}
		case prompt.ArgumentsDelta:
			c.Delta.Calls = []ToolCall{{Index: &d.Call, Function: CalledFunction{Arguments: d.Text}}}
		}
		if err := q.event(events, c); err != nil {
			return err
		}
	}
	return nil
}

// whole answers with all at once.
func (q *chatCall) whole(w http.ResponseWriter, streams []api.Stream) *wire.Error {
	tokens := make([][]api.Token, len(streams))
	err := api.Gather(streams, nil, func(p api.Part) error {
		q.parsers[p.Index].Push(p.Piece.Text)
		tokens[p.Index] = append(tokens[p.Index], spoken(p.Piece.Tokens)...)
		return nil
	}, 0, nil)
	if err != nil {
		return api.Fault(err)
	}
	for i, s := range streams {
		q.results[i] = s.Result()
		q.parsers[i].End()
	}
	if err := q.keep(); err != nil {
		return err
	}
	answer := q.head
	answer.Choices = []ChatChoice{}
	for i := range streams {
		a := q.parsers[i].Answer()
		m := &ChatMessage{Role: "assistant", Content: &a.Content}
		if a.Reasoning != "" {
			m.Reasoning = &a.Reasoning
		}
		q.calls[i] = len(a.Calls)
		for _, call := range a.Calls {
			m.Calls = append(m.Calls, ToolCall{ID: api.NewID("call_"), Type: "function", Function: CalledFunction{&call.Name, call.Arguments}})
		}
		if len(a.Calls) > 0 && a.Content == "" {
			m.Content = nil
		}
		answer.Choices = append(answer.Choices, ChatChoice{Index: i, Message: m, Logprobs: q.logprobs(tokens[i]), Finish: q.finish(i)})
	}
	answer.Usage = q.usage()
	reply(w, answer)
	return nil
}

// keep keeps the state behind the conversation with its answer, if that is asked for.
func (q *chatCall) keep() (err *wire.Error) {
	q.head.State, err = q.span.AfterTalk(&q.h.options, q.talk, q.parsers[0].Answer(), &q.requests[0])
	return err
}

// finish returns why a choice ended.
func (q *chatCall) finish(i int) *string {
	if q.calls[i] > 0 && q.results[i].Finish != text.FinishedLength {
		reason := "tool_calls"
		return &reason
	}
	return finishReason(q.results[i].Finish)
}

func (q *chatCall) usage() *Usage {
	u := &Usage{Thoughts: new(ThoughtTokens)}
	for i, r := range q.results {
		u.add(r, i == 0)
		u.Thoughts.Reasoning += q.h.thoughtTokens(r, q.parsers[i].Answer().Reasoning)
	}
	return u
}

// spoken returns the tokens that have a text: a chat does not tell of the end of it.
func spoken(tokens []api.Token) []api.Token {
	if n := len(tokens); n > 0 && tokens[n-1].ID == text.EndOfText {
		return tokens[:n-1]
	}
	return tokens
}

// logprobs returns what is told of tokens, nil if nothing was asked for.
func (q *chatCall) logprobs(tokens []api.Token) *ChatLogprobs {
	if !q.q.Logprobs {
		return nil
	}
	return &ChatLogprobs{Content: q.h.told(tokens, q.top)}
}
