package server_test

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	client "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/responses"

	"github.com/rwkv-gpu/rwkv-gpu/server/openai"
)

// treatment is what becomes of a field of a request.
type treatment struct {
	how   string // obeyed, shown (in the answer, as it was sent), left out, or refused
	value string // to try it with
}

// chatFields says what becomes of each field that OpenAI's client can send to /v1/chat/completions.
var chatFields = map[string]treatment{
	"messages": {"obeyed", ""}, "model": {"obeyed", ""}, "frequency_penalty": {"obeyed", ""}, "logprobs": {"obeyed", ""},
	"max_completion_tokens": {"obeyed", ""}, "max_tokens": {"obeyed", ""}, "n": {"obeyed", ""}, "presence_penalty": {"obeyed", ""},
	"seed": {"obeyed", ""}, "temperature": {"obeyed", ""}, "top_logprobs": {"obeyed", ""}, "top_p": {"obeyed", ""},
	"parallel_tool_calls": {"obeyed", ""}, "logit_bias": {"obeyed", ""}, "reasoning_effort": {"obeyed", ""}, "stop": {"obeyed", ""},
	"stream_options": {"obeyed", ""}, "response_format": {"obeyed", ""}, "tool_choice": {"obeyed", ""}, "tools": {"obeyed", ""},
	"modalities": {"obeyed", `["text"]`}, "metadata": {"obeyed", `{"a":"b"}`}, "service_tier": {"obeyed", `"flex"`},

	"store": {"left out", `true`}, "user": {"left out", `"u"`}, "safety_identifier": {"left out", `"u"`},
	"prompt_cache_key": {"left out", `"k"`}, "prompt_cache_retention": {"left out", `"24h"`}, "prompt_cache_options": {"left out", `{"ttl":"30m"}`},
	"verbosity": {"left out", `"low"`}, "prediction": {"left out", `{"type":"content","content":"x"}`},

	"audio": {"refused", `{"voice":"alloy","format":"wav"}`}, "functions": {"refused", `[{"name":"f"}]`}, "function_call": {"refused", `"auto"`},
	"moderation": {"refused", `{"model":"m"}`}, "web_search_options": {"refused", `{}`},
}

// responseFields says it for /v1/responses.
var responseFields = map[string]treatment{
	"input": {"obeyed", ""}, "model": {"obeyed", ""}, "instructions": {"shown", `"Be kind."`}, "max_output_tokens": {"shown", `9`},
	"parallel_tool_calls": {"shown", `false`}, "previous_response_id": {"obeyed", ""}, "store": {"shown", `false`}, "temperature": {"shown", `0.5`},
	"top_logprobs": {"shown", `0`}, "top_p": {"shown", `0.25`}, "include": {"obeyed", `["reasoning.encrypted_content","message.output_text.logprobs"]`}, "metadata": {"shown", `{"a":"b"}`},
	"stream_options": {"obeyed", `{}`}, "service_tier": {"left out", `"priority"`}, "truncation": {"shown", `"auto"`}, "max_tool_calls": {"shown", `3`},
	"reasoning": {"shown", `{"context":"all_turns","effort":"low","summary":"auto"}`}, "text": {"shown", `{"format":{"type":"text"}}`},
	"tool_choice": {"shown", `"none"`}, "tools": {"shown", `[{"type":"function","name":"f"}]`},
	"prompt_cache_key": {"shown", `"k"`}, "safety_identifier": {"shown", `"s"`}, "user": {"shown", `"u"`},

	"prompt_cache_retention": {"left out", `"24h"`}, "prompt_cache_options": {"obeyed", `{"ttl":"30m","prewarm":false}`},

	"background": {"refused", `true`}, "conversation": {"refused", `"conv_1"`}, "prompt": {"refused", `{"id":"p"}`}, "moderation": {"refused", `{"model":"m"}`},
	"context_management": {"refused", `[{"type":"compaction"}]`},
}

// newerFields says it for fields of /v1/responses that OpenAI's Python client 3.57.0 has besides.
var newerFields = map[string]treatment{
	"image": {"left out", `{"context_compression":"auto"}`}, "access_programs": {"refused", `{"cyber":"standard"}`},
	"background_options": {"refused", `{"completion_window":"2h"}`},
}

// names returns the names of a struct's fields in JSON, with those of structs in it.
func names(t reflect.Type, to map[string]bool) map[string]bool {
	for i := range t.NumField() {
		f := t.Field(i)
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			to[name] = true
		} else if f.Anonymous && f.Type.Kind() == reflect.Struct {
			names(f.Type, to)
		}
	}
	return to
}

// Each field that OpenAI's client can send is obeyed, or left out as docs/serve.md says, or refused by its name.
func TestFieldsOfProtocol(t *testing.T) {
	s := answers(t, ">\nHm\n</think>\nHello")
	manual, err := os.ReadFile("../docs/serve.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path, body string
		sends      reflect.Type
		reads      any
		fields     map[string]treatment
	}{
		{"/v1/chat/completions", `{"messages":[{"role":"user","content":"Hi"}]`, reflect.TypeFor[client.ChatCompletionNewParams](), openai.ChatRequest{}, chatFields},
		{"/v1/responses", `{"input":"Hi"`, reflect.TypeFor[responses.ResponseNewParams](), openai.ResponseRequest{}, responseFields},
		{"/v1/responses", `{"input":"Hi"`, nil, openai.ResponseRequest{}, newerFields},
	} {
		sent, read := map[string]bool{}, names(reflect.TypeOf(c.reads), map[string]bool{})
		if c.sends != nil {
			names(c.sends, sent)
		}
		for name := range sent {
			if _, there := c.fields[name]; !there {
				t.Errorf("%s: nobody has decided what becomes of %s", c.path, name)
			}
		}
		for name, f := range c.fields {
			if !sent[name] && c.sends != nil {
				t.Errorf("%s: the client cannot send %s", c.path, name)
			}
			if read[name] == (f.how == "left out") {
				t.Errorf("%s: %s is %s, and is read: %v", c.path, name, f.how, read[name])
			}
			if (f.how == "left out" || f.how == "refused") && !strings.Contains(string(manual), "`"+name+"`") {
				t.Errorf("docs/serve.md does not say that %s is %s", name, f.how)
			}
			if f.value == "" {
				continue
			}
			status, _, body := s.call(t, "POST", c.path, fmt.Sprintf(`%s,%q:%s}`, c.body, name, f.value))
			if f.how == "refused" {
				wantError(t, c.path, status, 400, body, name, "want ")
				continue
			}
			var got map[string]any
			if err := json.Unmarshal([]byte(body), &got); err != nil || status != 200 {
				t.Errorf("%s: %s: %d: %s", c.path, name, status, body)
				continue
			}
			var want any
			if err := json.Unmarshal([]byte(f.value), &want); err != nil {
				t.Fatal(err)
			}
			if f.how == "shown" && !reflect.DeepEqual(got[name], want) {
				t.Errorf("%s: %s: sent %s, shown %v", c.path, name, f.value, got[name])
			}
			if _, there := got["service_tier"]; c.path == "/v1/chat/completions" && there != (name == "service_tier") || there && got["service_tier"] != "default" {
				t.Errorf("%s: %s: the tier is %v", c.path, name, got["service_tier"])
			}
		}
	}
}

// Values that cannot be obeyed are refused in fields that otherwise are.
func TestRefusedValues(t *testing.T) {
	s := answers(t, "x")
	for _, c := range []struct{ path, field, param, part string }{
		{"/v1/chat/completions", `"modalities":["text","audio"]`, "modalities[1]", "text"},
		{"/v1/chat/completions", `"stream_options":{"include_obfuscation":true}`, "stream_options.include_obfuscation", "false"},
		{"/v1/chat/completions", `"metadata":{"a":1}`, "metadata.a", "a string"},
		{"/v1/chat/completions", `"messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{}}]}]`, "messages[0].content[0].type", "text"},
		{"/v1/chat/completions", `"tools":[{"type":"custom","custom":{"name":"x"}}]`, "tools[0].type", "function"},
		{"/v1/chat/completions", `"tool_choice":{"type":"allowed_tools","allowed_tools":{}}`, "tool_choice", "another object"},
		{"/v1/completions", `"stream_options":{"include_obfuscation":true}`, "stream_options.include_obfuscation", "false"},
		{"/v1/responses", `"stream_options":{"include_obfuscation":true}`, "stream_options.include_obfuscation", "false"},
		{"/v1/responses", `"prompt_cache_options":{"prewarm":true}`, "prompt_cache_options.prewarm", "false"},
		{"/v1/responses", `"truncation":"middle"`, "truncation", "auto or disabled"},
		{"/v1/responses", `"include":["message.output_text"]`, "include[0]", "reasoning.encrypted_content"},
		{"/v1/responses", `"max_tool_calls":0`, "max_tool_calls", "from 1"},
		{"/v1/responses", `"reasoning":{"context":"x"}`, "reasoning.context", "all_turns"},
		{"/v1/responses", `"reasoning":{"mode":"pro"}`, "reasoning.mode", "standard"},
		{"/v1/responses", `"metadata":{"a":["b"]}`, "metadata.a", "a string"},
	} {
		base := map[string]string{"/v1/chat/completions": `"messages":[{"role":"user","content":"Hi"}]`, "/v1/completions": `"prompt":"a"`, "/v1/responses": `"input":"Hi"`}[c.path]
		if strings.HasPrefix(c.field, `"messages"`) {
			base = `"n":1`
		}
		status, _, body := s.call(t, "POST", c.path, "{"+base+","+c.field+"}")
		wantError(t, c.field, status, 400, body, c.param, c.part)
	}
	if n := len(s.model.Asked()); n != 0 {
		t.Errorf("the model was asked %d times", n)
	}
}
