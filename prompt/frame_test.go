package prompt

import (
	"strings"
	"testing"
)

// An answer that is a call within its frame is read as that call, in every dialect with tools and every mode of thinking.
func TestFrame(t *testing.T) {
	tools := []Tool{{Name: "get_weather", Parameters: []byte(`{"type":"object"}`)}}
	for _, d := range Dialects() {
		for _, think := range Thinks() {
			for _, mode := range []ToolMode{ToolAuto, ToolRequired} {
				p, err := d.Render([]Message{{Role: User, Content: "Weather?"}}, Options{Think: think, Tools: tools, ToolChoice: ToolChoice{Mode: mode}})
				if err != nil {
					continue // a dialect without tools or thoughts
				}
				f := p.Frame()
				answer := f.Before + `{"name":"get_weather","arguments":{"city":"Oslo"}}` + f.Behind
				switch f.After {
				case "</think>":
					answer = ">\nHm.\n</think>\n\n" + answer
				case ">":
					answer = ">\n\n" + answer
				}
				parser := p.Parser(ParserOptions{Eager: true})
				parser.Push(answer)
				parser.End()
				a := parser.Answer()
				if len(a.Calls) != 1 || a.Calls[0].Name != "get_weather" || a.Calls[0].Arguments != `{"city":"Oslo"}` || strings.TrimSpace(a.Content) != "" || f.Begun || f.First != (f.After == ">") {
					t.Errorf("%s, think %s, mode %d: %q is read as %+v", d.Name, think, mode, answer, a)
				}
			}
		}
	}
	p, err := named(G1).Render([]Message{{Role: User, Content: "Hi"}, {Role: Assistant, Content: "Well"}}, Options{Continue: true})
	if err != nil || !p.Frame().Begun {
		t.Errorf("an answer that the client began: %v", err)
	}
}
