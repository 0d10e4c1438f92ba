package server_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestTokens(t *testing.T) {
	s := serve(t, nil)
	for _, text := range []string{"", "Once upon a time", "a<|endoftext|>b", "<|endoftext|>", "€ and 你好"} {
		question, _ := json.Marshal(map[string]any{"prompt": text, "add_special_tokens": false, "return_token_strs": true})
		_, _, body := s.call(t, "POST", "/tokenize", string(question))
		var got struct {
			Count  int
			Tokens []int
			Names  []string `json:"token_strs"`
		}
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatal(err)
		}
		ends := 0
		for _, id := range got.Tokens {
			if id == 0 {
				ends++
			}
		}
		if got.Count != len(got.Tokens) || len(got.Names) != got.Count || ends != strings.Count(text, "<|endoftext|>") {
			t.Errorf("%q: %s", text, body)
		}
		back, _ := json.Marshal(map[string]any{"tokens": got.Tokens})
		if _, _, body := s.call(t, "POST", "/detokenize", string(back)); !jsonEqual(body, map[string]string{"prompt": text}) {
			t.Errorf("%q: back: %s", text, body)
		}
	}
	if _, _, body := s.call(t, "GET", "/tokenizer_info", ""); !strings.Contains(body, `"eos_token":"<|endoftext|>"`) {
		t.Error(body)
	}
	if status, _, body := s.call(t, "POST", "/tokenize", `{"prompt":"a","messages":null}`); status != 200 {
		t.Errorf("messages of null beside a prompt: %d %s", status, body)
	}
	for body, param := range map[string]string{`{}`: "prompt", `{"prompt":"a","messages":[]}`: "messages", `{"prompt":3}`: "prompt"} {
		status, _, got := s.call(t, "POST", "/tokenize", body)
		wantError(t, body, status, 400, got, param, "want")
	}
	for body, param := range map[string]string{`{}`: "tokens", `{"tokens":[1,"a"]}`: "tokens[1]", `{"tokens":[-1]}`: "tokens[0]"} {
		status, _, got := s.call(t, "POST", "/detokenize", body)
		wantError(t, body, status, 400, got, param, "want")
	}
}

// What /render shows of a chat is what the model gets.
func TestRender(t *testing.T) {
	s := serve(t, nil)
	const chat = `{"messages":[{"role":"system","content":"Be kind."},{"role":"user","content":"Hi"}],"think":"free"}`
	_, _, body := s.call(t, "POST", "/v1/chat/completions/render", chat)
	var got struct {
		Prompt string
		Tokens []int
		Stop   []string
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	s.call(t, "POST", "/v1/chat/completions", chat)
	asked := s.model.Asked()[0]
	var ids []int
	for _, part := range asked.Segments {
		var err error
		if ids, err = s.model.Tok.AppendEncode(ids, []byte(part.Text)); err != nil {
			t.Fatal(err)
		}
	}
	if got.Prompt != "System: Be kind.\n\nUser: Hi\n\nAssistant: <think" || got.Prompt != segmentsText(asked) || !slices.Equal(got.Tokens, ids) || !slices.Equal(got.Stop, asked.Stop) {
		t.Errorf("%s", body)
	}
	for field, param := range map[string]string{`"n":0`: "n", `"regex":"("`: "regex", `"regex":"a","grammar":"root ::= \"a\""`: "regex"} {
		status, _, body := s.call(t, "POST", "/v1/chat/completions/render", chat[:len(chat)-1]+","+field+"}")
		wantError(t, field, status, 400, body, param, "")
	}
	if _, _, body := s.call(t, "POST", "/tokenize", chat); !jsonEqual(body, map[string]any{"count": len(ids), "max_model_len": 1<<31 - 1, "tokens": ids}) {
		t.Errorf("tokenize: %s, want %v", body, ids)
	}
}

// jsonEqual reports whether a body says what want does.
func jsonEqual(body string, want any) bool {
	text, err := json.Marshal(want)
	var a, b any
	return err == nil && json.Unmarshal([]byte(body), &a) == nil && json.Unmarshal(text, &b) == nil && reflect.DeepEqual(a, b)
}
