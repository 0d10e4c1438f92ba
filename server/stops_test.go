package server_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/server/anthropic"
)

// A client's stop strings count in the content of an answer: not within a thought, its tags and the white space around
// it.
func TestStopsOfClients(t *testing.T) {
	for _, c := range []struct {
		answer, think, stop string
		content, reasoning  string
	}{
		{">\nA fox, so stop.\n</think>\n\nHello fox, so there.", "free", " so", "Hello fox,", "A fox, so stop.\n"},
		{">\nHm.</think>Hello\nthere", "free", "\\n", "Hello", "Hm."},
		{" <think>\nA\nB\n</think>\n\nHello\nthere", "off", "\\n", "Hello", "A\nB\n"},
		{">\n\nHello\nthere", "fast", "\\n", "Hello", ""},
		{">\nHello > there", "fast", ">", "Hello ", ""},
		{"\n\nHello\n\nthere", "off", "\\n\\n", "Hello", ""},
		{"<table>", "off", "<t", "", ""},
		{">\nA fox\n\nUser: so", "free", "so", "", "A fox"}, // the dialect's own
	} {
		s := answers(t, c.answer)
		for _, stream := range []bool{false, true} {
			_, _, body := s.call(t, "POST", "/v1/chat/completions", fmt.Sprintf(
				`{"messages":[{"role":"user","content":"Hi"}],"think":%q,"stop":"%s","stream":%v}`, c.think, c.stop, stream))
			content, reasoning := read(t, body, stream)
			if content != c.content || reasoning != c.reasoning {
				t.Errorf("%q, stop %q, stream %v: %q, %q", c.answer, c.stop, stream, content, reasoning)
			}
		}
		_, _, body := s.call(t, "POST", "/v1/messages", fmt.Sprintf(
			`{"messages":[{"role":"user","content":"Hi"}],"think":%q,"stop_sequences":["%s"],"max_tokens":100}`, c.think, c.stop))
		var m anthropic.Message
		if err := json.Unmarshal([]byte(body), &m); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
		content, reasoning := "", ""
		for _, b := range m.Content {
			if b.Text != nil {
				content += *b.Text
			}
			if b.Thinking != nil {
				reasoning += *b.Thinking
			}
		}
		if content != c.content || reasoning != c.reasoning {
			t.Errorf("%q, stop %q: a message of %q, %q", c.answer, c.stop, content, reasoning)
		}
	}
}

// A call that the client has asked for is whole, whatever its stop strings.
func TestStopsInCalls(t *testing.T) {
	s := answers(t, "\n{\"name\":\"look\",\"arguments\":{\"at\":\"x\"}}\n```")
	_, _, body := s.call(t, "POST", "/v1/chat/completions", `{"messages":[{"role":"user","content":"Hi"}],"stop":["\n","{"],
		"tools":[{"type":"function","function":{"name":"look"}}],"tool_choice":"required"}`)
	var got struct {
		Choices []struct {
			Message struct {
				Calls []struct {
					Function struct{ Name, Arguments string }
				} `json:"tool_calls"`
			}
		}
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil || len(got.Choices) != 1 {
		t.Fatalf("%v: %s", err, body)
	}
	if calls := got.Choices[0].Message.Calls; len(calls) != 1 || calls[0].Function.Arguments != `{"at":"x"}` {
		t.Errorf("%s", body)
	}
}
