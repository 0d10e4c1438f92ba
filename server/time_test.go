package server_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/server"
	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/scripted"
)

// A client that leaves ends its request, whether it streams or not.
func TestClientLeaves(t *testing.T) {
	for _, body := range []string{`{"prompt":"a","max_tokens":1000,"stream":true}`, `{"prompt":"a","max_tokens":1000}`} {
		begun, ended := make(chan struct{}, 1), make(chan struct{})
		s := serve(t, func(_ *server.Options, m *scripted.Model, _ *chat.Options) {
			m.Pause = func(ctx context.Context) error {
				begun <- struct{}{}
				<-ctx.Done()
				close(ended)
				return ctx.Err()
			}
		})
		ctx, cancel := context.WithCancel(t.Context())
		r, err := http.NewRequestWithContext(ctx, "POST", s.URL+"/v1/completions", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			if answer, err := http.DefaultClient.Do(r); err == nil {
				_, _ = io.Copy(io.Discard, answer.Body)
				answer.Body.Close()
			}
		}()
		<-begun
		cancel()
		<-ended
	}
}

// A request that takes too long is answered with an error, in a stream as an event.
func TestTimeout(t *testing.T) {
	s := serve(t, func(o *server.Options, m *scripted.Model, _ *chat.Options) {
		o.Timeout = time.Second // in which a busy machine, too, gets to the model
		m.Pause = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	})
	status, _, body := s.call(t, "POST", "/v1/completions", `{"prompt":"a"}`)
	wantError(t, "whole", status, 504, body, "", "longer than this server allows")
	status, _, body = s.call(t, "POST", "/v1/completions", `{"prompt":"a","stream":true}`)
	if status != 200 || !strings.HasPrefix(body, `data: {"error":`) || strings.Contains(body, "[DONE]") {
		t.Errorf("stream: %d %s", status, body)
	}
}

// A panic in the middle of an answer ends neither the server nor, as if all were said, a stream.
func TestPanicInAnswer(t *testing.T) {
	tokens := 0
	s := serve(t, func(_ *server.Options, m *scripted.Model, _ *chat.Options) {
		m.Pause = func(context.Context) error {
			if tokens++; tokens%3 == 0 {
				panic("a fault of the model")
			}
			return nil
		}
	})
	const talk = `"max_tokens":9,"messages":[{"role":"user","content":"a"}]`
	for path, fields := range map[string]string{"/v1/completions": `"prompt":"a"`, "/v1/chat/completions": talk, "/v1/messages": talk, "/v1/responses": `"input":"a"`} {
		tokens = 0
		status, _, body := s.call(t, "POST", path, "{"+fields+`,"stream":true}`)
		if status != 200 || !strings.Contains(body, "its log says more") || strings.Contains(body, "[DONE]") || strings.Contains(body, "message_stop") {
			t.Errorf("%s: want an event of an error at the end, got %d %s", path, status, body)
		}
		tokens = 0
		if status, _, body := s.call(t, "POST", path, "{"+fields+"}"); status != 500 || strings.Contains(body, "a fault") {
			t.Errorf("%s: want 500, got %d %s", path, status, body)
		}
	}
	if !strings.Contains(s.log.String(), "a fault of the model") {
		t.Errorf("the log does not say why: %s", s.log)
	}
}

// Nothing comes for a while, and the stream says that it is alive.
func TestPings(t *testing.T) {
	begun, goOn := make(chan struct{}, 100), make(chan struct{})
	s := serve(t, func(_ *server.Options, m *scripted.Model, p *chat.Options) {
		p.Ping = 10 * time.Millisecond
		m.Pause = func(context.Context) error { begun <- struct{}{}; <-goOn; return nil }
	})
	r, err := http.Post(s.URL+"/v1/completions", "", strings.NewReader(`{"prompt":"a","stream":true}`))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	<-begun
	lines := bufio.NewReader(r.Body)
	if line, err := lines.ReadString('\n'); line != ": ping\n" {
		t.Errorf("got %q (%v)", line, err)
	}
	close(goOn)
	rest, err := io.ReadAll(lines)
	if err != nil || !strings.HasSuffix(string(rest), "data: [DONE]\n\n") {
		t.Errorf("got %q (%v)", rest, err)
	}
}

// A server that is about to end answers what it has begun, takes no more, and says so.
func TestDrain(t *testing.T) {
	begun, goOn := make(chan struct{}, 100), make(chan struct{})
	s := serve(t, func(_ *server.Options, m *scripted.Model, _ *chat.Options) {
		m.Pause = func(context.Context) error { begun <- struct{}{}; <-goOn; return nil }
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.s.Serve(ctx, l, time.Minute) }()
	answered := make(chan string, 1)
	go func() {
		r, err := http.Post("http://"+l.Addr().String()+"/v1/completions", "", strings.NewReader(`{"prompt":"a"}`))
		if err != nil {
			answered <- err.Error()
			return
		}
		defer r.Body.Close()
		text, _ := io.ReadAll(r.Body)
		answered <- string(text)
	}()
	<-begun
	cancel()
	for !s.s.Draining() {
		time.Sleep(time.Millisecond)
	}
	s.URL = "http://" + l.Addr().String() // who is there already is not the only one to be told
	http.DefaultClient.CloseIdleConnections()
	status, _, body := s.call(t, "POST", "/v1/completions", `{"prompt":"a"}`)
	wantError(t, "a new one", status, 503, body, "", "about to end")
	if status, _, body := s.call(t, "GET", "/health", ""); status != 503 || body != `{"status":"draining"}` {
		t.Errorf("health: %d %s", status, body)
	}
	close(goOn)
	if text := <-answered; !strings.Contains(text, "there was a fox") {
		t.Errorf("the request under way: %s", text)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// Answers that do not end in time are cut off.
func TestDrainEnds(t *testing.T) {
	begun := make(chan struct{}, 100)
	s := serve(t, func(_ *server.Options, m *scripted.Model, _ *chat.Options) {
		m.Pause = func(ctx context.Context) error { begun <- struct{}{}; <-ctx.Done(); return ctx.Err() }
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.s.Serve(ctx, l, 10*time.Millisecond) }()
	go func() {
		if r, err := http.Post("http://"+l.Addr().String()+"/v1/completions", "", strings.NewReader(`{"prompt":"a"}`)); err == nil {
			r.Body.Close()
		}
	}()
	<-begun
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
	for s.model.Open() > 0 {
		time.Sleep(time.Millisecond)
	}
}
