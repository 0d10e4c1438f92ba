package prompt

import (
	"fmt"
	"strings"
	"unicode"
)

// Think says how long a model shall think before it answers.
type Think string

// Modes of thinking. The empty string is ThinkOff.
const (
	ThinkOff   Think = "off"   // no word of it
	ThinkFast  Think = "fast"  // an empty thought is put into its mouth, which gives better answers than no thought
	ThinkFree  Think = "free"  // as long as it likes
	ThinkShort Think = "short" // the last user's message asks for a short thought
	ThinkLong  Think = "long"  // the last user's message asks for a long thought
)

// Thinks lists the modes.
func Thinks() []Think { return []Think{ThinkOff, ThinkFast, ThinkFree, ThinkShort, ThinkLong} }

// ParseThink returns the mode of a name. The error is a *FieldError of field.
func ParseThink(field, name string) (Think, error) {
	var names []string
	for _, t := range Thinks() {
		if string(t) == name {
			return t, nil
		}
		names = append(names, string(t))
	}
	return "", &FieldError{field, "one of " + strings.Join(names, ", "), fmt.Sprintf("%q", name)}
}

// Tags around a thought. No prompt ends with ">": the model has to write it, in one token with what follows.
const (
	thinkTag    = "<think>"
	endThinkTag = "</think>"
	openThink   = "<think"
)

// thinking is what a mode puts into a prompt, for models of some time.
type thinking struct {
	from   int // the first date of a model, such as 20250922
	fast   string
	suffix map[Think]string // behind the last user's text
}

// thinkings are the strings of RWKV's G1 models, the latest first. The card of these models has the two older ways;
// RWKV-LM's RWKV7-G1x-templates.txt has the newest. Neither dates the change to parentheses, for which the first
// models of 2026 are taken.
var thinkings = []thinking{
	{20260101, "<think></think", map[Think]string{ThinkShort: " (think a bit)", ThinkLong: " (think a lot)"}},
	{20250922, "<think>\n</think", map[Think]string{ThinkShort: " think a bit", ThinkLong: " think a lot"}},
	{0, "<think>\n</think", nil},
}

// thinkingOf returns the strings for models of a date, of which 0 is the newest.
func thinkingOf(date int) *thinking {
	for i := range thinkings {
		if date == 0 || date >= thinkings[i].from {
			return &thinkings[i]
		}
	}
	return &thinkings[len(thinkings)-1]
}

// opening returns what the answer begins with, "" if the model does not think.
func (t *thinking) opening(mode Think) string {
	switch mode {
	case ThinkFast:
		return t.fast
	case ThinkFree, ThinkShort, ThinkLong:
		return openThink
	}
	return ""
}

// splitThink divides the text of an answer that holds its thought, as some clients send it back.
func splitThink(text string) (reasoning, content string) {
	if rest, ok := strings.CutPrefix(strings.TrimLeftFunc(text, unicode.IsSpace), thinkTag); ok {
		if reasoning, content, ok = strings.Cut(rest, endThinkTag); ok {
			return reasoning, content
		}
	}
	return "", text
}
