package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/server/anthropic"
	"github.com/rwkv-gpu/rwkv-gpu/server/batches"
	"github.com/rwkv-gpu/rwkv-gpu/server/openai"
)

const (
	aTool      = `{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"}}}`
	aFlatTool  = `{"type":"function","name":"f","description":"d","parameters":{"type":"object"}}`
	aCall      = `{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}`
	aChatBegin = `{"messages":[{"role":"user","content":"a"}]`
)

// bodies are bodies that are taken, by the operation. Together they have every member that is described, so that each is
// changed by itself.
var bodies = map[string][]string{
	"POST /v1/completions": {`{"prompt":"a","stop":["b"],"stream_options":{"include_usage":true},"logit_bias":{"1":1}}`,
		`{"prompt":["a",[1,2]],"stop":"b","logprobs":1,"echo":true}`, `{"prompt":[1,2],"regex":"a+","n":2,"best_of":3}`, `{"prompt":"a","stream":true}`},
	"POST /v1/chat/completions": chatBodies, "POST /v1/chat/completions/render": chatBodies,
	"POST /v1/responses": slices.Concat(inputBodies, []string{`{"input":"a","max_output_tokens":5,"text":{"format":{"type":"json_object","name":"n","strict":true}}}`,
		`{"input":"a","text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object"},"strict":true}}}`,
		`{"input":"a","metadata":{"a":"b"},"stream_options":{},"prompt_cache_options":{"prewarm":false},"include":["reasoning.encrypted_content"]}`,
		`{"input":"a","reasoning":{"effort":"low","summary":"auto","context":"all_turns","mode":"standard"}}`}),
	"POST /v1/responses/input_tokens": inputBodies,
	"POST /v1/messages":               withMax(talkBodies), "POST /v1/messages/count_tokens": talkBodies,
	"POST /v1/embeddings": {`{"input":["a",[1,2]],"dimensions":4}`, `{"input":[1,2]}`, `{"input":"a"}`},
	"POST /tokenize": {`{"prompt":"a","return_token_strs":true}`,
		aChatBegin + `,"tools":[` + aTool + `],"chat_template_kwargs":{"enable_thinking":true}}`},
	"POST /detokenize":        {`{"tokens":[1,2]}`},
	"POST /v1/states/picture": {`{"prompt":"a","size":4,"layer":1,"head":2}`, `{"prompt":[1,2]}`, aChatBegin + `,"tools":[` + aTool + `],"size":2048}`},
	"POST /v1/states": {`{"prompt":"a","name":"n"}`, `{"prompt":[1,2]}`, aChatBegin + `,"tools":[` + aTool + `]}`,
		`{"messages":[{"role":"system","content":"a"}]}`},
	"POST /v1/states/{id}/fork": {`{"name":"n"}`},
	"POST /v1/batches":          {`{"input_file_id":"file-a","endpoint":"/v1/completions","completion_window":"24h","metadata":{"a":"b"}}`},
}

var chatBodies = []string{
	aChatBegin + `,"logprobs":true,"stop":["b"],"stream_options":{"include_usage":true},"logit_bias":{"1":1},"chat_template_kwargs":{"enable_thinking":true}}`,
	aChatBegin + `,"tools":[` + aTool + `,` + strings.Replace(aFlatTool, `"f"`, `"g"`, 1) + `],"tool_choice":{"type":"function","function":{"name":"f"}}}`,
	aChatBegin + `,"tools":[` + aTool + `],"tool_choice":{"type":"function","name":"f"}}`,
	aChatBegin + `,"grammar":"","regex":""}`,
	aChatBegin + `,"response_format":{"type":"json_object"},"metadata":{"a":"b"},"modalities":["text"],"stream_options":{"include_obfuscation":false}}`,
	aChatBegin + `,"response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":{"type":"object"}}}}`,
	`{"messages":[{"role":"system","content":[{"type":"text","text":"s"}]},{"role":"user","content":"a"},
		{"role":"assistant","content":"b","reasoning_content":"r","reasoning":"q","tool_calls":[` + aCall + `]},{"role":"tool","content":"o","tool_call_id":"c"},
		{"role":"assistant","content":null,"tool_calls":[` + aCall + `]},{"role":"assistant","reasoning":"r"},
		{"role":"assistant","content":[{"type":"text","text":"t"},{"type":"refusal","refusal":"r"}]},{"role":"user","content":[]}]}`,
}

var inputBodies = []string{
	`{"input":"a","instructions":"i"}`,
	`{"input":"a","tools":[` + aTool + `,` + strings.Replace(aFlatTool, `"f"`, `"g"`, 1) + `],"tool_choice":{"type":"function","name":"f"},"reasoning":{"effort":"low","context":"auto","mode":"standard"}}`,
	`{"input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"a"}]},{"role":"assistant","content":[{"type":"output_text","text":"b"},{"type":"refusal","refusal":"c"}]},
		{"type":"reasoning","content":[{"type":"reasoning_text","text":"r"}]},{"type":"function_call","name":"f","arguments":"{}","call_id":"c"},
		{"type":"function_call_output","call_id":"c","output":[{"type":"input_text","text":"o"}]},{"role":"user","content":"a"}]}`,
}

var talkBodies = []string{
	`{"messages":[{"role":"user","content":"a"}],"system":[{"type":"text","text":"s"}],"thinking":{"type":"adaptive","budget_tokens":0},"output_config":{"effort":"low"}}`,
	`{"messages":[{"role":"user","content":"a"}],"output_config":{"format":{"type":"json_schema","schema":{"type":"object"}}}}`,
	`{"messages":[{"role":"user","content":"a"}],"system":"s","thinking":{"type":"enabled","budget_tokens":1}}`,
	`{"messages":[{"role":"user","content":"a"}],"tools":[{"type":"custom","name":"f","description":"d","input_schema":{"type":"object"}}],"tool_choice":{"type":"tool","name":"f"}}`,
	`{"messages":[{"role":"user","content":"a"}],"tools":[{"name":"f"}],"tool_choice":{"type":"any","disable_parallel_tool_use":true}}`,
	`{"messages":[{"role":"system","content":[{"type":"text","text":"s"}]},{"role":"user","content":[{"type":"text","text":"a"}]},
		{"role":"assistant","content":[{"type":"text","text":"b"},{"type":"thinking","thinking":"t"},{"type":"tool_use","id":"u","name":"f","input":{}}]},
		{"role":"user","content":[{"type":"tool_result","tool_use_id":"u","content":[{"type":"text","text":"o"}]},{"type":"text","text":"c"}]}]}`,
}

func withMax(list []string) (out []string) {
	for _, body := range list {
		out = append(out, `{"max_tokens":100,`+body[1:])
	}
	return append(out, `{"max_tokens":100,"stop_sequences":["x"],"messages":[{"role":"user","content":"a"}]}`)
}

// readInto are the structs that bodies are read into. What chats have of messages and tools is read by package prompt: values of
// other kinds are refused there, which TestDescribedBodies shows.
var readInto = map[string]reflect.Type{
	"POST /v1/completions":             reflect.TypeFor[openai.CompletionRequest](),
	"POST /v1/chat/completions":        reflect.TypeFor[openai.ChatRequest](),
	"POST /v1/chat/completions/render": reflect.TypeFor[openai.ChatRequest](),
	"POST /v1/responses":               reflect.TypeFor[openai.ResponseRequest](),
	"POST /v1/responses/input_tokens":  reflect.TypeFor[openai.ResponseConversation](),
	"POST /v1/messages":                reflect.TypeFor[anthropic.MessageRequest](),
	"POST /v1/messages/count_tokens":   reflect.TypeFor[anthropic.Conversation](),
	"POST /v1/embeddings":              reflect.TypeFor[openai.EmbeddingRequest](),
	"POST /tokenize":                   reflect.TypeFor[openai.TokenizeRequest](),
	"POST /detokenize":                 reflect.TypeFor[openai.DetokenizeRequest](),
	"POST /v1/states":                  reflect.TypeFor[openai.StateRequest](),
	"POST /v1/states/picture":          reflect.TypeFor[openai.PictureRequest](),
	"POST /v1/states/{id}/fork":        reflect.TypeFor[openai.ForkRequest](),
	"POST /v1/batches":                 reflect.TypeFor[batches.BatchRequest](),
}

// Each member that is read is described, and each that is described is read.
func TestDescribedFields(t *testing.T) {
	c := newDescription(t, 10)
	as := map[reflect.Type]reflect.Type{reflect.TypeFor[openai.ToolChoice](): reflect.TypeFor[openai.NamedTool]()}
	for _, operation := range c.Operations() {
		if body := readInto[operation]; body != nil {
			for _, difference := range c.Fields(operation, body, as) {
				t.Errorf("%s: %s", operation, difference)
			}
		} else if c.HasBody(operation) {
			t.Errorf("%s: want the struct that its body is read into in the list of this test", operation)
		}
		if len(bodies[operation]) == 0 && readInto[operation] != nil {
			t.Errorf("%s: want bodies in the list of this test", operation)
		}
	}
}

// What the description allows is taken, and what it does not allow is refused by an error that names the field: each member of
// each body gets values of all kinds and at all bounds.
func TestDescribedBodies(t *testing.T) {
	s, excused := serve(t, nil), unsaid(t)
	each := 1
	if testing.Short() {
		each = 20
	}
	for operation, list := range bodies {
		method, path, _ := strings.Cut(operation, " ")
		n, added := 0, map[string]bool{}
		for _, body := range list {
			changes, err := description(t, s.model.What.Vocab).Mutations(operation, body)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range changes {
				key := indices.ReplaceAllString(m.Path, "") + fmt.Sprint(m.Value)
				if m.Added && added[key] {
					continue // once is enough for what no body has
				}
				added[key] = m.Added
				if n++; n%each != 0 {
					continue
				}
				w := httptest.NewRecorder()
				s.s.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(string(m.Body))))
				refused := w.Code == http.StatusBadRequest
				if w.Code != http.StatusOK && w.Code != http.StatusNotFound && !refused {
					t.Errorf("%s: %.300s: status %d: %s", operation, m.Body, w.Code, w.Body)
				}
				if refused == m.Valid && !(refused && excused.MatchString(w.Body.String())) {
					value, _ := json.Marshal(m.Value) // of which the body was made
					t.Errorf("%s: %s = %.200s: described as valid: %v, status %d: %.300s\nin %.300s", operation, m.Path, value, m.Valid, w.Code, w.Body, m.Body)
				}
			}
		}
		t.Logf("%s: %d bodies", operation, n)
	}
}

// indices matches the numbers of elements in the path of a value.
var indices = regexp.MustCompile(`\d+`)

// unsaid matches the messages of testdata/unsaid.txt: of values that match their schemas and cannot be used, beside others of the
// body. The description says so in words.
func unsaid(t *testing.T) *regexp.Regexp {
	t.Helper()
	text, err := os.ReadFile("testdata/unsaid.txt")
	if err != nil {
		t.Fatal(err)
	}
	re, err := regexp.Compile(strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", "|"))
	if err != nil {
		t.Fatal(err)
	}
	return re
}
