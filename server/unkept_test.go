package server_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/server"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/scripted"
	"github.com/rwkv-gpu/rwkv-gpu/server/states"
)

// returning are requests of each protocol for an answer and the state behind it, and what ends a stream of them.
var returning = []struct{ path, body, last string }{
	{"/v1/completions", `"prompt":"Hi","max_tokens":50,"stream_options":{"include_usage":true}`, `"usage":{"prompt_tokens"`},
	{"/v1/chat/completions", `"messages":[{"role":"user","content":"Hi"}],"stream_options":{"include_usage":true}`, `"usage":{"prompt_tokens"`},
	{"/v1/responses", `"input":"Hi"`, `"type":"response.completed"`},
	{"/v1/messages", `"max_tokens":50,"messages":[{"role":"user","content":"Hi"}]`, `"type":"message_stop"`},
}

// An answer whose state cannot be kept is sent whole, without the state, and the log says why.
func TestUnkept(t *testing.T) {
	const answer = "A fox was there."
	for name, c := range map[string]struct {
		err    error // of the model, nil for a folder that takes no file
		logged string
	}{
		"disk":    {nil, "state_cause="},
		"model":   {errors.New("it broke"), `state_code=internal state_cause="it broke"`},
		"device":  {api.ErrDevice, "state_code=device_lost state_cause="},
		"timeout": {context.DeadlineExceeded, "state_code=timeout"},
	} {
		dir := filepath.Join(t.TempDir(), "states")
		s := serve(t, func(_ *server.Options, m *scripted.Model, o *chat.Options) {
			m.Answer = func(*api.Request, string) (string, bool) { return " " + answer, true }
			m.Fail = func(r *api.Request) error {
				if r.Follows {
					return c.err
				}
				return nil
			}
			if c.err == nil {
				o.States = folder(t, m, dir)
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(dir, nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		})
		for _, q := range returning {
			before := len(s.log.String())
			var a struct{ ID, State string }
			body := strings.Replace(q.body, `,"stream_options":{"include_usage":true}`, "", 1)
			s.ask(t, &a, "POST", q.path, `{"return_state":true,`+body+`}`)
			status, _, text := s.call(t, "POST", q.path, `{"return_state":true,`+body+`}`)
			if status != http.StatusOK || !strings.Contains(text, answer) || a.State != "" {
				t.Errorf("%s: %s: %d %s", name, q.path, status, text)
			}
			if q.path == "/v1/responses" {
				var kept struct{ ID string }
				if s.ask(t, &kept, "GET", q.path+"/"+a.ID, ""); kept.ID != a.ID {
					t.Errorf("%s: a response without a state is not remembered", name)
				}
			}
			_, _, events := s.call(t, "POST", q.path, `{"stream":true,"return_state":true,`+q.body+`}`)
			if !strings.Contains(events, q.last) || strings.Contains(events, `"state":`) || strings.Contains(events, `"error":{`) {
				t.Errorf("%s: %s: events: %s", name, q.path, events)
			}
			if got := s.log.String()[before:]; strings.Count(got, c.logged) != 3 || strings.Contains(got, "fox") {
				t.Errorf("%s: %s: want %q three times in the log: %s", name, q.path, c.logged, got)
			}
		}
	}
}

// folder returns a store of states in a folder.
func folder(t *testing.T, m api.Model, dir string) *states.Store {
	t.Helper()
	s, err := states.Open(m, states.Options{Dir: dir}, func(path string, err error) { t.Errorf("%s: %v", path, err) })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A stream goes on with pings while the state behind its answer is read.
func TestPingsOfStates(t *testing.T) {
	for _, q := range returning {
		reading, heard := make(chan struct{}), make(chan struct{})
		s := serve(t, func(_ *server.Options, m *scripted.Model, o *chat.Options) {
			o.Ping = time.Millisecond
			m.Fail = func(r *api.Request) error {
				if r.Follows {
					close(reading)
					<-heard
				}
				return nil
			}
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		r, err := http.NewRequestWithContext(ctx, "POST", s.URL+q.path, strings.NewReader(`{"stream":true,"return_state":true,`+q.body+`}`))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		<-reading
		var enough sync.Once
		pings, got := 0, bytes.Buffer{}
		for piece := make([]byte, 1<<10); err == nil; {
			var n int
			n, err = answer.Body.Read(piece)
			got.Write(piece[:n])
			if pings = bytes.Count(got.Bytes(), []byte("ping\n")); pings >= 100 {
				enough.Do(func() { close(heard) })
			}
		}
		enough.Do(func() { close(heard) })
		answer.Body.Close()
		cancel()
		if !errors.Is(err, io.EOF) || pings < 100 || !strings.Contains(got.String(), q.last) || !strings.Contains(got.String(), `"state":"state_`) {
			t.Errorf("%s: %v after %d pings: %s", q.path, err, pings, got.String())
		}
	}
}
