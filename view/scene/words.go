package scene

import "image/color"

// Origin says where a piece of the text comes from.
type Origin uint8

// The origins.
const (
	Given   Origin = iota // the prompt
	Written               // by the model
	Typed                 // by whoever looks
)

// Span is the text of a token.
type Span struct {
	Text string
	From Origin
}

// letter is a character of the laid out text.
type letter struct {
	r     rune
	color color.RGBA
}

// mostSpans is how many tokens, from the end of the text, can be scrolled to.
const mostSpans = 20000

// letters returns the characters of the last spans with their colors. What the shown state has not read is dim, but for
// the one token that it reads next.
func letters(st *Story) (list []letter) {
	from := max(len(st.Spans)-mostSpans, 0)
	for i, span := range st.Spans[from:] {
		i += from
		c := bright
		switch {
		case i > st.Read || st.At >= 0 && i == st.Read:
			c = line
		case i == st.Read:
			c = accent
		case span.From == Given:
			c = plain
		case span.From == Typed:
			c = cool
		}
		for _, r := range span.Text {
			list = append(list, letter{r, c})
		}
	}
	return list
}

// wrap breaks text into lines of a width, at spaces where there are any.
func wrap(text []letter, width int) (lines [][]letter) {
	width = max(width, 1)
	begin, space := 0, -1 // of the line; the last space in it
	cut := func(end, next int) {
		lines = append(lines, text[begin:end])
		begin, space = next, -1
	}
	for i := 0; i < len(text); i++ {
		switch {
		case text[i].r == '\n':
			cut(i, i+1)
			continue
		case i-begin >= width && text[i].r == ' ':
			cut(i, i+1)
			continue
		case i-begin >= width && space >= 0:
			cut(space, space+1)
		case i-begin >= width:
			cut(i, i)
		}
		if text[i].r == ' ' {
			space = i
		}
	}
	return append(lines, text[begin:])
}
