package prompt

import (
	"math/rand/v2"
	"testing"
)

// The content starts where the parser has it start, however the text is cut. Until then all of it may be content.
func TestStart(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	openings := map[opening][]string{
		atHeader:    {" Hello", "\n\nHello", " <think>\nHm </thin\n</think>\n\nHello", "<thank you", "</thinks", "", "<think>\nHm", " <t"},
		inThought:   {">\nHm\n</think>\n\nHello", "></think><tree>", ">\nHm", "", ">\nHm.</think></th"},
		pastThought: {">\n\nHello", ">", ">\n <th", "Hello"},
		inAnswer:    {" and so on", "\n\nUser", ""},
	}
	for o, texts := range openings {
		for _, text := range texts {
			p := opened(o)
			p.Tools = nil // so that what is content is so at once
			parser := p.Parser(ParserOptions{})
			parser.Push(text)
			parser.End()
			content := parser.Answer().Content
			start := len(text) - len(content)
			for range 20 {
				s, at := p.Start(), -1
				for read := 0; at < 0; {
					to := min(read+r.IntN(4), len(text))
					n, found := s.Next([]byte(text[read:to]), to == len(text))
					if !found && to-n > start && content != "" {
						t.Fatalf("%d %q: only %d bytes may be content after %q", o, text, n, text[:to])
					}
					if read = to; found {
						at = to - n
					}
					if to == len(text) {
						break
					}
				}
				if at != start && content != "" {
					t.Fatalf("%d %q: starts at %d, the parser has %q", o, text, at, content)
				}
			}
		}
	}
	if _, found := opened(inCall).Start().Next([]byte("\n{}"), true); found {
		t.Error("a call has content")
	}
}
