package prompt

import (
	"encoding/json"
	"os"
	"reflect"
	"testing"
)

// templates is testdata/reference.json, which testdata/reference.py wrote with an independent template.
type templates struct {
	Prompts []struct {
		Template, Think, Prompt string
		Messages, Tools         json.RawMessage
	}
	Literals []struct{ Python, JSON string }
	Answers  []struct {
		Text  string
		Calls []struct{ Name, Arguments string }
	}
}

func references(t *testing.T) (r templates) {
	t.Helper()
	data, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// The dialects that transformers-rwkv has a template for are written as it writes them.
func TestReference(t *testing.T) {
	tools, calls := 0, 0
	for i, c := range references(t).Prompts {
		messages, err := ParseMessages("messages", c.Messages)
		if err != nil {
			t.Fatal(err)
		}
		list, err := ParseTools("tools", c.Tools)
		if err != nil {
			t.Fatal(err)
		}
		p, err := named(c.Template).Render(messages, Options{Think: Think(c.Think), Tools: list})
		if err != nil {
			t.Fatal(err)
		}
		if p.Text() != c.Prompt {
			t.Errorf("case %d, %s:\n got %q\nwant %q", i, c.Template, p.Text(), c.Prompt)
		}
		tools += len(list)
		for _, m := range messages {
			calls += len(m.Calls)
		}
	}
	if tools < 20 || calls < 20 {
		t.Errorf("%d tools and %d calls in the reference", tools, calls)
	}
}

// The calls in an answer are those that the parser of vllm-rwkv finds.
func TestReferenceCalls(t *testing.T) {
	calls, none := 0, 0
	for _, c := range references(t).Answers {
		p := opened(atHeader).Parser(ParserOptions{})
		p.Push(c.Text)
		p.End()
		got := p.Answer().Calls
		for i := range got {
			if i < len(c.Calls) && reflect.DeepEqual(decoded(t, got[i].Arguments), decoded(t, c.Calls[i].Arguments)) {
				got[i].Arguments = c.Calls[i].Arguments // the same, but for white space
			}
		}
		var want []Call
		for _, call := range c.Calls {
			want = append(want, Call{Name: call.Name, Arguments: call.Arguments})
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q:\n got %q\nwant %q", c.Text, got, want)
		}
		if calls += len(want); len(want) == 0 {
			none++
		}
	}
	if calls < 80 || none < 30 {
		t.Errorf("%d calls, and none in %d answers", calls, none)
	}
}

// Python literals are the values that Python says.
func TestPythonLiterals(t *testing.T) {
	list := references(t).Literals
	if len(list) < 50 {
		t.Errorf("%d literals", len(list))
	}
	for _, c := range list {
		if got, err := pythonJSON(c.Python); err != nil || got != c.JSON {
			t.Errorf("%s:\n got %s (%v)\nwant %s", c.Python, got, err, c.JSON)
		}
	}
	for in, want := range map[string]string{
		`('a', (1,), [2,],)`: `["a",[1],[2]]`, `{'x': 'it\'s\x41\u00e9\U0001f338\q'}`: `{"x":"it'sAé🌸\\q"}`,
		`{"a": "\ud83c\udf38", 'b': "\ud83c"}`: `{"a":"🌸","b":"` + "\ufffd" + `"}`, `{'n': -0.5e3}`: `{"n":-0.5e3}`,
	} {
		if got, err := pythonJSON(in); err != nil || got != want {
			t.Errorf("%s: got %s (%v), want %s", in, got, err, want)
		}
	}
	for _, in := range []string{``, `{`, `{'a'}`, `{'a': }`, `{a: 1}`, `['a' 'b']`, `[1] 2`, `'a`, `'\x4`, `'\`, `01`, `1.`, `.5`, `+1`, `0x10`, `nan`, `[,]`, `__import__('os')`} {
		if got, err := pythonJSON(in); err == nil {
			t.Errorf("%s was taken as %s", in, got)
		}
	}
}
