package main

import (
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/prompt"
)

// What a model writes reaches a terminal as text alone, and anything else as it is.
func TestModelTextOnTerminal(t *testing.T) {
	const written, shown = "ä\tfox\n\x1b]0;title\a\r\u009b2J", "ä\tfox\n\uFFFD]0;title\uFFFD\uFFFD\uFFFD2J"
	for terminal, want := range map[bool]string{true: shown, false: written} {
		var b strings.Builder
		a := &app{stdout: &results{Writer: &b}}
		line := talk{app: a, terminal: terminal}
		if err := line.show(prompt.Delta{Kind: prompt.ContentDelta, Text: written}); err != nil || b.String() != want {
			t.Errorf("chat, terminal %t: want %q, got %q (%v)", terminal, want, b.String(), err)
		}
		b.Reset()
		out := textOutput{app: a, terminal: terminal}
		if err := out.write(written); err != nil || b.String() != want {
			t.Errorf("generate, terminal %t: want %q, got %q (%v)", terminal, want, b.String(), err)
		}
	}
}
