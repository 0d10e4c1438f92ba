package server_test

import (
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/server/api"
)

// allowed reports how a request's constraint takes a text: to its end, and whether the text may end there.
func allowed(t *testing.T, s *served, r api.Request, text string) (fits, ends bool) {
	t.Helper()
	if r.Constraint == nil {
		return true, true
	}
	ids, err := s.model.Tok.AppendEncode(nil, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	c := r.Constraint.Clone()
	for i, id := range ids {
		if done, err := c.Accept(id); err != nil {
			return false, false
		} else if done {
			return i == len(ids)-1, true
		}
	}
	mask, err := c.Mask()
	free := mask == nil
	return true, err == nil && (free || mask[0]&1 != 0)
}

// What an answer may be is what the fields ask for, wherever thoughts end.
func TestForms(t *testing.T) {
	const messages = `{"messages":[{"role":"user","content":"Hi"}],`
	const schema = `"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object","properties":{"age":{"type":"integer"}},"required":["age"],"additionalProperties":false}}}`
	const tools = `"tools":[{"type":"function","function":{"name":"go","parameters":{"type":"object","properties":{"to":{"$ref":"#/$defs/place"}},"required":["to"],"additionalProperties":false,"$defs":{"place":{"enum":["north","south"]}}}}},{"type":"function","function":{"name":"stop"}}],`
	const functions = `"tools":[{"name":"go","parameters":{"type":"object","properties":{"to":{"enum":["north","south"]}},"required":["to"],"additionalProperties":false}},{"name":"stop"}],`
	for _, c := range []struct {
		path, body string
		good, bad  []string
	}{
		{"chat", `"response_format":{"type":"text"}}`, []string{"anything"}, nil},
		{"chat", `"response_format":{"type":"json_object"}}`, []string{` {"a": [1, {}]}`, "{}"}, []string{"[]", "1", "text"}},
		{"chat", schema + `}`, []string{`{"age": 3}`, "\n{\"age\":-1}"}, []string{`{"age":"x"}`, `{}`, `{"age":1,"b":2}`}},
		{"chat", `"think":"free",` + schema + `}`, []string{">\nNo JSON.\n</think>\n{\"age\": 3}"}, []string{">\nx</think>\nno", `{"age":3}`}},
		{"chat", `"think":"fast",` + schema + `}`, []string{">\n{\"age\": 3}"}, []string{">\nno", `{"age":3}`}},
		{"chat", `"regex":"[ab]+c"}`, []string{"abbac", " bc"}, []string{"ad", "c"}},
		{"chat", `"grammar":"root ::= \"yes\" | \"no\""}`, []string{"yes", " no"}, []string{"maybe", "ye"}},
		{"chat", tools + `"tool_choice":"required"}`, []string{"\n{\"name\":\"go\",\"arguments\":{\"to\":\"north\"}}", "\n{\"name\": \"stop\", \"arguments\": {\"x\":1}}"},
			[]string{"\n{\"name\":\"go\",\"arguments\":{\"to\":\"west\"}}", "\n{\"name\":\"run\",\"arguments\":{}}", "text"}},
		{"chat", tools + `"tool_choice":{"type":"function","function":{"name":"go"}}}`, []string{"\n{\"name\":\"go\",\"arguments\":{\"to\":\"south\"}}"}, []string{"\n{\"name\":\"stop\",\"arguments\":{}}"}},
		{"chat", `"think":"free",` + tools + `"tool_choice":"required"}`, []string{">\nHm.</think>\n```json\n{\"name\":\"stop\",\"arguments\":{}}\n```"}, []string{">\nHm.</think>\n{\"name\":\"stop\",\"arguments\":{}}"}},
		{"chat", tools + `"tool_choice":"auto"}`, []string{"anything"}, nil},
		{"responses", `"text":{"format":{"type":"json_object"}}}`, []string{"{}"}, []string{"[]", "text"}},
		{"responses", `"text":{"format":{"type":"json_schema","name":"x","schema":{"enum":[1,2]}}}}`, []string{"1", " 2"}, []string{"3"}},
		{"responses", functions + `"tool_choice":"required"}`, []string{"\n{\"name\":\"go\",\"arguments\":{\"to\":\"north\"}}"}, []string{"\n{\"name\":\"go\",\"arguments\":{}}", "text"}},
		{"messages", strings.ReplaceAll(functions, "parameters", "input_schema") + `"tool_choice":{"type":"any"}}`, []string{"\n{\"name\":\"go\",\"arguments\":{\"to\":\"north\"}}"}, []string{"\n{\"name\":\"go\",\"arguments\":{}}", "text"}},
		{"messages", strings.ReplaceAll(functions, "parameters", "input_schema") + `"tool_choice":{"type":"tool","name":"stop"}}`, []string{"\n{\"name\":\"stop\",\"arguments\":{}}"}, []string{"\n{\"name\":\"go\",\"arguments\":{\"to\":\"north\"}}"}},
		{"messages", strings.ReplaceAll(functions, "parameters", "input_schema") + `"tool_choice":{"type":"auto"}}`, []string{"anything"}, nil},
		{"messages", `"output_config":{"format":{"type":"json_schema","schema":{"enum":[1,2]}}}}`, []string{"1", " 2"}, []string{"3", "text"}},
		{"messages", `"thinking":{"type":"adaptive"},"output_config":{"format":{"type":"json_schema","schema":{"enum":[1]}}}}`, []string{">\nOne.</think>\n1"}, []string{"1", ">\nOne.</think>\n2"}},
		{"", `"prompt":"a","regex":"[ab]+c"}`, []string{"abc"}, []string{" abc", "x"}},
	} {
		s := serve(t, nil)
		path, body := "/v1/completions", "{"+c.body
		switch c.path {
		case "chat":
			path, body = "/v1/chat/completions", messages+c.body
		case "responses":
			path, body = "/v1/responses", `{"input":"Hi",`+c.body
		case "messages":
			path, body = "/v1/messages", messages+`"max_tokens":99,`+c.body
		}
		if status, _, answer := s.call(t, "POST", path, body); status != 200 {
			t.Errorf("%s: %d %s", c.body, status, answer)
			continue
		}
		r := s.model.Asked()[0]
		for _, text := range c.good {
			if fits, ends := allowed(t, s, r, text); !fits || !ends {
				t.Errorf("%s: %q: fits %v, may end %v", c.body, text, fits, ends)
			}
		}
		for _, text := range c.bad {
			if fits, ends := allowed(t, s, r, text); fits && ends {
				t.Errorf("%s: %q is taken", c.body, text)
			}
		}
	}
}

func TestBadForms(t *testing.T) {
	s := serve(t, nil)
	const messages = `{"messages":[{"role":"user","content":"Hi"}],`
	for body, want := range map[string]struct{ param, part string }{
		messages + `"response_format":{"type":"xml"}}`:                                                                            {"response_format.type", "json_schema"},
		messages + `"response_format":{"type":"json_schema"}}`:                                                                    {"response_format.json_schema.schema", "missing"},
		messages + `"response_format":{"type":"json_schema","json_schema":{"schema":{"properties":{"a":{"$dynamicRef":"#x"}}}}}}`: {"response_format.json_schema.schema", "/properties/a/$dynamicRef"},
		messages + `"response_format":{"type":"json_schema","json_schema":{"schema":{"type":"number","multipleOf":0}}}}`:          {"response_format.json_schema.schema", "/multipleOf"},
		messages + `"regex":"("}`:                                          {"regex", "missing"},
		messages + `"grammar":"root ::= x"}`:                               {"grammar", "line 1"},
		messages + `"grammar":"root ::= \"a\"","regex":"a"}`:               {"regex", "none beside"},
		messages + `"regex":"a","response_format":{"type":"json_object"}}`: {"regex", "none beside"},
		messages + `"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"x"}}}],"tool_choice":"required"}`:      {"tools[0].function.parameters", "/type"},
		`{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"{"}],"response_format":{"type":"json_object"}}`: {"response_format", "beginning of the answer"},
	} {
		status, _, got := s.call(t, "POST", "/v1/chat/completions", body)
		wantError(t, body, status, 400, got, want.param, want.part)
	}
	if n := len(s.model.Asked()); n != 0 || strings.Contains(s.log.String(), "dynamicRef") {
		t.Errorf("the model was asked %d times; %s", n, s.log)
	}
}
