package prompt

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"
)

// rewrite writes a JSON value anew, as models saw it in training: the order of keys and the digits of numbers as they
// are, characters in UTF-8 and not escaped. It writes the compact form if indent is empty, and else one with a line for
// each element. It reports false if data is not one JSON value.
func rewrite(data []byte, indent string) (string, bool) {
	if !json.Valid(data) {
		return "", false
	}
	w := writer{in: data, indent: indent}
	w.value("\n")
	return w.out.String(), true
}

// writer walks well-formed JSON.
type writer struct {
	in     []byte
	at     int
	out    strings.Builder
	indent string
}

// next skips white space and returns the next byte.
func (w *writer) next() byte {
	for w.at < len(w.in) && strings.IndexByte(" \t\r\n", w.in[w.at]) >= 0 {
		w.at++
	}
	return w.in[w.at]
}

// value writes a value. line is the line break before its elements' indent.
func (w *writer) value(line string) {
	switch c := w.next(); c {
	case '{', '[':
		w.list(c, c+2, line) // in ASCII, } and ] are 2 behind { and [
	case '"':
		w.text()
	default:
		from := w.at
		for w.at < len(w.in) && strings.IndexByte(" \t\r\n,]}", w.in[w.at]) < 0 {
			w.at++
		}
		w.out.Write(w.in[from:w.at])
	}
}

// list writes an object or an array.
func (w *writer) list(open, end byte, line string) {
	w.at++
	w.out.WriteByte(open)
	if w.next() == end {
		w.at++
		w.out.WriteByte(end)
		return
	}
	for {
		if w.indent != "" {
			w.out.WriteString(line + w.indent)
		}
		if open == '{' {
			w.next()
			w.text()
			w.next()
			w.at++ // the colon
			w.out.WriteByte(':')
			if w.indent != "" {
				w.out.WriteByte(' ')
			}
		}
		w.value(line + w.indent)
		c := w.next()
		w.at++
		if c == end {
			break
		}
		w.out.WriteByte(',')
	}
	if w.indent != "" {
		w.out.WriteString(line)
	}
	w.out.WriteByte(end)
}

// text writes a string.
func (w *writer) text() {
	from := w.at
	for w.at++; w.in[w.at] != '"'; w.at++ {
		if w.in[w.at] == '\\' {
			w.at++
		}
	}
	w.at++
	var s string
	if err := json.Unmarshal(w.in[from:w.at], &s); err != nil {
		w.out.Write(w.in[from:w.at]) // json.Valid has seen it, so this is for a decoder that is stricter
		return
	}
	w.out.WriteString(quoted(s))
}

// quoted returns a JSON string in which nothing is escaped that need not be. What is not UTF-8 becomes U+FFFD.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r >= ' ' || r == utf8.RuneError:
			b.WriteRune(r)
		default:
			if i := strings.IndexRune("\b\t\n\f\r", r); i >= 0 {
				b.WriteString(`\` + "btnfr"[i:i+1])
				continue
			}
			b.WriteString(`\u00` + strconv.FormatInt(int64(r)+0x100, 16)[1:])
		}
	}
	b.WriteByte('"')
	return b.String()
}
