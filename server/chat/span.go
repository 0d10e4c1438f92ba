package chat

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/text"
	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/states"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// Span is what a request has to do with kept states: the text that it reads and writes lies between two of them. A nil
// Span begins from none and leaves none.
type Span struct {
	Begin *api.State // nil for the model's initial state

	m     api.Model
	call  *api.Call
	place *states.Place // of the state behind the answer; nil for none
	while time.Duration // see Idle
	idle  func() error
}

// Span finds the state of an id that a request begins from, "" for none. If returned is set, it finds room for the state
// behind the answer too. End gives back what is not used of it.
func (o *Options) Span(m api.Model, c *api.Call, id string, returned bool) (*Span, *wire.Error) {
	s := &Span{m: m, call: c}
	if id != "" {
		var err *wire.Error
		if s.Begin, err = o.KeptState("state", c.User, id); err != nil {
			return nil, err
		}
	}
	if returned {
		var err error
		if s.place, err = o.States.Reserve(c.User, m.StateSize(nil), false, id); err != nil {
			return nil, StateFault("return_state", err)
		}
	}
	return s, nil
}

// KeptState returns the state of a user that a field names.
func (o *Options) KeptState(param, user, id string) (*api.State, *wire.Error) {
	s, err := o.States.Get(user, id)
	if err != nil {
		return nil, StateFault(param, err)
	}
	return s, nil
}

// StateFault returns the error of HTTP for one of package states. The field is where the client named the state, or asked
// for one; "" for the request as a whole.
func StateFault(param string, err error) *wire.Error {
	var own *wire.Error
	var full *states.FullError
	at := ""
	if param != "" {
		at = param + ": "
	}
	switch {
	case errors.Is(err, states.ErrNone):
		return &wire.Error{Status: http.StatusNotFound, Param: param, Code: "state_not_found",
			Message: at + "there is no state of this id: it was never kept, or deleted, or had to make room for newer ones"}
	case errors.As(err, &full):
		whose := "this server keeps"
		if full.User {
			whose = "this key may keep"
		}
		return &wire.Error{Status: http.StatusForbidden, Param: param, Code: "states_full",
			Message: fmt.Sprintf("%swant room for a state of %d bytes, got %d of the %d that %s: delete states that stay",
				at, full.Want, full.Free, full.Limit, whose)}
	case errors.As(err, &own):
		return own
	}
	return api.Fault(err)
}

// End gives back room that is not used.
func (s *Span) End() {
	if s != nil {
		s.place.Drop()
	}
}

// Idle has idle called whenever the keeping of the state has gone on for a while more, so that who reads a stream sees
// that it is still there.
func (s *Span) Idle(while time.Duration, idle func() error) { s.while, s.idle = while, idle }

// Returns reports whether the state behind the answer is asked for.
func (s *Span) Returns() bool { return s != nil && s.place != nil }

// AfterTalk keeps the state behind a conversation and its answer, from where the next message goes on, and returns its
// id, "" if nobody asked for it. It is the state that the conversation would lead to if the client sent it back whole. r
// is the request of the answer. The id is "" too where the state cannot be kept, since the answer is there and is worth
// sending: then Call.Unkept says why. The only error is that of a client that has left.
func (s *Span) AfterTalk(o *Options, t Talk, a prompt.Answer, r *api.Request) (string, *wire.Error) {
	if !s.Returns() {
		return "", nil
	}
	t.Messages, t.Closed = Answered(t.Messages, a), true
	p, err := o.Render(&t)
	if err != nil {
		return s.unkept(err)
	}
	return s.keep(&api.Request{User: r.User, State: s.Begin, Segments: p.Segments, Cold: r.Cold}, api.NoToken)
}

// Answered returns a conversation with the answer to it. Where it ends with the beginning of the answer, the two become
// one message, with the thoughts of both.
func Answered(messages []prompt.Message, a prompt.Answer) []prompt.Message {
	m := prompt.Message{Role: prompt.Assistant, Content: a.Content, Reasoning: a.Reasoning, Calls: a.Calls}
	if n := len(messages); n > 0 && messages[n-1].Role == prompt.Assistant {
		begun := &messages[n-1]
		m.Content, m.Reasoning = begun.Content+m.Content, begun.Reasoning+m.Reasoning
		messages = messages[:n-1]
	}
	return slices.Concat(messages, []prompt.Message{m})
}

// AfterText keeps the state behind a text and its answer, as it was drawn, and returns its id, "" if nobody asked for
// it. Where the answer is cut off by its length, its last token waits to be read, so that the text may go on without
// anything between. A state that cannot be kept is as for AfterTalk.
func (s *Span) AfterText(r *api.Request, answer api.Result) (string, *wire.Error) {
	if !s.Returns() {
		return "", nil
	}
	ids, err := s.m.Tokenizer().AppendEncode(answer.Whole, []byte(answer.Rest))
	if err != nil {
		return s.unkept(err)
	}
	pending := api.NoToken
	if n := len(ids) - 1; answer.Finish == text.FinishedLength && answer.Drawn > 0 {
		ids, pending = ids[:n], ids[n]
	}
	return s.keep(&api.Request{User: r.User, State: s.Begin, IDs: ids, Cold: r.Cold}, pending)
}

func (s *Span) keep(r *api.Request, pending int) (string, *wire.Error) {
	r.Follows = true
	var kept states.Info
	err := api.Wait(func() error {
		state, err := s.m.State(s.call.Context(), r)
		if err != nil {
			return err
		}
		if pending != api.NoToken {
			own := *state
			own.Pending, state = pending, &own
		}
		kept, err = s.place.Keep("", state)
		return err
	}, s.while, s.idle)
	if err != nil {
		return s.unkept(err)
	}
	return kept.ID, nil
}

// unkept notes why the state behind an answer is not kept. It returns the error if the client has left.
func (s *Span) unkept(err error) (string, *wire.Error) {
	if errors.Is(s.call.Context().Err(), context.Canceled) {
		return "", api.Fault(err)
	}
	s.call.Unkept = StateFault("return_state", err)
	return "", nil
}
