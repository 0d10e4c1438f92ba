package local_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/server/openai"
)

// A model that wants nothing but "</" begins its thought all the same, where the prompt opens one, also where the
// answer is held to a form.
func TestThoughtBegins(t *testing.T) {
	web := serveDemo(t)
	tok, err := load.Vocabulary(load.Options{})
	if err != nil {
		t.Fatal(err)
	}
	bias := ""
	for i, text := range []string{"<", "/", ">"} {
		ids, err := tok.AppendEncode(nil, []byte(text))
		if err != nil || len(ids) != 1 {
			t.Fatalf("%q is %v, %v", text, ids, err)
		}
		bias += fmt.Sprintf(`,"%d":%d`, ids[0], 100-20*i)
	}
	begun := regexp.MustCompile(`^>\s*([^\s<]|<[^/])`)
	for _, c := range []struct {
		fields string
		begun  bool
	}{
		{`"think":"free"`, true},
		{`"think":"short"`, true},
		{`"think":"long","response_format":{"type":"json_object"}`, true},
		{`"think":"fast"`, false},
		{`"think":"off"`, false},
	} {
		body := `{"messages":[{"role":"user","content":"Hi"}],"temperature":0,"max_tokens":8,"logprobs":true,"frequency_penalty":2,` + c.fields + `,"logit_bias":{` + bias[1:] + `}}`
		r, err := http.Post(web.URL+"/v1/chat/completions", "", bytes.NewReader([]byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r.Body)
		r.Body.Close()
		var got openai.Chat
		if err == nil {
			err = json.Unmarshal(data, &got)
		}
		if err != nil || len(got.Choices) != 1 || got.Choices[0].Logprobs == nil {
			t.Fatalf("%s (%v)", data, err)
		}
		text := ""
		for _, token := range got.Choices[0].Logprobs.Content {
			text += token.Token
		}
		if begun.MatchString(text) != c.begun {
			t.Errorf("%s: the answer begins %q", c.fields, text)
		}
	}
}
