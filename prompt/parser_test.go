package prompt

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// feed pushes pieces and returns all deltas, those of one kind that follow each other as one.
func feed(p *Parser, pieces ...string) (deltas []Delta) {
	add := func(more []Delta) {
		for _, d := range more {
			if n := len(deltas); n > 0 && deltas[n-1].Kind == d.Kind && d.Kind != CallDelta {
				deltas[n-1].Text += d.Text
				continue
			}
			deltas = append(deltas, d)
		}
	}
	for _, piece := range pieces {
		add(p.Push(piece))
	}
	add(p.End())
	return deltas
}

// short renders deltas in few words: c for content, r for reasoning, and calls as name(arguments).
func short(deltas []Delta) string {
	var b strings.Builder
	for i, d := range deltas {
		switch d.Kind {
		case ContentDelta:
			fmt.Fprintf(&b, "c%q ", d.Text)
		case ReasoningDelta:
			fmt.Fprintf(&b, "r%q ", d.Text)
		case CallDelta:
			fmt.Fprintf(&b, "%d:%s", d.Call, d.Text)
			if i+1 == len(deltas) || deltas[i+1].Kind != ArgumentsDelta {
				b.WriteString("() ")
			}
		case ArgumentsDelta:
			fmt.Fprintf(&b, "(%s) ", d.Text)
		}
	}
	return strings.TrimSpace(b.String())
}

// opened returns a prompt whose answer begins in some way.
func opened(o opening) *Prompt { return &Prompt{opening: o, Tools: weather()} }

// joined checks that deltas and the answer say the same.
func joined(t *testing.T, deltas []Delta, a Answer) {
	t.Helper()
	var b Answer
	for _, d := range deltas {
		switch d.Kind {
		case ContentDelta:
			b.Content += d.Text
		case ReasoningDelta:
			b.Reasoning += d.Text
		case CallDelta:
			b.Calls = append(b.Calls, Call{Name: d.Text})
		case ArgumentsDelta:
			b.Calls[d.Call].Arguments += d.Text
		}
		if n := len(b.Calls); d.Kind == CallDelta && d.Call != n-1 {
			t.Fatalf("call %d after %d calls", d.Call, n-1)
		}
	}
	if b.Unfinished = a.Unfinished; !reflect.DeepEqual(a, b) {
		t.Fatalf("the deltas give %+v, the answer is %+v", b, a)
	}
}

// alike parses a text whole, byte by byte, cut in two at every byte, and cut at random. All have to agree. It returns
// what they agree on.
func alike(t *testing.T, p *Prompt, o ParserOptions, text string, r *rand.Rand) ([]Delta, Answer) {
	t.Helper()
	whole := p.Parser(o)
	want := feed(whole, text)
	answer := whole.Answer()
	joined(t, want, answer)
	check := func(pieces []string) {
		t.Helper()
		parser := p.Parser(o)
		if got := feed(parser, pieces...); !reflect.DeepEqual(got, want) || !reflect.DeepEqual(parser.Answer(), answer) {
			t.Fatalf("%+v %q:\n got %s\nwant %s", o, pieces, short(got), short(want))
		}
	}
	check(strings.Split(text, "")) // by characters
	var bytes []string
	for i := range len(text) {
		bytes = append(bytes, text[i:i+1])
		check([]string{text[:i], text[i:]})
	}
	check(bytes)
	for range 3 {
		var pieces []string
		for rest := text; rest != ""; {
			n := 1 + r.IntN(min(len(rest), 9))
			pieces, rest = append(pieces, rest[:n]), rest[n:]
		}
		check(pieces)
	}
	return want, answer
}

func TestParser(t *testing.T) {
	const paris = `{"name": "get_weather", "arguments": {"city": "Paris"}}`
	const call = `0:get_weather({"city": "Paris"})`
	r := rand.New(rand.NewPCG(1, 1))
	for _, c := range []struct {
		name    string
		opening opening
		text    string
		want    string
	}{
		{"plain", atHeader, " Hello.\n\nBye.\n\n", `c"Hello.\n\nBye."`},
		{"line breaks wait", atHeader, "\n\na\n\n\nb", `c"a\n\n\nb"`},
		{"nothing", atHeader, " \n", ``},
		{"a thought", inThought, ">\nHm.\n</think>\nYes.", `r"Hm.\n" c"Yes."`},
		{"one line break is dropped", inThought, ">\n\nHm</think>\n\n Yes", `r"\nHm" c"Yes"`},
		{"no thought", inThought, "></think>Yes", `c"Yes"`},
		{"glued", inThought, ">好。</think>是", `r"好。" c"是"`},
		{"no bracket", inThought, "ing about it</think>x", `r"ing about it" c"x"`},
		{"unfinished", inThought, ">\nHm, </thin", `r"Hm, </thin"`},
		{"unfinished at once", inThought, "", ``},
		{"a tag that is none", inThought, ">a </thinks> b</think>c", `r"a </thinks> b" c"c"`},
		{"fast", pastThought, ">\nYes", `c"Yes"`},
		{"fast, glued", pastThought, ">\n\nYes>", `c"Yes>"`},
		{"fast, no bracket", pastThought, "Yes", `c"Yes"`},
		{"fast, and the tag again", pastThought, ">\n</think>\nYes", `c"Yes"`},
		{"fast, and it thinks", pastThought, ">\n<think>\nHm</think>Yes", `r"Hm" c"Yes"`},
		{"a thought by itself", atHeader, " <think>Hm</think>\nYes", `r"Hm" c"Yes"`},
		{"a later tag is content", atHeader, "Use <think>x</think>", `c"Use <think>x</think>"`},
		{"the beginning of a tag", atHeader, " <thi", `c"<thi"`},
		{"two thoughts", inThought, ">a</think>\n<think>b</think>c", `r"ab" c"c"`},
		{"on with an answer", inAnswer, " and\nmore\n", `c" and\nmore"`},

		{"a fence", atHeader, "\n```json\n" + paris + "\n```", call},
		{"a fence that a stop cut", atHeader, "Let me see.\n```json\n" + paris, `c"Let me see." ` + call},
		{"in the prompt's fence", inCall, "\n" + paris, call},
		{"in the prompt's fence, no call", inCall, "\n{\"city\": \"Paris\"}", "c\"```json\\n{\\\"city\\\": \\\"Paris\\\"}\""},
		{"a title", atHeader, "**Tool Call:**\n```json\n" + paris + "\n```", call},
		{"a title, and text around", atHeader, "Checking.\n**Tool Call:** ```json" + paris + "```\nDone.\n", `c"Checking." ` + call + ` c"\n\nDone."`},
		{"two titles", atHeader, "**Tool Call:**\n```json\n" + paris + "\n```\n**Tool Call:**\n```json\n{\"name\":\"now\",\"arguments\":{}}\n```", call + ` 1:now({})`},
		{"two in a fence", atHeader, "```json\n" + paris + "\n{\"name\":\"now\",\"arguments\":{}}\n```", call + ` 1:now({})`},
		{"a list", atHeader, "```json\n[" + paris + ", {\"name\":\"now\",\"arguments\":{}}]\n```", call + ` 1:now({})`},
		{"after a thought", inThought, ">\nIs ```json\n" + paris + " right?</think>```json\n" + paris + "\n```", `r"Is ` + "```" + `json\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\"}} right?" ` + call},
		{"arguments as text", atHeader, "```json\n" + `{"name": "get_weather", "arguments": "{\"city\": \"Paris\"}", "id": "call_123"}` + "\n```", call},
		{"arguments as a literal in text", atHeader, "```json\n" + `{"name": "get_weather", "arguments": "{'city': 'Paris'}"}` + "\n```", `0:get_weather({"city":"Paris"})`},
		{"a fence in the arguments", atHeader, "```json\n" + `{"name":"now","arguments":{"md":"` + "```json\\n{}```" + `"}}` + "\n```", `0:now({"md":"` + "```json\\n{}```" + `"})`},
		{"legacy", atHeader, "Need it.\n<tool_call>\n{'arguments': {'city': 'L\\'Aquila', 'n': None}, 'name': 'get_weather', 'type': 'tool_call'}\n",
			`c"Need it." 0:get_weather({"city":"L'Aquila","n":null})`},
		{"legacy as JSON", atHeader, "<tool_call>\n" + paris + "\n</tool_call>\nDone.", call + ` c"Done."`},

		{"no call: another language", atHeader, "Run:\n```bash\nls\n```\n", "c\"Run:\\n```bash\\nls\\n```\""},
		{"no call: an example", atHeader, "So:\n```json\n{\"city\": \"Paris\"}\n```\nNo tool.", "c\"So:\\n```json\\n{\\\"city\\\": \\\"Paris\\\"}\\n```\\nNo tool.\""},
		{"no call: unknown tool", atHeader, "**Tool Call:**\n```json\n{\"name\":\"x\",\"arguments\":{}}\n```", "c\"**Tool Call:**\\n```json\\n{\\\"name\\\":\\\"x\\\",\\\"arguments\\\":{}}\\n```\""},
		{"no call: bad JSON", atHeader, "```json\n{ \"name\": \"now\", \"arguments\": {\"city\": \"Paris\" }\n```", "c\"```json\\n{ \\\"name\\\": \\\"now\\\", \\\"arguments\\\": {\\\"city\\\": \\\"Paris\\\" }\\n```\""},
		{"no call: cut", atHeader, "A\n```json\n{\"name\": \"now\", \"arguments\": {\"c\":", "c\"A\\n```json\\n{\\\"name\\\": \\\"now\\\", \\\"arguments\\\": {\\\"c\\\":\""},
		{"no call: arguments are no object", atHeader, "```json{\"name\":\"now\",\"arguments\":[1]}```", "c\"```json{\\\"name\\\":\\\"now\\\",\\\"arguments\\\":[1]}```\""},
		{"no call: no arguments", atHeader, "```json{\"name\":\"now\"}```", "c\"```json{\\\"name\\\":\\\"now\\\"}```\""},
		{"no call: a title alone", atHeader, "**Tool Call:** none", `c"**Tool Call:** none"`},
		{"no call: the beginning of a mark", atHeader, "All done **Tool", `c"All done **Tool"`},
		{"no call: one of a list is unknown", atHeader, "```json[" + paris + ",{\"name\":\"x\",\"arguments\":{}}]", "c\"```json[{\\\"name\\\": \\\"get_weather\\\", \\\"arguments\\\": {\\\"city\\\": \\\"Paris\\\"}},{\\\"name\\\":\\\"x\\\",\\\"arguments\\\":{}}]\""},
		{"an example before a call", atHeader, "```json\n{\"n\": 1}\n```\nmid\n**Tool Call:**\n```json\n" + paris + "\n```", "c\"```json\\n{\\\"n\\\": 1}\\n```\\nmid\" " + call},
		{"a broken call before a call", atHeader, "```json\n{\"name\":\n```json\n" + paris, "c\"```json\\n{\\\"name\\\":\" " + call},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, answer := alike(t, opened(c.opening), ParserOptions{}, c.text, r)
			if short(got) != c.want {
				t.Errorf("%q:\n got %s\nwant %s", c.text, short(got), c.want)
			}
			if want := strings.HasPrefix(c.name, "unfinished"); answer.Unfinished != want {
				t.Errorf("unfinished: %v", answer.Unfinished)
			}
			alike(t, opened(c.opening), ParserOptions{Eager: true}, c.text, r)
		})
	}
}

// Eager parsing gives arguments as they come, and keeps what it gave.
func TestEager(t *testing.T) {
	p := opened(inCall).Parser(ParserOptions{Eager: true})
	var seen []string
	for _, piece := range []string{"\n{\"na", "me\":\"get_weather\",\"arguments\"", ":{\"city\":", "\"a}\\\"", "b\"", "}", "}", "\n```"} {
		seen = append(seen, short(p.Push(piece)))
	}
	if got, want := strings.Join(seen, "|"), `||0:get_weather({"city":)|("a}\")|(b")|(})||`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	r := rand.New(rand.NewPCG(1, 1))
	for text, want := range map[string]string{
		"{\"name\":\"now\",\"arguments\":{\"a\":[1,":                                     `0:now({"a":[1,)`,
		"{\"name\":\"now\",\"arguments\":{\"a\":1`}} x":                                  "0:now({\"a\":1) c\"`}} x\"",
		"{\"name\":\"now\",\"arguments\":{}, \"id\":{\"b\":{}}}\n``` x":                  `0:now({}) c"x"`,
		"{\"name\":\"now\",\"arguments\":{\"a\":\"b\nc\"}}":                              `0:now({"a":"b) c"c\"}}"`,
		"{\"arguments\":{},\"name\":\"now\"}":                                            `0:now({})`,
		"{\"name\":\"x\",\"arguments\":{}}":                                              "c\"```json{\\\"name\\\":\\\"x\\\",\\\"arguments\\\":{}}\"",
		"{\"name\":\"now\",\"arguments\":{}} {\"name\":\"now\",\"arguments\":{\"a\":2}}": `0:now({}) 1:now({"a":2})`,
	} {
		if got, _ := alike(t, opened(inCall), ParserOptions{Eager: true}, text, r); short(got) != want {
			t.Errorf("%q: got %s, want %s", text, short(got), want)
		}
	}
}

// Without tools all is content.
func TestNoTools(t *testing.T) {
	text := "```json\n{\"name\":\"now\",\"arguments\":{}}\n```"
	if got := feed((&Prompt{}).Parser(ParserOptions{}), text); short(got) != fmt.Sprintf("c%q", text) {
		t.Error(short(got))
	}
}

// Only what may be the beginning of a mark is held back.
func TestHoldsBackLittle(t *testing.T) {
	p := opened(atHeader).Parser(ParserOptions{})
	for _, c := range [][2]string{{" ", ""}, {"Hello", "Hello"}, {" *", " "}, {"*x", "**x"}, {"\n", ""}, {"``", ""}, {"`", ""}, {"py", "\n```py"}, {"<tool", ""}, {"s", "<tools"}} {
		got := ""
		for _, d := range p.Push(c[0]) {
			got += d.Text
		}
		if got != c[1] {
			t.Errorf("%q gave %q, want %q", c[0], got, c[1])
		}
	}
	p = opened(inThought).Parser(ParserOptions{})
	if got := short(p.Push(">a<b </")); got != `r"a<b "` || !p.Thinking() {
		t.Errorf("got %s", got)
	}
	if got := short(p.Push("think>x")); got != `c"x"` || p.Thinking() {
		t.Errorf("got %s", got)
	}
	if p.End(); len(p.Push("more")) != 0 || len(p.End()) != 0 || p.Answer().Content != "x" {
		t.Errorf("an answer goes on after its end: %+v", p.Answer())
	}
}

// tokens are what made-up answers consist of.
var tokens = []string{"```json", "```", "**Tool Call:**", "<tool_call>", "</tool_call>", "<think>", "</think>", `{"name":`, `"now"`, `"get_weather"`, `,"arguments":`, "{}", `{"a":"b"}`,
	"<tool_call>{'name': 'now', 'arguments': {}}", "```json\n{\"name\":\"now\",\"arguments\":{\"x\":[1,{\"y\":\"}\"}]}}\n", `{"name":"now","arguments":{"x":[1,{"y":"}"}]}}`, "}", "[", "]", ",", "\n", " ", ">", "a", "好", "\"", "'", "\\", "**", "<", "`", "1", "{"}

func answerText(r *rand.Rand) string {
	var b strings.Builder
	for range r.IntN(14) {
		b.WriteString(tokens[r.IntN(len(tokens))])
	}
	return b.String()
}

// However an answer is cut, it is the same, nothing but marks and white space is lost, and calls are whole.
func TestRandomAnswers(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	calls, thoughts := 0, 0
	for range 500 {
		a := checked(t, answerText(r), opening(r.IntN(int(inAnswer)+1)), r)
		calls += len(a.Calls)
		thoughts += min(1, len(a.Reasoning))
	}
	if calls < 70 || thoughts < 70 {
		t.Errorf("%d calls, %d thoughts: the test tests little", calls, thoughts)
	}
}

// dropped is what may be missing of a text without calls.
var dropped = regexp.MustCompile(`</?think>|[\s>]`)

func checked(t *testing.T, text string, o opening, r *rand.Rand) Answer {
	t.Helper()
	_, eager := alike(t, opened(o), ParserOptions{Eager: true}, text, r)
	_, a := alike(t, opened(o), ParserOptions{}, text, r)
	for _, call := range a.Calls {
		if !json.Valid([]byte(call.Arguments)) || call.Arguments[0] != '{' || call.Name != "now" && call.Name != "get_weather" {
			t.Fatalf("%q: call %+v", text, call)
		}
	}
	if len(a.Calls) > 0 {
		return a
	}
	if o == inCall {
		text = jsonFence + text
	}
	if got, want := dropped.ReplaceAllString(a.Reasoning+a.Content, ""), dropped.ReplaceAllString(text, ""); got != want {
		t.Fatalf("%d %q: %q is left of %q", o, text, got, want)
	}
	if len(eager.Calls) == 0 && !reflect.DeepEqual(eager, a) {
		t.Fatalf("%q: %+v, and eagerly %+v", text, a, eager)
	}
	return a
}

func FuzzParser(f *testing.F) {
	f.Add(">\nHm</think>**Tool Call:**\n```json\n{\"name\":\"now\",\"arguments\":{}}\n```", 1, uint64(1))
	f.Add("\v", 2, uint64(4))
	f.Add("<tool_call>{'name': 'now', 'arguments': {'a': '\\u00e9'}}</tool_call>", 0, uint64(2))
	f.Add("\n{\"name\":\"now\",\"arguments\":{\"a\":\"}\"}}", 3, uint64(3))
	f.Fuzz(func(t *testing.T, text string, o int, seed uint64) {
		if o < 0 || o > int(inAnswer) || len(text) > 300 {
			return
		}
		checked(t, text, opening(o), rand.New(rand.NewPCG(seed, 5)))
	})
}

// decoded returns a JSON value, with numbers as their digits.
func decoded(t *testing.T, text string) (v any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return v
}

func FuzzLiteral(f *testing.F) {
	f.Add(`{'a': ["b", (1, None), -0.5e3, '\x41\ud83c\udf38']}`)
	f.Add(`{"\x`)
	f.Add("0E0_0")
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := pythonJSON(text); err == nil && !json.Valid([]byte(got)) {
			t.Fatalf("%q became %q", text, got)
		}
		if got, ok := rewrite([]byte(text), ""); ok {
			if a, b := decoded(t, text), decoded(t, got); !reflect.DeepEqual(a, b) {
				t.Fatalf("%q became %q", text, got)
			}
		}
	})
}

// A long call costs time by its length, also if it comes in small pieces.
func BenchmarkLongCall(b *testing.B) {
	text := "```json\n{\"name\":\"now\",\"arguments\":{\"a\":\"" + strings.Repeat("abc ", 50_000) + "\"}}\n```"
	for _, eager := range []bool{false, true} {
		b.Run(fmt.Sprintf("eager=%v", eager), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				p := opened(atHeader).Parser(ParserOptions{Eager: eager})
				for i := 0; i < len(text); i += 4 {
					p.Push(text[i:min(i+4, len(text))])
				}
				if p.End(); len(p.Answer().Calls) != 1 {
					b.Fatal("no call")
				}
			}
		})
	}
}
