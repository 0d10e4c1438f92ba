package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// ask sends a chat and returns the status, the message and how it ended.
func ask(t *testing.T, url, body string) (status int, content, call, reason string) {
	t.Helper()
	answer, err := http.Post(url+"/v1/chat/completions", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var a struct {
		Choices []struct {
			Message struct {
				Content   string
				ToolCalls []struct {
					Function struct{ Name, Arguments string }
				} `json:"tool_calls"`
			}
			Reason string `json:"finish_reason"`
		}
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK {
		return answer.StatusCode, string(text), "", ""
	}
	if err := json.Unmarshal(text, &a); err != nil {
		t.Fatal(err)
	}
	m := a.Choices[0].Message
	for _, c := range m.ToolCalls {
		call += c.Function.Name + " " + c.Function.Arguments
	}
	return answer.StatusCode, m.Content, call, a.Choices[0].Reason
}

func TestAnswers(t *testing.T) {
	m, s, err := newServer("", io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(s)
	defer web.Close()
	const (
		tools  = `,"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"n":{"type":"integer"},"s":{"type":"string"}},"required":["n","s"],"additionalProperties":false}}},{"type":"function","function":{"name":"g"}}]`
		schema = `,"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object","properties":{"a":{"type":"string","minLength":2},"b":{"enum":[7]},"c":{"type":"boolean"}},"required":["a","b"],"additionalProperties":false}}}`
	)
	for _, c := range []struct{ message, fields, content, call, reason string }{
		{`write \" two\\nlines\"`, "", "two\nlines", "", "stop"},
		{"Hi", "", "You said: Hi", "", "stop"},
		{"show", "", `"User: show\n\nAssistant:"`, "", "stop"},
		{"Take 23.", tools, "", `f {"n":23,"s":"Take 23."}`, "tool_calls"},
		{"Take 23.", tools + `,"tool_choice":"required"`, "", `f {"n":23,"s":"Take 23."}`, "tool_calls"},
		{"Take 23.", tools + `,"tool_choice":{"type":"function","function":{"name":"g"}}`, "", `g {}`, "tool_calls"},
		{"Take 23.", tools + `,"think":"free"`, "", `f {"n":23,"s":"Take 23."}`, "tool_calls"},
		{"Hi", `,"think":"short"`, "You said: Hi (think a bit)", "", "stop"},
		{"Take 23.", tools + `,"tool_choice":"none"`, "You said: Take 23.", "", "stop"},
		{"Hi", schema, `{"a":"00","b":7}`, "", "stop"},
		{"Hi", schema + `,"think":"short"`, `{"a":"00","b":7}`, "", "stop"},
		{"Hi", schema + `,"think":"fast"`, `{"a":"00","b":7}`, "", "stop"},
		{"Hi", `,"response_format":{"type":"json_object"}`, "{}", "", "stop"},
		{"With 'setup' and 'end'.", `,"response_format":{"type":"json_object"}`, `{"setup":"a setup","end":"a end"}`, "", "stop"},
	} {
		status, content, call, reason := ask(t, web.URL, `{"messages":[{"role":"user","content":"`+c.message+`"}]`+c.fields+"}")
		if status != http.StatusOK || content != c.content || call != c.call || reason != c.reason {
			t.Errorf("%s%s: %d, %q, %q, %q", c.message, c.fields, status, content, call, reason)
		}
	}
	_, content, _, _ := ask(t, web.URL, `{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]},
		{"role":"tool","tool_call_id":"1","content":"42"}]`+tools+"}")
	if content != "The tool says: 42" {
		t.Errorf("behind a tool's output: %q", content)
	}
	for i, want := range []int{http.StatusTooManyRequests, http.StatusTooManyRequests, http.StatusOK, http.StatusOK} {
		if status, content, _, _ := ask(t, web.URL, `{"messages":[{"role":"user","content":"busy 2 test"}]}`); status != want {
			t.Errorf("try %d: %d %s", i, status, content)
		}
	}
	if n := m.Open(); n != 0 {
		t.Errorf("%d answers are open", n)
	}
}

// An answer that hangs comes up to where it hangs, and ends when its reader leaves.
func TestHanging(t *testing.T) {
	m, s, err := newServer("key", io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(s)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, web.URL+"/v1/completions", strings.NewReader(`{"prompt":"hang \"one two\"","stream":true}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer key")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text := ""
	for b := make([]byte, 4096); !strings.Contains(text, " two"); {
		n, err := answer.Body.Read(b)
		if text += string(b[:n]); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
	}
	if n := m.Open(); n != 1 {
		t.Errorf("%d answers are open, want 1", n)
	}
	leave()
	web.Close() // waits for the handlers
	if n := m.Open(); n != 0 {
		t.Errorf("%d answers are open", n)
	}
}
