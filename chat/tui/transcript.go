package tui

import (
	"slices"
	"strings"
	"unicode"
)

// transcript is the lines of a conversation, of which the screen shows some. Lines that stay are kept as they are drawn, so
// that a token costs no more behind a long conversation than behind a short one.
type transcript struct {
	height int
	stay   []string // lines of what does not change
	come   []string // lines behind them, of what goes on
	top    int      // the first line that is shown
}

// lines returns how many lines there are.
func (t *transcript) lines() int { return len(t.stay) + len(t.come) }

// bottom returns the first line that is shown where the last one is.
func (t *transcript) bottom() int { return max(t.lines()-t.height, 0) }

// atBottom reports whether the last line is shown.
func (t *transcript) atBottom() bool { return t.top >= t.bottom() }

// scroll shows the lines from one on, or as near as it can.
func (t *transcript) scroll(top int) { t.top = min(max(top, 0), t.bottom()) }

// view returns the lines that are shown.
func (t *transcript) view() string {
	shown := make([]string, t.height)
	for i := range shown {
		switch at := t.top + i; {
		case at < len(t.stay):
			shown[i] = t.stay[at]
		case at < t.lines():
			shown[i] = t.come[at-len(t.stay)]
		}
	}
	return strings.Join(shown, "\n")
}

// paragraph is a text that goes on. Its lines up to its last line break are kept as they are drawn.
type paragraph struct {
	trim  bool // reports whether white space at the ends is left out
	text  strings.Builder
	held  string // white space behind the text, which is left out if nothing follows
	words int
	inner bool // reports whether the text ends within a word

	lines []string // as drawn
	drawn int      // bytes of text that they are of
}

// add appends to the text.
func (p *paragraph) add(text string) {
	if p.trim {
		if text = p.held + text; p.text.Len() == 0 {
			text = strings.TrimLeftFunc(text, unicode.IsSpace)
		}
		n := len(strings.TrimRightFunc(text, unicode.IsSpace))
		text, p.held = text[:n], text[n:]
	}
	for _, r := range text {
		space := unicode.IsSpace(r)
		if !space && !p.inner {
			p.words++
		}
		p.inner = !space
	}
	p.text.WriteString(text)
}

// undraw forgets the lines, for a screen of another width.
func (p *paragraph) undraw() { p.lines, p.drawn = nil, 0 }

// draw returns the lines, by a function that returns those of some text.
func (p *paragraph) draw(lines func(text string) []string) []string {
	rest := p.text.String()[p.drawn:]
	if n := strings.LastIndexByte(rest, '\n') + 1; n > 0 {
		p.lines = append(p.lines, lines(rest[:n-1])...)
		p.drawn, rest = p.drawn+n, rest[n:]
	}
	return append(slices.Clone(p.lines), lines(rest)...)
}
