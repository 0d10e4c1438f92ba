package main

import (
	"bytes"
	"testing"
)

// A prompt that is shown stands right before the text, whatever was said on the same terminal before the text began;
// the whole ends in one newline.
func TestTextOutput(t *testing.T) {
	for _, c := range []struct {
		prompt string
		texts  []string
		cut    bool
		want   string
	}{
		{"Once", []string{" upon", " a time"}, false, "notice\nOnce upon a time\n"},
		{"", []string{"a", "b\n"}, false, "notice\nab\n"},
		{"Once", nil, false, "notice\nOnce\n"},
		{"Once", nil, true, "notice\n"},
		{"Once", []string{" upon"}, true, "notice\nOnce upon\n"},
		{"Once\n", nil, false, "notice\nOnce\n"},
		{"", nil, false, "notice\n"},
		{"", []string{"", "a"}, false, "notice\na\n"},
	} {
		var terminal bytes.Buffer
		a := &app{stdout: &terminal, stderr: &terminal}
		o := textOutput{app: a, prompt: c.prompt, last: '\n'}
		a.notice("notice")
		for _, text := range c.texts {
			if err := o.write(text); err != nil {
				t.Fatal(err)
			}
		}
		if err := o.end(c.cut); err != nil || terminal.String() != c.want {
			t.Errorf("%q, %q: want %q, got %q (%v)", c.prompt, c.texts, c.want, terminal.String(), err)
		}
	}
}
