package main

import (
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/server"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/batches"
	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/keys"
	"github.com/rwkv-gpu/rwkv-gpu/server/openai"
	"github.com/rwkv-gpu/rwkv-gpu/server/openapi"
	"github.com/rwkv-gpu/rwkv-gpu/server/openapi/contract"
	"github.com/rwkv-gpu/rwkv-gpu/server/scripted"
)

// description is what the answers of servers are compared with.
var description = sync.OnceValues(func() (*contract.Contract, error) {
	document, err := openapi.Document(openapi.Options{Keys: true, Vocab: 1 << 16})
	if err != nil {
		return nil, err
	}
	return contract.New(document)
})

// describedClient returns a client that fails a test if an answer is not as it is described.
func describedClient(t *testing.T) *http.Client {
	t.Helper()
	c, err := description()
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Transport: c.Transport(http.DefaultTransport, func(err error) { t.Error(err) })}
}

// Answers of the demo model are as they are described, whole, as events and as errors.
func TestServeDescribed(t *testing.T) {
	s := startServing(t, "--device", "cpu", "--max-tokens", "24")
	const talk, tools = `"messages":[{"role":"user","content":"A story of a fox, please."}]`, `"tools":[{"type":"function","function":{"name":"f"}}]`
	for _, c := range []struct {
		path   string
		bodies []string
	}{
		{"/v1/chat/completions", []string{talk, talk + `,"think":"free"`, talk + `,"logprobs":true,"top_logprobs":3,"n":2`, talk + `,"tool_choice":"required",` + tools,
			talk + `,"response_format":{"type":"json_object"}`, talk + `,"return_state":true`, talk + `,"n":0`, talk + `,"model":"other"`}},
		{"/v1/completions", []string{`"prompt":["Once",[1,2]],"echo":true,"logprobs":2`, `"prompt":"Once","return_state":true`, `"prompt":[1e9]`, `"prompt":[99999999]`}},
		{"/v1/responses", []string{`"input":"A story"`, `"input":"A story","think":"free"`, `"input":"A story","tool_choice":"required",` + tools, `"input":[]`}},
		{"/v1/messages", []string{`"max_tokens":24,` + talk, `"max_tokens":24,"think":"free",` + talk, `"max_tokens":24,"tools":[{"name":"f"}],"tool_choice":{"type":"any"},` + talk, talk}},
		{"/v1/embeddings", []string{`"input":["a","b"]`, `"input":"a","encoding_format":"base64"`, `"input":""`}},
		{"/v1/states", []string{`"prompt":"Once"`, `"from":"state_none"`}},
		{"/tokenize", []string{`"prompt":"Once","return_token_strs":true`, talk, ""}},
		{"/detokenize", []string{`"tokens":[33]`, ""}},
		{"/v1/chat/completions/render", []string{talk}},
		{"/v1/messages/count_tokens", []string{talk}},
		{"/v1/responses/input_tokens", []string{`"input":"a"`}},
	} {
		for _, body := range c.bodies {
			for _, stream := range []string{"true", "false"} {
				s.request(t, http.MethodPost, c.path, "{"+strings.TrimPrefix(body+`,"stream":`+stream, ",")+"}")
			}
		}
	}
	for _, path := range []string{"/", "/web/app.js", "/v1/models", "/v1/models/other", "/v1/states", "/tokenizer_info", "/health", "/metrics", "/openapi.json", "/nothing"} {
		s.request(t, http.MethodGet, path, "")
	}
}

// request sends a request whose answer is compared with its description.
func (s *serving) request(t *testing.T, method, path, body string) {
	t.Helper()
	r, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		t.Error(err)
	}
}

// What is served is described, and what is described is served.
func TestDescribedRoutes(t *testing.T) {
	tok, err := load.Vocabulary(load.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := &scripted.Model{Tok: tok, What: api.Info{Vocab: tok.Size()}}
	none, err := batches.Open(batches.Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	routes, err := routesOf(m, chat.Options{}, true, openai.New(m, chat.Options{}).Routes(), none.Routes())
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(server.Options{Routes: routes, Keys: new(keys.Ring), Metrics: server.NewMetrics(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	c, err := description()
	if err != nil {
		t.Fatal(err)
	}
	served := s.Patterns()
	if last := len(served) - 1; served[last] != "/" {
		t.Errorf("want / as the last pattern, got %s", served[last])
	} else {
		served = served[:last]
	}
	slices.Sort(served)
	if described := c.Operations(); !slices.Equal(served, described) {
		t.Errorf("served    %q\ndescribed %q", served, described)
	}
}
