package chat

import (
	"context"
	"net/http/httptest"
	"reflect"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/states"
)

// An answer that goes on with a message becomes one with it, and the thoughts of either stay.
func TestAnswered(t *testing.T) {
	hi := prompt.Message{Role: prompt.User, Content: "Hi"}
	said := func(reasoning, content string) prompt.Message {
		return prompt.Message{Role: prompt.Assistant, Reasoning: reasoning, Content: content}
	}
	for _, c := range []struct{ before, want []prompt.Message }{
		{[]prompt.Message{hi}, []prompt.Message{hi, said("b", " there")}},
		{[]prompt.Message{hi, said("a", "Well")}, []prompt.Message{hi, said("ab", "Well there")}},
	} {
		n := len(c.before)
		got := Answered(c.before, prompt.Answer{Reasoning: "b", Content: " there"})
		if !reflect.DeepEqual(got, c.want) || len(c.before) != n {
			t.Errorf("want %+v, got %+v", c.want, got)
		}
	}
}

// The state behind an answer that went on with a message is that of the whole conversation, sent back with its thoughts.
func TestAnsweredRenders(t *testing.T) {
	dialect, err := prompt.ByName("template", prompt.G1)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Dialect: dialect}
	render := func(messages []prompt.Message) string {
		p, err := o.Render(&Talk{Own: Own{PreserveReasoning: true}, Messages: messages, Closed: true})
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		for _, s := range p.Segments {
			text += s.Text
		}
		return text
	}
	hi := prompt.Message{Role: prompt.User, Content: "Hi"}
	got := render(Answered([]prompt.Message{hi, {Role: prompt.Assistant, Reasoning: "Be kind.", Content: "Well"}}, prompt.Answer{Content: " met"}))
	want := render([]prompt.Message{hi, {Role: prompt.Assistant, Reasoning: "Be kind.", Content: "Well met"}})
	if got != want {
		t.Errorf("want %q, got %q", want, got)
	}
}

// A state that cannot be kept is noted for the log, and does not end the answer unless its client has left.
func TestUnkept(t *testing.T) {
	ctx, leave := context.WithCancel(t.Context())
	call := &api.Call{Request: httptest.NewRequestWithContext(ctx, "GET", "/", nil)}
	s := &Span{call: call}
	if id, err := s.unkept(api.ErrDevice); id != "" || err != nil || call.Unkept == nil || call.Unkept.Code != "device_lost" {
		t.Errorf("%q, %v, noted %v", id, err, call.Unkept)
	}
	full := &states.FullError{Want: 3, Free: 1, Limit: 2}
	if id, err := s.unkept(full); id != "" || err != nil || call.Unkept == nil || call.Unkept.Code != "states_full" {
		t.Errorf("without room: %q, %v, noted %v", id, err, call.Unkept)
	}
	call.Unkept = nil
	leave()
	if _, err := s.unkept(ctx.Err()); err == nil || err.Status != api.StatusGone || call.Unkept != nil {
		t.Errorf("of a client that has left: %v, noted %v", err, call.Unkept)
	}
}
