package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server"
	"github.com/rwkv-gpu/rwkv-gpu/server/anthropic"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/grammars"
	"github.com/rwkv-gpu/rwkv-gpu/server/keys"
	"github.com/rwkv-gpu/rwkv-gpu/server/openai"
	"github.com/rwkv-gpu/rwkv-gpu/server/scripted"
	"github.com/rwkv-gpu/rwkv-gpu/server/states"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// served is a server under test with a scripted model behind it.
type served struct {
	*httptest.Server
	s     *server.Server
	model *scripted.Model
	log   *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func serve(t *testing.T, change func(*server.Options, *scripted.Model, *chat.Options)) *served {
	t.Helper()
	tok, err := load.Vocabulary(load.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := &scripted.Model{Tok: tok, What: api.Info{Name: "rwkv-test", Fingerprint: "fp_1", Created: time.Unix(1e9, 0), Vocab: tok.Size(), Sequences: 4},
		Answer: func(*api.Request, string) (string, bool) { return " there was a fox. The end", true }}
	log := &lockedBuffer{}
	o := server.Options{Keys: &keys.Ring{}, MaxBody: 1 << 16, Timeout: time.Minute, Log: slog.New(slog.NewTextHandler(log, nil)), Metrics: server.NewMetrics()}
	dialect, err := prompt.ByName("template", prompt.G1)
	if err != nil {
		t.Fatal(err)
	}
	p := chat.Options{Dialect: dialect, Most: 1000, Ping: time.Minute, Write: time.Minute}
	if change != nil {
		change(&o, m, &p)
	}
	if p.Forms, err = grammars.New(tok, m.What.Vocab); err != nil {
		t.Fatal(err)
	}
	if p.States == nil {
		p.States = states.New(m, states.Options{})
	}
	o.Routes = slices.Concat(o.Routes, openai.New(m, p).Routes(), anthropic.New(m, p).Routes())
	jobs := batching(t, &o, o.Routes)
	o.Routes = append(o.Routes, jobs.Routes()...)
	o.Fail, o.Health = openai.Fail, m.Health
	s, err := server.New(o)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(description(t, m.What.Vocab).Handler(s, func(err error) { t.Error(err) }))
	ctx, stop := context.WithCancel(t.Context())
	jobs.Start(ctx)
	t.Cleanup(func() {
		web.Close()
		stop()
		if err := jobs.Close(); err != nil {
			t.Error(err)
		}
		if n := m.Open(); n != 0 {
			t.Errorf("%d streams were not closed", n)
		}
	})
	return &served{web, s, m, log}
}

// call sends a request and returns the status, the answer's head and its body.
func (s *served) call(t *testing.T, method, path, body string, head ...string) (int, http.Header, string) {
	t.Helper()
	return send(t, s.URL, method, path, body, head...)
}

// send sends a request to a server and returns the status, the answer's head and its body.
func send(t *testing.T, url, method, path, body string, head ...string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequest(method, url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(head); i += 2 {
		r.Header.Set(head[i], head[i+1])
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, answer.Header, string(text)
}

// wantError checks an error's status, field and part of its message.
func wantError(t *testing.T, what string, status, wanted int, body, param, part string) {
	t.Helper()
	var e struct {
		Error struct {
			Message, Type string
			Param, Code   *string
		}
	}
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		t.Errorf("%s: %v: %s", what, err, body)
		return
	}
	got := ""
	if e.Error.Param != nil {
		got = *e.Error.Param
	}
	if status != wanted || got != param || !strings.Contains(e.Error.Message, part) || e.Error.Type == "" {
		t.Errorf("%s: want %d, param %q, %q; got %d: %s", what, wanted, param, part, status, body)
	}
}

func TestPaths(t *testing.T) {
	s := serve(t, nil)
	for _, c := range []struct {
		method, path string
		status       int
		part         string
	}{
		{"GET", "/v1/nothing", 404, "nothing at this path"},
		{"GET", "/v1/completions", 405, "POST only"},
		{"DELETE", "/v1/models", 405, "GET only"},
		{"PATCH", "/v1/responses/input_tokens", 405, "takes POST only"},
		{"PATCH", "/v1/responses/x", 405, "takes GET and DELETE only"},
		{"GET", "/v1/models/other", 404, `this server has the model "rwkv-test" and no "other"`},
	} {
		status, _, body := s.call(t, c.method, c.path, "")
		param := ""
		if c.path == "/v1/models/other" {
			param = "id"
		}
		wantError(t, c.method+" "+c.path, status, c.status, body, param, c.part)
	}
	if status, head, body := s.call(t, "GET", "/v1/models/rwkv-test", ""); status != 200 || head.Get("X-Request-Id") == "" || body != `{"id":"rwkv-test","object":"model","created":1000000000,"owned_by":"rwkv-gpu"}` {
		t.Errorf("%d %v %s", status, head, body)
	}
	if status, _, _ := s.call(t, "HEAD", "/health", ""); status != 200 {
		t.Errorf("HEAD /health: %d", status)
	}
}

func TestKeys(t *testing.T) {
	s := serve(t, func(o *server.Options, m *scripted.Model, _ *chat.Options) {
		if err := o.Keys.Read(strings.NewReader("ann key-a\nbob key-b per-minute=2\n")); err != nil {
			t.Fatal(err)
		}
	})
	for _, head := range [][]string{nil, {"Authorization", "Bearer key-c"}, {"X-Api-Key", ""}} {
		status, h, body := s.call(t, "POST", "/v1/completions", `{"prompt":"a"}`, head...)
		wantError(t, fmt.Sprint(head), status, 401, body, "", "wants a key")
		if h.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%v", h)
		}
	}
	if status, _, body := s.call(t, "GET", "/health", ""); status != 200 || body != `{"status":"ok"}` {
		t.Errorf("health without a key: %d %s", status, body)
	}
	for i := range 3 {
		status, h, body := s.call(t, "POST", "/v1/completions", `{"prompt":"a"}`, "X-Api-Key", "key-b")
		if i < 2 && status != 200 {
			t.Errorf("request %d: %d %s", i, status, body)
		}
		if i == 2 {
			wantError(t, "third", status, 429, body, "", "as many requests as it may")
			if h.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
		}
	}
	for _, path := range []string{"POST /tokenize", "POST /detokenize", "GET /tokenizer_info", "POST /v1/chat/completions/render",
		"POST /v1/messages/count_tokens", "POST /v1/responses/input_tokens", "GET /v1/responses/x"} {
		method, path, _ := strings.Cut(path, " ")
		status, _, body := s.call(t, method, path, `{}`, "X-Api-Key", "key-b")
		if status != 429 || !strings.Contains(body, "as many requests as it may") {
			t.Errorf("%s with no requests left: %d %s", path, status, body)
		}
	}
	if status, _, _ := s.call(t, "POST", "/v1/completions", `{"prompt":"a"}`, "Authorization", "Bearer key-a"); status != 200 {
		t.Errorf("another key: %d", status)
	}
	for _, r := range s.model.Asked()[:2] {
		if r.User != "bob" {
			t.Errorf("user %q", r.User)
		}
	}
}

// Each answer counts for the limits of a key, and what can never be had is no matter of waiting.
func TestAnswersCount(t *testing.T) {
	s := serve(t, func(o *server.Options, m *scripted.Model, _ *chat.Options) {
		m.What.Together = 8
		if err := o.Keys.Read(strings.NewReader("ann key-a concurrent=4\nbob key-b per-minute=5\ncarl key-c\n")); err != nil {
			t.Fatal(err)
		}
	})
	for _, c := range []struct {
		key    string
		n      int
		status int
		want   string
	}{
		{"key-a", 5, 400, "asks for 5 answers together, and this key may have at most 4"},
		{"key-a", 4, 200, ""},
		{"key-a", 4, 200, ""},
		{"key-b", 3, 200, ""},
		{"key-b", 3, 429, "as many requests as it may"},
		{"key-b", 1, 200, ""},
		{"key-c", 8, 200, ""},
		{"key-c", 9, 400, "asks for 9 answers together, and this server takes at most 8"},
	} {
		status, _, body := s.call(t, "POST", "/v1/completions", fmt.Sprintf(`{"prompt":"a","n":%d}`, c.n), "X-Api-Key", c.key)
		if status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s n=%d: want %d %q, got %d %.200s", c.key, c.n, c.status, c.want, status, body)
		}
	}
}

func TestBadBodies(t *testing.T) {
	s := serve(t, nil)
	for body, want := range map[string]struct {
		status      int
		param, part string
	}{
		`{"prompt":"` + strings.Repeat("x", 1<<16) + `"}`: {413, "", "larger than the 65536 bytes"},
		`{"prompt":3}`:                                         {400, "prompt", "want a string"},
		`{"prompt":[1,99999999]}`:                              {400, "prompt[1]", "a token id from 0 to"},
		`{"prompt":["a",[3,-1]]}`:                              {400, "prompt[1][1]", "a token id from 0 to"},
		`{"prompt":"a","temperature":-1}`:                      {400, "temperature", "a number from 0 to 100"},
		`{"prompt":"a","top_p":2}`:                             {400, "top_p", "got the number 2"},
		`{"prompt":"a","logit_bias":{"x":1}}`:                  {400, "logit_bias", "token ids"},
		`{"prompt":"a","logit_bias":{"1":101}}`:                {400, "logit_bias[1]", "from -100 to 100"},
		`{"prompt":"a","logit_bias":{"1":1,"+1":2}}`:           {400, "logit_bias", `"+1"`},
		`{"prompt":"a","top_p":1.00000000000001}`:              {400, "top_p", "got the number 1.00000000000001"},
		`{"prompt":"a","logit_bias":{"1":100.00000000000001}}`: {400, "logit_bias[1]", "from -100 to 100"},
		`{"prompt":[1,null]}`:                                  {400, "prompt[1]", "got null"},
		`{"prompt":"a","max_tokens":-2}`:                       {400, "max_tokens", "from 0 on, or -1"},
		`{"prompt":"a","n":0}`:                                 {400, "n", "from 1 to"},
		`{"prompt":"a","n":3,"best_of":2}`:                     {400, "best_of", "from 3"},
		`{"prompt":"a","best_of":2,"stream":true}`:             {400, "best_of", "stream"},
		`{"prompt":"a","stop":[""]}`:                           {400, "stop[0]", "a string of 1 to"},
		`{"prompt":[1],"suffix":"b"}`:                          {400, "suffix", "token ids"},
		`{"prompt":"a","suffix":"b","echo":true,"logprobs":1}`: {400, "suffix", "echo"},
		`{"prompt":"a","model":"gpt"}`:                         {404, "model", `no "gpt"`},
		`{"prompt":"a","logprobs":21}`:                         {400, "logprobs", "from 0 to 20"},
	} {
		status, _, got := s.call(t, "POST", "/v1/completions", body)
		wantError(t, fmt.Sprintf("%.60s", body), status, want.status, got, want.param, want.part)
	}
	if n := len(s.model.Asked()); n != 0 {
		t.Errorf("the model was asked %d times", n)
	}
}

func TestModelErrors(t *testing.T) {
	fail := error(nil)
	s := serve(t, func(_ *server.Options, m *scripted.Model, _ *chat.Options) {
		m.Fail = func(*api.Request) error { return fail }
	})
	for _, c := range []struct {
		err    error
		status int
		param  string
	}{
		{fmt.Errorf("x: %w", api.ErrBusy), 429, ""},
		{api.ErrClosing, 503, ""},
		{api.ErrDevice, 503, ""},
		{errors.New("a private text"), 500, ""},
		{wire.Wrong("prompt", "one thing", "another"), 400, "prompt"},
	} {
		fail = c.err
		status, head, body := s.call(t, "POST", "/v1/completions", `{"prompt":"a"}`)
		wantError(t, c.err.Error(), status, c.status, body, c.param, "")
		if (status == 429) != (head.Get("Retry-After") != "") || strings.Contains(body, "private") {
			t.Errorf("%v: %v %s", c.err, head, body)
		}
	}
	s.model.SetHealth(api.ErrDevice)
	if status, _, body := s.call(t, "GET", "/health", ""); status != 503 || !strings.Contains(body, "device") {
		t.Errorf("health with a lost device: %d %s", status, body)
	}
}

func TestPanic(t *testing.T) {
	s := serve(t, func(_ *server.Options, m *scripted.Model, _ *chat.Options) {
		m.Fail = func(*api.Request) error { panic("oh") }
	})
	status, _, body := s.call(t, "POST", "/v1/completions", `{"prompt":"a"}`)
	wantError(t, "panic", status, 500, body, "", "log says more")
	if !strings.Contains(s.log.String(), "panic: oh") {
		t.Errorf("the log says nothing of it: %s", s.log)
	}
	if status, _, _ := s.call(t, "GET", "/health", ""); status != 200 {
		t.Error("the server does not go on")
	}
}

// Neither logs nor metrics hold anything of a text, and both tell what was done.
func TestLogsAndMetrics(t *testing.T) {
	s := serve(t, func(o *server.Options, m *scripted.Model, _ *chat.Options) {
		if err := o.Keys.Add("ann", "key-secret"); err != nil {
			t.Fatal(err)
		}
		m.Answer = func(*api.Request, string) (string, bool) { return "zebra stripes", true }
	})
	auth := []string{"Authorization", "Bearer key-secret"}
	for _, body := range []string{`{"prompt":"giraffe neck"}`, `{"prompt":"giraffe","stream":true}`, `{"prompt":"giraffe","stop":[],"model":"giraffe"}`, `{"prompt":["giraffe",{}]}`, `{"giraffe`} {
		s.call(t, "POST", "/v1/completions?giraffe=1", body, auth...)
	}
	s.call(t, "GET", "/giraffe", "")
	_, _, metrics := s.call(t, "GET", "/metrics", "", auth...)
	for _, secret := range []string{"giraffe", "neck", "zebra", "stripes", "key-secret"} {
		if strings.Contains(s.log.String(), secret) || strings.Contains(metrics, secret) {
			t.Errorf("%q is told: %s", secret, s.log)
		}
	}
	for _, want := range []string{`rwkv_requests_total{route="POST /v1/completions",status="200"} 2`, `rwkv_requests_total{route="POST /v1/completions",status="400"} 2`,
		"rwkv_requests_running 1", "rwkv_drawn_tokens_total", "rwkv_first_token_seconds_count 2"} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s in %s", want, metrics)
		}
	}
	read := func() float64 { // tokens of prompts, as the metrics have them
		t.Helper()
		_, _, metrics := s.call(t, "GET", "/metrics", "", auth...)
		_, after, _ := strings.Cut(metrics, "\nrwkv_prompt_tokens_total ")
		figure, _, _ := strings.Cut(after, "\n")
		n, err := strconv.ParseFloat(figure, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := read()
	s.call(t, "POST", "/v1/completions", `{"prompt":"giraffe neck"}`, auth...)
	one := read() - before
	s.call(t, "POST", "/v1/completions", `{"prompt":["giraffe neck","giraffe neck"],"n":3,"best_of":5}`, auth...)
	if all := read() - before - one; one == 0 || all != 2*one {
		t.Errorf("two prompts of %v tokens for five answers each count as %v", one, all)
	}
	if !strings.Contains(s.log.String(), "user=ann") || !strings.Contains(s.log.String(), "finish=end") {
		t.Errorf("%s", s.log)
	}
}
