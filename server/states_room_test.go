package server_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/server"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/openai"
	"github.com/rwkv-gpu/rwkv-gpu/server/scripted"
	"github.com/rwkv-gpu/rwkv-gpu/server/states"
)

// A copy by a prompt of no ids is one, with the token that waits to be read.
func TestCopyByNoIDs(t *testing.T) {
	s := serve(t, answering(" there was a fox", false))
	var a openai.Completion
	s.ask(t, &a, "POST", "/v1/completions", `{"prompt":"Once upon a time","max_tokens":3,"return_state":true}`)
	o := s.state(t, fmt.Sprintf(`{"from":%q,"prompt":[]}`, a.State))
	want, _ := s.contentOf(t, a.State)
	if got, _ := s.contentOf(t, o.ID); want.Pending == api.NoToken || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("want %+v, got %+v", want, got)
	}
}

// A request that is refused, or that only asks what the model would read, leaves all states where they are. One that is
// answered does not displace the state that it goes on from.
func TestRefusedKeepsStates(t *testing.T) {
	var busy error
	s := serve(t, func(_ *server.Options, m *scripted.Model, p *chat.Options) {
		m.Fail = func(*api.Request) error { return busy }
		p.States = states.New(m, states.Options{Bytes: 2 << 10}) // a state holds 1,024 until it is there
	})
	list := func() (l openai.StateList) {
		s.ask(t, &l, "GET", "/v1/states", "")
		return l
	}
	n := -1
	for range 40 { // until the last one has had another make room
		s.ask(t, new(openai.Completion), "POST", "/v1/completions", `{"prompt":"xxxxxxxx","max_tokens":1,"return_state":true}`)
		now := len(list().Data)
		if now == n {
			break
		}
		n = now
	}
	if n < 2 || n > 30 {
		t.Fatalf("%d states fit", n)
	}
	oldest := list().Data[n-1].ID
	for _, c := range []struct {
		path, body string
		err        error
		status     int
	}{
		{"/v1/completions", `{"prompt":[99999999],"return_state":true}`, nil, http.StatusBadRequest},
		{"/v1/completions", `{"prompt":"a","return_state":true}`, api.ErrBusy, http.StatusTooManyRequests},
		{"/v1/chat/completions", `{"messages":[{"role":"user","content":"a"}],"return_state":true}`, api.ErrBusy, http.StatusTooManyRequests},
		{"/v1/chat/completions/render", `{"messages":[{"role":"user","content":"a"}],"return_state":true}`, nil, http.StatusOK},
	} {
		busy = c.err
		if status, _, body := s.call(t, "POST", c.path, c.body); status != c.status || len(list().Data) != n {
			t.Errorf("%s %s: %d %s: then there are %d states", c.path, c.body, status, body, len(list().Data))
		}
	}
	busy = nil
	var a openai.Completion
	s.ask(t, &a, "POST", "/v1/completions", fmt.Sprintf(`{"prompt":"a","max_tokens":1,"state":%q,"return_state":true}`, oldest))
	for _, id := range []string{oldest, a.State} {
		s.contentOf(t, id)
	}
}
