package statecache

import (
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/prompt"
)

// segments returns those of a prompt.
func segments(p *prompt.Prompt) (list []Segment) {
	for _, s := range p.Segments {
		end := map[prompt.Mark]Kind{prompt.NoMark: None, prompt.Turn: Turn, prompt.Anchor: Anchor}[s.End]
		list = append(list, Segment{Text: s.Text, Verbatim: s.Verbatim, Answer: s.Answer, End: end})
	}
	return list
}

// In every dialect a turn costs its own tokens, also if the answer before it had blank lines, which the template
// cleans, or called a tool with white space of its own. Where the answer's thought is left out, it costs the answer's
// tokens too.
func TestDialects(t *testing.T) {
	tools := []prompt.Tool{{Name: "time"}}
	for _, c := range []struct {
		dialect string
		o       prompt.Options
		draws   string // behind the header, up to the text that ends the answer
		left    bool   // reports whether the answer's thought is left out
	}{
		{prompt.G1, prompt.Options{}, " One.\n\nTwo。", false},
		{prompt.G1, prompt.Options{Think: prompt.ThinkFree}, ">\nHm, hm, hm.\n\nAnd so on.\n</think>\nOne.\n\nTwo。", true},
		{prompt.G1, prompt.Options{Think: prompt.ThinkFree, KeepReasoning: true}, ">\nHm, hm.\n\nAnd so on.\n</think>\nOne。", false},
		{prompt.G1, prompt.Options{Think: prompt.ThinkFast}, ">\nOne。", true},
		{prompt.G1, prompt.Options{Think: prompt.ThinkFast, KeepReasoning: true}, ">\nOne.\n\nTwo。", false},
		{prompt.G1, prompt.Options{Tools: tools}, " ```json\n{\"name\":\"time\",\"arguments\":{\"a\": [1, 2]}}\n```", false},
		{prompt.G1, prompt.Options{Tools: tools, ToolChoice: prompt.ToolChoice{Mode: prompt.ToolRequired}}, "\n{\"name\":\"time\",\"arguments\":{\"a\": [1, 2]}}", false},
		{prompt.G1Markdown, prompt.Options{}, "\nOne.\n\nTwo。", false},
		{prompt.G1Markdown, prompt.Options{Tools: tools}, "\n**Tool Call:**\n```json\n{\n  \"name\": \"time\",\n  \"arguments\": {\n    \"a\": 1\n  }\n}\n```", false},
		{prompt.Bot, prompt.Options{}, "One.\n\nTwo。", false},
		{prompt.Raven, prompt.Options{}, " One.\n\nTwo。", false},
		{prompt.World, prompt.Options{}, " One.\n\nTwo。", false},
		{prompt.Instruction, prompt.Options{}, " One.\n\nTwo。", false},
	} {
		t.Run(c.dialect, func(t *testing.T) {
			eachVocabulary(t, func(t *testing.T, s *server) { s.converse(t, c.dialect, c.o, c.draws, c.left) })
		})
	}
}

// converse asks three times, and sends back what the parser made of each answer.
func (s *server) converse(t *testing.T, dialect string, o prompt.Options, draws string, left bool) {
	t.Helper()
	d, err := prompt.ByName("template", dialect)
	if err != nil {
		t.Fatal(err)
	}
	messages := []prompt.Message{{Role: prompt.System, Content: system}, {Role: prompt.User, Content: "你好。\n"}}
	for turn := range 3 {
		p, err := d.Render(messages, o)
		if err != nil {
			t.Fatal(err)
		}
		r := s.ask("ann", segments(p), append(s.encode(draws), s.encode(p.Stop[0])...), p.Stop...)
		want := s.news(p, left)
		if p.Stop[0] == "\n```" {
			want += s.count(p.Stop[0]) // it ended the answer, and is a part of it in the next turn
		}
		if turn > 0 {
			s.want("turn", r, want)
		}
		if r.text != draws {
			t.Fatalf("the answer is %q", r.text)
		}
		parser := p.Parser(prompt.ParserOptions{})
		parser.Push(r.text)
		parser.End()
		a := parser.Answer()
		messages = append(messages, prompt.Message{Role: prompt.Assistant, Content: strings.TrimSpace(a.Content), Reasoning: a.Reasoning, Calls: a.Calls},
			prompt.Message{Role: prompt.User, Content: "And you, are you there?"})
		if len(o.Tools) > 0 && len(a.Calls) != 1 {
			t.Fatalf("%q is no call: %+v", r.text, a)
		}
	}
}

// news counts the tokens behind the last answer of a prompt, and those of the answer if it is read anew.
func (s *server) news(p *prompt.Prompt, answer bool) (n int) {
	for i := len(p.Segments) - 1; i >= 0; i-- {
		seg := &p.Segments[i]
		if seg.Answer && !answer {
			return n
		}
		n += s.count(seg.Text)
		if seg.Answer {
			return n
		}
	}
	return n
}
