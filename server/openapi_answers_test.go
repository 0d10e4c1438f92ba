package server_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/server"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/openai"
	"github.com/rwkv-gpu/rwkv-gpu/server/openapi"
	"github.com/rwkv-gpu/rwkv-gpu/server/openapi/contract"
	"github.com/rwkv-gpu/rwkv-gpu/server/scripted"
	"github.com/rwkv-gpu/rwkv-gpu/server/web"
)

// described is a server whose answers are compared with a description that knows what it has seen.
type described struct {
	*served
	c   *contract.Contract
	url string
}

// describe serves all paths.
func describe(t *testing.T, c *contract.Contract, change func(*server.Options, *scripted.Model, *chat.Options)) *described {
	t.Helper()
	s := serve(t, func(o *server.Options, m *scripted.Model, p *chat.Options) {
		page, err := web.Routes(openai.Fail)
		if err != nil {
			t.Fatal(err)
		}
		document, err := openapi.Routes(openapi.Options{Keys: true, Vocab: m.What.Vocab}, openai.Fail)
		if err != nil {
			t.Fatal(err)
		}
		o.Routes, o.Cluster = slices.Concat(page, document), func() string { return "together" }
		if change != nil {
			change(o, m, p)
		}
	})
	web := httptest.NewServer(c.Handler(s.s, func(err error) { t.Error(err) }))
	t.Cleanup(web.Close)
	return &described{s, c, web.URL}
}

// ask sends a request, and returns the status and the answer's body.
func (d *described) ask(t *testing.T, operation, body string, head ...string) (int, string) {
	t.Helper()
	method, path, _ := strings.Cut(operation, " ")
	path = strings.NewReplacer("{$}", "", "{file}", "app.js", "{id}", "x").Replace(path)
	status, _, text := send(t, d.url, method, path, body, head...)
	return status, text
}

// all sends a request for every operation, with a body that is taken or another.
func (d *described) all(t *testing.T, body string, head ...string) {
	t.Helper()
	for _, operation := range d.c.Operations() {
		text := body
		if text == "" && len(bodies[operation]) > 0 {
			text = bodies[operation][0]
		}
		d.ask(t, operation, text, head...)
	}
}

// Every status, media type and member that is described is answered at some time, and nothing else is.
func TestDescribedAnswers(t *testing.T) {
	c := newDescription(t, serve(t, nil).model.What.Vocab)
	faults(t, c)
	files(t, c)
	answersOf(t, c)
	brokenStreams(t, c)
	batchesOf(t, c)
	for _, place := range c.Unseen() {
		t.Errorf("no answer has what is described at %s", place)
	}
}

// faults has every operation fail in all ways that it can.
func faults(t *testing.T, c *contract.Contract) {
	open := describe(t, c, nil)
	open.all(t, "")
	open.all(t, "{")
	open.all(t, `{"model":"other","input":"a","messages":[{"role":"user","content":"a"}],"max_tokens":1}`)
	open.all(t, strings.Repeat(" ", 1<<16+1))
	open.all(t, "", "Origin", "http://other.example")
	open.ask(t, "GET /v1/models/rwkv-test", "")
	open.ask(t, "GET /metrics", "", "Accept", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited")

	limited := describe(t, c, func(o *server.Options, _ *scripted.Model, _ *chat.Options) {
		if err := o.Keys.Read(strings.NewReader("ann key per-minute=1\n")); err != nil {
			t.Fatal(err)
		}
	})
	limited.all(t, "")
	limited.ask(t, "GET /tokenizer_info", "", "X-Api-Key", "key") // the only one within a minute
	limited.all(t, "", "X-Api-Key", "key")

	for _, err := range []error{api.ErrSlow, context.DeadlineExceeded, api.ErrDevice} {
		failing := describe(t, c, func(_ *server.Options, m *scripted.Model, _ *chat.Options) {
			if m.Pause = func(context.Context) error { return err }; !errors.Is(err, api.ErrSlow) { // which an answer under way ends with
				m.Fail = func(*api.Request) error { return err }
			}
		})
		if errors.Is(err, api.ErrDevice) {
			failing.model.SetHealth(err)
		}
		failing.all(t, "")
	}

	broken := describe(t, c, func(o *server.Options, _ *scripted.Model, _ *chat.Options) {
		o.Keys = nil // which no server has, so that each request ends in a panic
	})
	broken.all(t, "")

	draining := describe(t, c, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := draining.s.Serve(ended, l, 0); err != nil {
		t.Fatal(err)
	}
	draining.all(t, "")
}

// files has the page's files answered in all ways that files are.
func files(t *testing.T, c *contract.Contract) {
	d := describe(t, c, nil)
	for _, path := range []string{"/", "/web/app.js"} {
		for _, head := range [][]string{{"If-None-Match", "*"}, {"Range", "bytes=0-1"}, {"If-Match", `"x"`}, {"Range", "bytes=99999999-"}} {
			d.ask(t, "GET "+path, "", head...)
		}
	}
	for _, name := range []string{"none", "style.css", "icon.svg", "choices.json"} {
		d.ask(t, "GET /web/"+name, "")
	}
}

// thoughtful returns answers that have all that an answer may have: thoughts, texts and calls.
func thoughtful(r *api.Request, prompt string) (string, bool) {
	switch {
	case strings.HasSuffix(prompt, "```json"):
		return "\n{\"name\":\"f\",\"arguments\":{\"a\":1}}\n```", true
	case strings.HasSuffix(prompt, "<think"):
		return ">\nA thought.\n</think>\n\nA text.\n```json\n{\"name\":\"f\",\"arguments\":{\"a\":1}}\n```", true
	}
	return " A text. The end", true
}

// answersOf has conversations and texts answered, whole and as streams.
func answersOf(t *testing.T, c *contract.Contract) {
	d := describe(t, c, func(_ *server.Options, m *scripted.Model, _ *chat.Options) { m.Answer = thoughtful })
	const user, tools = `"messages":[{"role":"user","content":"a"}]`, `"tools":[` + aTool + `]`
	for _, stream := range []string{`"stream":false`, `"stream":true,"stream_options":{"include_usage":true}`} {
		for operation, list := range map[string][]string{
			"POST /v1/chat/completions": {user + `,"think":"free",` + tools, user + `,"logprobs":true,"top_logprobs":2`, user + `,"max_tokens":1,"service_tier":"auto","return_state":true`,
				user + `,"tool_choice":"required",` + tools},
			"POST /v1/completions": {`"prompt":"a","logprobs":1,"echo":true`, `"prompt":"a","max_tokens":1,"return_state":true`},
			"POST /v1/messages": {`"max_tokens":99,"think":"free","tools":[{"name":"f"}],` + user, `"max_tokens":99,"stop_sequences":["The"],` + user, `"max_tokens":1,"return_state":true,` + user,
				`"max_tokens":99,"tools":[{"name":"f"}],"tool_choice":{"type":"any"},` + user},
			"POST /v1/responses": {`"input":"a","think":"free",` + tools, `"input":"a","max_output_tokens":1,"instructions":"b","metadata":{"a":"b"}`,
				`"input":"a","tool_choice":{"type":"function","name":"f"},` + tools, `"input":"a","think":"free","include":["message.output_text.logprobs"],"top_logprobs":2`, `"input":"a","store":false,"return_state":true,"reasoning":{"effort":"low"}`,
				`"input":"a","prompt_cache_key":"k","safety_identifier":"s","user":"u","reasoning":{"context":"all_turns","mode":"standard"}`,
				`"input":"a","text":{"format":{"type":"json_schema","name":"n","strict":true,"schema":{"type":"object"}}}`},
		} {
			for _, body := range list {
				if status, text := d.ask(t, operation, "{"+body+","+stream+"}"); status != http.StatusOK {
					t.Errorf("%s %s: %d %s", operation, body, status, text)
				}
			}
		}
	}
	for _, body := range []string{`{"input":["a"],"encoding_format":"base64"}`, `{"input":"a"}`} {
		d.ask(t, "POST /v1/embeddings", body)
	}
	id := d.id(t, "POST /v1/responses", inputBodies[len(inputBodies)-1])
	for _, operation := range []string{"GET /v1/responses/{}", "GET /v1/responses/{}?stream=x", "GET /v1/responses/{}/input_items",
		"GET /v1/responses/{}/input_items?limit=0", "POST /v1/responses/{}/cancel", "DELETE /v1/responses/{}", "GET /v1/responses/{}"} {
		d.ask(t, strings.Replace(operation, "{}", id, 1), "")
	}
	state := d.id(t, "POST /v1/states", `{"prompt":"a"}`)
	_, file := d.ask(t, "GET /v1/states/"+state+"/content", "")
	for _, wrong := range []string{"no file", strings.Repeat(" ", 2*len(file)+1<<20)} {
		d.ask(t, "PUT /v1/states/"+state+"/content", wrong)
	}
	for _, operation := range []string{"GET /v1/states/{}", "GET /v1/states/{}/picture", "GET /v1/states/{}/picture?size=0", "PUT /v1/states/{}/content", "POST /v1/states/{}/fork", "GET /v1/states", "DELETE /v1/states/{}"} {
		body := ""
		if strings.HasPrefix(operation, "PUT") {
			body = file
		}
		d.ask(t, strings.Replace(operation, "{}", state, 1), body)
	}
	for _, operation := range []string{"GET /nothing", "PUT /v1/models", "HEAD /v1/models"} {
		d.ask(t, operation, "")
	}
}

// id asks for something to be made, and returns its id.
func (d *described) id(t *testing.T, operation, body string) string {
	t.Helper()
	_, text := d.ask(t, operation, body)
	id, _, _ := strings.Cut(strings.TrimPrefix(text, `{"id":"`), `"`)
	return id
}

// brokenStreams has streams end with an error, after a sign of life where the protocol has one for that.
func brokenStreams(t *testing.T, c *contract.Contract) {
	pinged := make(chan struct{})
	d := describe(t, c, func(_ *server.Options, m *scripted.Model, p *chat.Options) {
		p.Ping = time.Millisecond
		m.Pause = func(context.Context) error { <-pinged; return api.ErrDevice }
	})
	r, err := http.Post(d.url+"/v1/messages", "application/json", strings.NewReader(`{"max_tokens":9,"stream":true,"messages":[{"role":"user","content":"a"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	for lines := bufio.NewScanner(r.Body); lines.Scan(); {
		if lines.Text() == "event: ping" {
			close(pinged)
			break
		}
	}
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		t.Error(err)
	}
	for operation, body := range map[string]string{"POST /v1/completions": `"prompt":"a"`, "POST /v1/responses": `"input":"a"`,
		"POST /v1/chat/completions": `"messages":[{"role":"user","content":"a"}]`} {
		d.ask(t, operation, "{"+body+`,"stream":true}`)
	}
}

// A description finds answers that it does not describe.
func TestDescriptionFinds(t *testing.T) {
	const id = "req_0123456789abcdef01234567"
	c := newDescription(t, 10)
	for _, wrong := range []struct {
		operation string
		status    int
		kind      string
		body      string
	}{
		{"GET /health", 200, "application/json", `{"status":"fine"}`},
		{"GET /health", 200, "application/json", `{"status":"ok","more":1}`},
		{"GET /health", 418, "application/json", `{"status":"ok"}`},
		{"GET /health", 200, "text/plain", `ok`},
		{"GET /v2/health", 200, "application/json", `{"status":"ok"}`},
		{"GET /v1/models", 401, "application/json", `{"error":{"message":"m","type":"authentication_error","param":null,"code":null}}`}, // without WWW-Authenticate
		{"POST /detokenize", 200, "application/json", `{"prompt":5}`},
		{"POST /v1/chat/completions", 200, "text/event-stream", "data: {}\n\n"},
		{"POST /v1/chat/completions", 200, "text/event-stream", "data: [DONE]\n\ndata: [DONE]\n\n"},
		{"POST /v1/messages", 200, "text/event-stream", "event: ping\ndata: {\"type\":\"message_stop\"}\n\n"},
		{"POST /v1/messages", 429, "application/json", `{"error":{"message":"m","type":"rate_limit_error","param":null,"code":null}}`},
	} {
		method, path, _ := strings.Cut(wrong.operation, " ")
		head := http.Header{"X-Request-Id": {id}, "Request-Id": {id}, "Retry-After": {"1"}, "Content-Type": {wrong.kind}}
		if err := c.Check(httptest.NewRequest(method, path, nil), wrong.status, head, []byte(wrong.body)); err == nil {
			t.Errorf("%+v is found to be described", wrong)
		}
	}
	head := http.Header{"X-Request-Id": {id}, "Content-Type": {"application/json"}}
	if err := c.Check(httptest.NewRequest("GET", "/health", nil), 200, head, []byte(`{"status":"ok"}`)); err != nil {
		t.Error(err)
	}
	head.Del("X-Request-Id")
	if err := c.Check(httptest.NewRequest("GET", "/health", nil), 200, head, []byte(`{"status":"ok"}`)); err == nil {
		t.Error("an answer without an id is found to be described")
	}
}
