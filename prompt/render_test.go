package prompt

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// chat returns messages of "role: text" lines.
func chat(lines ...string) (messages []Message) {
	for _, line := range lines {
		role, text, _ := strings.Cut(line, ": ")
		messages = append(messages, Message{Role: Role(role), Content: text})
	}
	return messages
}

func weather() []Tool {
	return []Tool{{
		Name: "get_weather", Description: "Weather of a city",
		Parameters: json.RawMessage(`{"type": "object", "properties": {"city": {"type": "string"}, "unit": {"enum": ["c", "f"]}}, "required": ["city"]}`),
	}, {Name: "now"}}
}

func render(t *testing.T, dialect string, messages []Message, o Options) *Prompt {
	t.Helper()
	p, err := named(dialect).Render(messages, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The strings are those of RWKV-LM's RWKV7-G1x-templates.txt, of the card of the G1 models, and of ChatRWKV.
func TestTemplates(t *testing.T) {
	one, two := chat("user: xxx"), chat("user: xxx", "assistant: yyy", "user: zzz")
	system := chat("system: sss", "user: xxx", "assistant: yyy", "user: zzz")
	for _, c := range []struct {
		dialect  string
		messages []Message
		o        Options
		want     string
	}{
		{G1, one, Options{}, "User: xxx\n\nAssistant:"},
		{G1, two, Options{}, "User: xxx\n\nAssistant: yyy\n\nUser: zzz\n\nAssistant:"},
		{G1, system, Options{}, "System: sss\n\nUser: xxx\n\nAssistant: yyy\n\nUser: zzz\n\nAssistant:"},
		{G1, one, Options{Think: ThinkFree}, "User: xxx\n\nAssistant: <think"},
		{G1, one, Options{Think: ThinkFast}, "User: xxx\n\nAssistant: <think></think"},
		{G1, one, Options{Think: ThinkFast, Date: 20250922}, "User: xxx\n\nAssistant: <think>\n</think"},
		{G1, two, Options{Think: ThinkShort}, "User: xxx\n\nAssistant: yyy\n\nUser: zzz (think a bit)\n\nAssistant: <think"},
		{G1, two, Options{Think: ThinkLong, Date: 20260710}, "User: xxx\n\nAssistant: yyy\n\nUser: zzz (think a lot)\n\nAssistant: <think"},
		{G1, one, Options{Think: ThinkShort, Date: 20250922}, "User: xxx think a bit\n\nAssistant: <think"},
		{G1, one, Options{Think: ThinkLong, Date: 20251231}, "User: xxx think a lot\n\nAssistant: <think"},
		{G1, one, Options{Think: ThinkLong, Date: 20250921}, "User: xxx\n\nAssistant: <think"},
		{Bot, system, Options{Think: ThinkFree}, "System✿sss✿\nUser✿xxx✿\nBot✿yyy✿\nUser✿zzz✿\nBot✿<think"},
		{Bot, one, Options{}, "User✿xxx✿\nBot✿"},
		{G1Markdown, one, Options{}, "### User\nxxx\n### Assistant"},
		{Raven, system, Options{}, "sss\n\nBob: xxx\n\nAlice: yyy\n\nBob: zzz\n\nAlice:"},
		{World, system, Options{}, "System: sss\n\nUser: xxx\n\nAssistant: yyy\n\nUser: zzz\n\nAssistant:"},
		{World, one, Options{}, "User: hi\n\nAssistant: Hi. I am your assistant and I will provide expert full response in full details. " +
			"Please feel free to ask any question and I will always answer it.\n\nUser: xxx\n\nAssistant:"},
		{Instruction, one, Options{}, "Instruction: xxx\n\nResponse:"},
		{Instruction, chat("system: sss", "user: xxx"), Options{}, "Instruction: sss\n\nInput: xxx\n\nResponse:"},
		{Instruction, two, Options{}, "Instruction: xxx\n\nResponse: yyy\n\nInstruction: zzz\n\nResponse:"},
		{G1, chat("user: xxx", "assistant: yy "), Options{Continue: true, Think: ThinkFree}, "User: xxx\n\nAssistant: yy"},
		{G1, chat("user: xxx", "assistant: "), Options{Continue: true}, "User: xxx\n\nAssistant:"},
		{G1, chat("system: a", "system: b", "user: xxx", "system: c"), Options{}, "System: a\nb\n\nUser: xxx\n\nSystem: c\n\nAssistant:"},
		{G1, chat("user:  a\r\n\n\nb\rc \n", "assistant: \n\nd\n\n e\n"), Options{}, "User: a\nb\nc\n\nAssistant: d\n e\n\nAssistant:"},
		{G1, chat("user:  a\r\n\n\nb ", "assistant: \n\nd"), Options{Unclean: true}, "User:  a\r\n\n\nb \n\nAssistant: \n\nd\n\nAssistant:"},
		{G1Markdown, chat("user: a\n\nb", "assistant: c\n\nd"), Options{}, "### User\na\nb\n### Assistant\nc\n\nd\n### Assistant"},
		{G1, chat("user: ", "assistant: ", "user: x"), Options{}, "User:\n\nAssistant:\n\nUser: x\n\nAssistant:"},
	} {
		p := render(t, c.dialect, c.messages, c.o)
		if p.Text() != c.want {
			t.Errorf("%s %+v:\n got %q\nwant %q", c.dialect, c.o, p.Text(), c.want)
		}
		if strings.TrimSpace(p.Text()) != p.Text() {
			t.Errorf("%q ends or begins with white space", p.Text())
		}
	}
}

// The form that rwkv_lightning asks G1c models in.
func TestFill(t *testing.T) {
	for _, d := range Dialects() {
		p, err := d.Fill(" a\n\n", "\n\nb ")
		if d.Thinks {
			if want := "✿prefix✿✿suffix✿\n\nb ✿middle✿ a\n\n"; err != nil || p.Text() != want || !reflect.DeepEqual(p.Stop, []string{"✿"}) {
				t.Errorf("%s: got %+v (%v), want %q", d.Name, p, err, want)
			}
			if got := short(feed(p.Parser(ParserOptions{}), " x\n</think>y")); got != `c" x\n</think>y"` {
				t.Errorf("%s: %s", d.Name, got)
			}
		} else if want := "suffix: want none with the template " + d.Name + ", got one"; err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", d.Name, err, want)
		}
	}
}

// Dialect A of tools, as RWKV7-G1x-templates.txt has it.
func TestJSONTools(t *testing.T) {
	const list = "System: Tools:\n[\n" +
		`{"name":"get_weather","description":"Weather of a city","arguments":{"city":{"type":"string"},"unit":{"enum":["c","f"]}}}` + ",\n" +
		`{"name":"now","arguments":{}}` + "\n]\nReturn only a JSON function call.\n\n"
	conversation := []Message{
		{Role: User, Content: "Weather?"},
		{Role: Assistant, Calls: []Call{{Name: "get_weather", Arguments: `{"city": "Paris"}`}}},
		{Role: Output, Content: "{\"c\":\n\n21}"},
	}
	required := Options{Tools: weather(), ToolChoice: ToolChoice{Mode: ToolRequired}}
	p := render(t, G1, conversation, required)
	want := list + "User: Weather?\n\nAssistant: ```json\n" + `{"name":"get_weather","arguments":{"city":"Paris"}}` +
		"\n```\n\nUser: Function output:\n{\"c\":\n21}\n\nAssistant: ```json"
	if p.Text() != want || p.Stop[0] != "\n```" || p.Preset != "tools" {
		t.Errorf("%q %q\n got %q\nwant %q", p.Stop, p.Preset, p.Text(), want)
	}
	answer := p.Segments[len(p.Segments)-7]
	if want := " ```json\n" + `{"name":"get_weather","arguments":{"city": "Paris"}}` + "\n```"; answer.Verbatim != want || !answer.Answer {
		t.Errorf("the call's own text: %+v", answer)
	}
	auto := render(t, G1, append(chat("system: Be\n\nbrief."), conversation...), Options{Tools: weather(), Think: ThinkFast})
	if text := auto.Text(); !strings.HasPrefix(text, "System: Be\nbrief.\nTools:\n[\n") || strings.Contains(text, mustCall) ||
		!strings.Contains(text, "]\n"+mayCall+"\n\nUser: ") || !strings.HasSuffix(text, "Assistant: <think></think") {
		t.Errorf("%q", text)
	}
	none := render(t, G1, conversation, Options{Tools: weather(), ToolChoice: ToolChoice{Mode: ToolNone}})
	if strings.Contains(none.Text(), "Tools:") || none.Tools != nil {
		t.Errorf("%q", none.Text())
	}
	named := required
	named.ToolChoice = ToolChoice{ToolNamed, "now"}
	if p := render(t, G1, conversation, named); p.Text() != want {
		t.Errorf("%q", p.Text())
	}
	odd := []Message{{Role: User, Content: "x"}, {Role: Assistant, Content: "One.", Calls: []Call{{Name: "a", Arguments: " "}, {Name: "b", Arguments: `{"x": `}}}}
	if p := render(t, G1, odd, Options{}); !strings.Contains(p.Text(), "Assistant: One.\n```json\n{\"name\":\"a\",\"arguments\":{}}\n```\n```json\n{\"name\":\"b\",\"arguments\":\"{\\\"x\\\":\"}\n```\n\n") {
		t.Errorf("%q", p.Text())
	}
	if p := render(t, Bot, conversation, Options{}); p.Dialect.Name != G1Markdown {
		t.Errorf("tools in the dialect %s", p.Dialect.Name)
	}
}

// Thoughts of earlier answers are left out, or kept in a form that goes on from the ids of the answer.
func TestReasoning(t *testing.T) {
	messages := []Message{
		{Role: User, Content: "a"}, {Role: Assistant, Content: "b", Reasoning: "Let me\n\nsee.\n"},
		{Role: User, Content: "c"}, {Role: Assistant, Content: "<think>\nHm.\n</think>\nd"}, {Role: User, Content: "e"},
	}
	p := render(t, G1, messages, Options{Think: ThinkFree})
	if want := "User: a\n\nAssistant: b\n\nUser: c\n\nAssistant: d\n\nUser: e\n\nAssistant: <think"; p.Text() != want {
		t.Errorf("got %q", p.Text())
	}
	p = render(t, G1, messages, Options{KeepReasoning: true})
	if want := "User: a\n\nAssistant: <think>\nLet me\n\nsee.\n</think>\nb\n\nUser: c\n\nAssistant: <think>\nHm.\n</think>\nd\n\nUser: e\n\nAssistant:"; p.Text() != want {
		t.Errorf("got %q", p.Text())
	}
	p = render(t, G1, messages, Options{KeepReasoning: true, Think: ThinkFast})
	fast := render(t, G1, append(chat("user: a"), Message{Role: Assistant, Content: "b"}, Message{Role: User, Content: "c"}), Options{KeepReasoning: true, Think: ThinkFast})
	if want := "User: a\n\nAssistant: <think></think>\nb\n\nUser: c\n\nAssistant: <think></think"; fast.Text() != want || fast.Segments[5].Text != ">\nb" {
		t.Errorf("got %q in %+v", fast.Text(), fast.Segments)
	}
	if want := "Assistant: <think>\nHm.\n</think>\nd"; !strings.Contains(p.Text(), want) {
		t.Errorf("got %q", p.Text())
	}
}

// Places where texts part are marked.
func TestMarks(t *testing.T) {
	marked := func(p *Prompt) (list []string) {
		text := ""
		for _, s := range p.Segments {
			text += s.Text
			if s.End != NoMark {
				list = append(list, fmt.Sprintf("%d%q", s.End, text))
				text = ""
			}
		}
		return append(list, fmt.Sprintf("%q", text))
	}
	p := render(t, G1, append(chat("system: S", "user: a"), Message{Role: Assistant, Content: "b", Reasoning: "r"}, Message{Role: User, Content: "c"}),
		Options{Think: ThinkShort, KeepReasoning: true})
	if got, want := marked(p), []string{`2"System: S\n\n"`, `1"User: a\n\n"`, `1"Assistant:"`, `1" <think>\nr\n</think>"`, `1"\nb"`, `1"\n\nUser: c"`,
		`1" (think a bit)\n\n"`, `1"Assistant:"`, `" <think"`}; !reflect.DeepEqual(got, want) {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	p = render(t, World, chat("user: a"), Options{})
	if got := marked(p); got[3] != `2"\n\n"` || got[4] != `1"User: a\n\n"` {
		t.Errorf("%s", got)
	}
	p = render(t, G1, chat("user: a", "system: S", "user: b"), Options{Tools: weather()})
	if got := marked(p); !strings.HasSuffix(got[0], `]"`) || got[1] != `2"\n`+mayCall+`\n\n"` || got[3] != `1"System: S\n\n"` {
		t.Errorf("%s", got)
	}
	p = render(t, G1, chat("user: a", "system: S", "user: b"), Options{})
	if got := marked(p); got[1] != `1"System: S\n\n"` {
		t.Errorf("%s", got)
	}
}

// The answer's parser begins where the prompt ends.
func TestOpenings(t *testing.T) {
	user, tools := chat("user: a"), weather()
	for _, c := range []struct {
		messages []Message
		o        Options
		text     string
		want     string
	}{
		{user, Options{}, " Hm</think>b", `c"Hm</think>b"`},
		{user, Options{Think: ThinkFast}, ">b</think>c", `c"b</think>c"`},
		{user, Options{Think: ThinkFree}, ">b</think>c", `r"b" c"c"`},
		{user, Options{Think: ThinkLong}, ">b</think>c", `r"b" c"c"`},
		{user, Options{Tools: tools}, "\n```json\n{\"name\":\"now\",\"arguments\":{}}", `0:now({})`},
		{user, Options{Tools: tools, ToolChoice: ToolChoice{Mode: ToolRequired}}, "\n{\"name\":\"now\",\"arguments\":{}}", `0:now({})`},
		{user, Options{Tools: tools, ToolChoice: ToolChoice{Mode: ToolNone}}, "```json{\"name\":\"now\",\"arguments\":{}}", "c\"```json{\\\"name\\\":\\\"now\\\",\\\"arguments\\\":{}}\""},
		{chat("user: a", "assistant: b"), Options{Continue: true, Think: ThinkFree}, " <think>c", `c" <think>c"`},
	} {
		p := render(t, G1, c.messages, c.o)
		if got := short(feed(p.Parser(ParserOptions{}), c.text)); got != c.want {
			t.Errorf("%+v: got %s, want %s", c.o, got, c.want)
		}
	}
	call := Options{Paragraph: true, Tools: tools, ToolChoice: ToolChoice{Mode: ToolRequired}}
	if p := render(t, G1, user, call); !reflect.DeepEqual(p.Stop[:3], []string{"\n\n", "\n```", "\n\nUser:"}) {
		t.Errorf("stops %q", p.Stop)
	}
	if p := render(t, G1, user, Options{Paragraph: true}); p.Stop[0] != "\n\n" || len(p.Stop) != 5 || len(named(G1).Stop) != 4 {
		t.Errorf("stops %q", p.Stop)
	}
}

// JSON is written anew with its keys in order, its digits as they are, and no character escaped that need not be.
func TestRewrite(t *testing.T) {
	const in = ` { "b" : [ 1e2 , {} , [ ] , "\u0000\u001f\u007f\u2028\/\"\\\b\f\n\r\t\ud83c\udf38<&>" ] , "a" : null , "b":-0.50 } `
	text := `"\u0000\u001f` + "\x7f\u2028/" + `\"\\\b\f\n\r\t🌸<&>"`
	for indent, want := range map[string]string{
		"":   `{"b":[1e2,{},[],` + text + `],"a":null,"b":-0.50}`,
		"  ": "{\n  \"b\": [\n    1e2,\n    {},\n    [],\n    " + text + "\n  ],\n  \"a\": null,\n  \"b\": -0.50\n}",
	} {
		if got, ok := rewrite([]byte(in), indent); got != want || !ok {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	for _, bad := range []string{"", "{", "[1,]", "{} {}", strings.Repeat("[", 20000) + strings.Repeat("]", 20000)} {
		if got, ok := rewrite([]byte(bad), ""); ok {
			t.Errorf("%.20q became %.20q", bad, got)
		}
	}
}

// What a dialect cannot write is refused, and the error names the field.
func TestRenderErrors(t *testing.T) {
	user := chat("user: a")
	for want, c := range map[string]struct {
		dialect  string
		messages []Message
		o        Options
	}{
		`messages: want at least one message, got none`:                                                {G1, nil, Options{}},
		`messages[1].role: want system, user, assistant or tool, got "developer"`:                      {G1, chat("user: a", "developer: b"), Options{}},
		`think: want off with the template world, got fast`:                                            {World, user, Options{Think: ThinkFast}},
		`think: want one of off, fast, free, short, long, got "deep"`:                                  {G1, user, Options{Think: "deep"}},
		`tools: want none with the template raven, got 2`:                                              {Raven, user, Options{Tools: weather()}},
		`tools: want at least one, since tool_choice requires one, got none`:                           {G1, user, Options{ToolChoice: ToolChoice{Mode: ToolRequired}}},
		`tool_choice: want the name of one of the tools, got "x"`:                                      {G1, user, Options{Tools: weather(), ToolChoice: ToolChoice{ToolNamed, "x"}}},
		`messages: want an assistant's text as the last message, to go on with, got a message of user`: {G1, user, Options{Continue: true}},
	} {
		_, err := named(c.dialect).Render(c.messages, c.o)
		var field *FieldError
		if !errors.As(err, &field) || err.Error() != want || !strings.HasPrefix(want, field.Field+": ") {
			t.Errorf("want %s, got %v", want, err)
		}
	}
}

// The rule of RWKV-LM: re.sub(r'\n{2,}', '\n', txt.replace('\r\n','\n')).strip(), and a single \r is a line end too.
func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "a": "a", " a\n": "a", "a\n\nb": "a\nb", "a\r\n\r\n\r\nb": "a\nb", "a\r\rb": "a\nb", "a\n \nb": "a\n \nb",
		"\u3000全角\u3000": "全角", "  if x:\n\n    y": "if x:\n    y",
	} {
		if got := Clean(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// The lists of names are what the contract of the command line has, and all they name is there.
func TestNames(t *testing.T) {
	for _, d := range Dialects() {
		if got, err := ByName("template", d.Name); got != d || err != nil {
			t.Errorf("%s: %v", d.Name, err)
		}
		if d.ToolDialect != "" && named(d.ToolDialect) == nil {
			t.Errorf("%s: no dialect %s", d.Name, d.ToolDialect)
		}
		if _, err := PresetByName("preset", d.Preset); err != nil {
			t.Error(err)
		}
	}
	_, err := ByName("template", "G1")
	if want := `template: want one of auto, g1, g1-markdown, bot, raven, world, instruction, got "G1"`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	for _, p := range Presets() {
		if got, err := PresetByName("preset", p.Name); got != p || err != nil || p.Temperature <= 0 || p.TopP < 0 || p.TopP > 1 || p.PenaltyDecay <= 0.9 || p.PenaltyDecay > 1 {
			t.Errorf("%+v: %v", p, err)
		}
	}
	if _, err := PresetByName("preset", "hot"); err == nil || !strings.HasPrefix(err.Error(), "preset: want one of chat, math, creative, tools, ") {
		t.Error(err)
	}
}
