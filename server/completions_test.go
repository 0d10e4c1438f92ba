package server_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/server/openai"
)

// complete asks for a completion, which has to succeed.
func (s *served) complete(t *testing.T, body string) openai.Completion {
	t.Helper()
	status, _, text := s.call(t, "POST", "/v1/completions", body)
	var got openai.Completion
	if err := json.Unmarshal([]byte(text), &got); err != nil || status != 200 {
		t.Fatalf("%s: %d, %v: %s", body, status, err, text)
	}
	return got
}

// pieces asks for a completion in a stream, which has to end well, and returns its pieces.
func (s *served) pieces(t *testing.T, body string) (list []openai.Completion) {
	t.Helper()
	status, _, text := s.call(t, "POST", "/v1/completions", body)
	events, ended := strings.CutSuffix(text, "data: [DONE]\n\n")
	if status != 200 || !ended {
		t.Fatalf("%s: %d: %q", body, status, text)
	}
	for event := range strings.SplitSeq(strings.TrimSpace(events), "\n\n") {
		var piece openai.Completion
		if err := json.Unmarshal([]byte(strings.TrimPrefix(event, "data: ")), &piece); err != nil {
			t.Fatalf("%q: %v", event, err)
		}
		list = append(list, piece)
	}
	return list
}

// A prompt of ids may end within a character. Its echo is a text all the same.
func TestEchoHalfCharacter(t *testing.T) {
	s := serve(t, nil)
	half := s.model.Tok.Bytes(233) // the first byte of a character
	if len(half) != 1 || half[0] < 0xc2 {
		t.Fatalf("token 233 is %q", half)
	}
	const want = "\ufffd there"
	if got := s.complete(t, `{"prompt":[[233]],"echo":true,"max_tokens":1}`).Choices[0].Text; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	text := ""
	for _, piece := range s.pieces(t, `{"prompt":[[233]],"echo":true,"max_tokens":1,"stream":true}`) {
		text += piece.Choices[0].Text
	}
	if text != want {
		t.Errorf("in a stream: %q, want %q", text, want)
	}
}
