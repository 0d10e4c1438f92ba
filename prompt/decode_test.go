package prompt

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestParseMessages(t *testing.T) {
	got, err := ParseMessages("messages", []byte(`[
		{"role": "developer", "content": "d", "name": 7},
		{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "input_text", "text": "\u4f60\ud83c\udf38"}]},
		{"role": "assistant", "content": null, "reasoning": "r", "tool_calls": [
			{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\"x\": 1}"}},
			{"function": {"name": "g", "arguments": {"y": [ ]}}}, {"function": {"name": "h"}}]},
		{"role": "tool", "tool_call_id": "1", "content": ""},
		{"role": "assistant", "reasoning_content": "s", "reasoning": "r", "tool_calls": null},
		{"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}, {"type": "output_text", "text": "b"}]}
	]`))
	if _, err := ParseMessages("messages", []byte(`[{"role": "assistant", "reasoning_content": "s", "reasoning": 5}]`)); err == nil {
		t.Error("reasoning of 5 is taken beside reasoning_content")
	}
	want := []Message{
		{Role: System, Content: "d"}, {Role: User, Content: "a\n你🌸"},
		{Role: Assistant, Reasoning: "r", Calls: []Call{{"1", "f", `{"x": 1}`}, {"", "g", `{"y": [ ]}`}, {"", "h", ""}}},
		{Role: Output, CallID: "1"}, {Role: Assistant, Reasoning: "s"}, {Role: Assistant, Content: "no\nb"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("\n got %+v (%v)\nwant %+v", got, err, want)
	}
}

func TestParseTools(t *testing.T) {
	got, err := ParseTools("tools", []byte(`[{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": true}},
		{"name": "g", "parameters": null}, {"type": "function", "name": "h"}]`))
	want := []Tool{{"f", "d", []byte(`{"type": "object"}`)}, {"g", "", nil}, {"h", "", nil}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("\n got %+v (%v)\nwant %+v", got, err, want)
	}
}

// An error names the field, what was wanted and what was there.
func TestParseErrors(t *testing.T) {
	messages := func(data string) error {
		_, err := ParseMessages("messages", []byte(data))
		return err
	}
	tools := func(data string) error {
		_, err := ParseTools("tools", []byte(data))
		return err
	}
	long := strings.Repeat("x", 300)
	for _, c := range []struct {
		parse      func(string) error
		data, want string
	}{
		{messages, ``, `messages: want a list, got none`},
		{messages, `[{`, `messages: want JSON, got some that ends too early`},
		{messages, `[}`, `messages: want JSON, got an error at byte 2: invalid character '}' looking for beginning of value`},
		{messages, `[] 1`, `messages: want one JSON value, got more`},
		{messages, `[] }`, `messages: want JSON, got an error at byte `},
		{messages, `{}`, `messages: want a list, got an object`},
		{messages, `[]`, `messages: want at least one message, got none`},
		{messages, `["a"]`, `messages[0]: want an object, got a string`},
		{messages, `[{}]`, `messages[0].role: want system, developer, user, assistant or tool, got none`},
		{messages, `[{"role":"bot"}]`, `messages[0].role: want system, developer, user, assistant or tool, got "bot"`},
		{messages, `[{"role":"` + long + `"}]`, `messages[0].role: want system, developer, user, assistant or tool, got a string of 300 bytes`},
		{messages, `[{"role":"user"}]`, `messages[0].content: want a string or a list of parts, got none`},
		{messages, `[{"role":"user","content":null}]`, `messages[0].content: want a string or a list of parts, got null`},
		{messages, `[{"role":"user","content":1}]`, `messages[0].content: want a string or a list of parts, got a number`},
		{messages, `[{"role":"user","content":"a"},{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url"}]}]`,
			`messages[1].content[1].type: want text or input_text, got "image_url"`},
		{messages, `[{"role":"user","content":[{"type":"text"}]}]`, `messages[0].content[0].text: want a string, got none`},
		{messages, `[{"role":"user","content":[true]}]`, `messages[0].content[0]: want an object, got true or false`},
		{messages, `[{"role":"assistant"}]`, `messages[0].content: want a string or a list of parts, got none`},
		{messages, `[{"role":"assistant","content":"","reasoning_content":{}}]`, `messages[0].reasoning_content: want a string, got an object`},
		{messages, `[{"role":"assistant","tool_calls":{}}]`, `messages[0].tool_calls: want a list, got an object`},
		{messages, `[{"role":"assistant","tool_calls":[{}]}]`, `messages[0].tool_calls[0].function: want an object, got none`},
		{messages, `[{"role":"assistant","tool_calls":[{"type":"custom"}]}]`, `messages[0].tool_calls[0].type: want function, got "custom"`},
		{messages, `[{"role":"assistant","tool_calls":[{"id":1}]}]`, `messages[0].tool_calls[0].id: want a string, got a number`},
		{messages, `[{"role":"assistant","tool_calls":[{"function":{"name":""}}]}]`, `messages[0].tool_calls[0].function.name: want a name of a tool, got an empty string`},
		{messages, `[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":1}}]}]`,
			`messages[0].tool_calls[0].function.arguments: want a string or an object, got a number`},
		{messages, `[{"role":"tool","content":"a","tool_call_id":1}]`, `messages[0].tool_call_id: want a string, got a number`},
		{tools, `[{"type":"web_search"}]`, `tools[0].type: want function, got "web_search"`},
		{tools, `[{"type":"web_search","name":"a"}]`, `tools[0].type: want function, got "web_search"`},
		{tools, `[{}]`, `tools[0].function: want an object, got none`},
		{tools, `[{"function":{}}]`, `tools[0].function.name: want a string, got none`},
		{tools, `[{"name":"a` + "`" + `"}]`, `tools[0].name: want a name of a tool without control characters and backticks, got "a` + "`" + `"`},
		{tools, `[{"name":"` + long + `"}]`, `tools[0].name: want a name of a tool of at most 256 bytes, got 300 bytes`},
		{tools, `[{"name":"a","description":1}]`, `tools[0].description: want a string, got a number`},
		{tools, `[{"name":"a","parameters":[]}]`, `tools[0].parameters: want an object, got a list`},
	} {
		err := c.parse(c.data)
		var field *FieldError
		if !errors.As(err, &field) || !strings.HasPrefix(err.Error(), c.want) || len(err.Error()) > len(c.want)+120 {
			t.Errorf("%.200s: want %s, got %v", c.data, c.want, err)
		}
	}
}

// Whatever is sent, it is an error of a field or a conversation that every dialect writes.
func FuzzMessages(f *testing.F) {
	f.Add([]byte(`[{"role":"user","content":[{"type":"text","text":"a\n\nb"}]},{"role":"assistant","content":null,"tool_calls":[{"function":{"name":"f","arguments":"{\"a\":[1]}"}}]},{"role":"tool","content":"{}"}]`),
		[]byte(`[{"function":{"name":"f","parameters":{"properties":{"a":{}}}}}]`))
	f.Add([]byte(`[{"role":"system","content":"✿"},{"role":"assistant","content":"<think>a</think>b","reasoning":"c"}]`), []byte(`[]`))
	f.Fuzz(func(t *testing.T, data, list []byte) {
		messages, err := ParseMessages("messages", data)
		var field *FieldError
		if err != nil {
			if !errors.As(err, &field) {
				t.Fatalf("%v is no error of a field", err)
			}
			return
		}
		tools, err := ParseTools("tools", list)
		if err != nil {
			if !errors.As(err, &field) {
				t.Fatalf("%v is no error of a field", err)
			}
			tools = nil
		}
		for _, d := range Dialects() {
			for _, o := range []Options{{Tools: tools}, {KeepReasoning: true, Unclean: true}, {Continue: true}, {Think: ThinkShort}} {
				p, err := d.Render(messages, o)
				if err != nil {
					if !errors.As(err, &field) {
						t.Fatalf("%v is no error of a field", err)
					}
					continue
				}
				for _, s := range p.Segments {
					if s.Text == "" {
						t.Fatalf("an empty segment: %+v", s)
					}
				}
				feed(p.Parser(ParserOptions{}), p.Text())
			}
		}
	})
}
