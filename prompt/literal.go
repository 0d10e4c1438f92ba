package prompt

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// pythonJSON returns a Python literal of dicts, lists, tuples, strings, numbers, True, False and None as compact JSON.
// Older models were trained on calls in this form. JSON is a literal too, but for true, false and null, which are
// taken as well.
func pythonJSON(text string) (string, error) {
	p := literal{in: text}
	p.value(0)
	p.space()
	if p.err == nil && p.at != len(p.in) {
		p.fail("the end")
	}
	return p.out.String(), p.err
}

// literal parses a Python literal.
type literal struct {
	in  string
	at  int
	out strings.Builder
	err error
}

// mostNested bounds the depth of a literal.
const mostNested = 500

func (p *literal) fail(want string) {
	if p.err == nil {
		p.err = fmt.Errorf("byte %d: want %s", p.at, want)
		p.at = len(p.in)
	}
}

func (p *literal) space() {
	for p.at < len(p.in) && strings.IndexByte(" \t\r\n", p.in[p.at]) >= 0 {
		p.at++
	}
}

// take skips white space, and the byte b if it follows.
func (p *literal) take(b byte) bool {
	p.space()
	if p.at < len(p.in) && p.in[p.at] == b {
		p.at++
		return true
	}
	return false
}

func (p *literal) value(depth int) {
	switch {
	case depth > mostNested:
		p.fail(fmt.Sprintf("at most %d levels", mostNested))
	case p.take('{'):
		p.out.WriteByte('{')
		p.items('}', func() {
			p.key()
			if !p.take(':') {
				p.fail("a colon")
			}
			p.out.WriteByte(':')
			p.value(depth + 1)
		})
		p.out.WriteByte('}')
	case p.take('['):
		p.list(']', depth)
	case p.take('('):
		p.list(')', depth)
	case p.at < len(p.in) && (p.in[p.at] == '"' || p.in[p.at] == '\''):
		p.text()
	default:
		p.word()
	}
}

func (p *literal) list(end byte, depth int) {
	p.out.WriteByte('[')
	p.items(end, func() { p.value(depth + 1) })
	p.out.WriteByte(']')
}

// items reads items with commas between them, and maybe one behind the last.
func (p *literal) items(end byte, item func()) {
	for n := 0; p.err == nil && !p.take(end); n++ {
		if n > 0 {
			p.out.WriteByte(',')
		}
		item()
		if !p.take(',') {
			if !p.take(end) {
				p.fail("a comma or " + string(end))
			}
			return
		}
	}
}

func (p *literal) key() {
	p.space()
	if p.at < len(p.in) && (p.in[p.at] == '"' || p.in[p.at] == '\'') {
		p.text()
		return
	}
	p.fail("a key in quotes")
}

// words are the constants of Python and of JSON.
var words = map[string]string{"True": "true", "False": "false", "None": "null", "true": "true", "false": "false", "null": "null"}

// word reads a number or a constant.
func (p *literal) word() {
	from := p.at
	for p.at < len(p.in) && strings.IndexByte(" \t\r\n,:]})", p.in[p.at]) < 0 {
		p.at++
	}
	w := p.in[from:p.at]
	if constant, ok := words[w]; ok {
		p.out.WriteString(constant)
		return
	}
	if !number.MatchString(w) {
		p.at = from
		p.fail("a value")
		return
	}
	p.out.WriteString(w)
}

// number matches the numbers of JSON.
var number = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

// escapes are those of one byte, of Python and of JSON.
var escapes = map[byte]string{'\\': "\\", '\'': "'", '"': `"`, '/': "/", 'a': "\a", 'b': "\b", 'f': "\f", 'n': "\n", 'r': "\r", 't': "\t",
	'v': "\v", '\n': ""}

// text reads a string.
func (p *literal) text() {
	var s strings.Builder
	quote := p.in[p.at]
	for p.at++; ; p.at++ {
		if p.at >= len(p.in) || p.err != nil {
			p.fail("the end of a string")
			p.at = len(p.in)
			return
		}
		b := p.in[p.at]
		if b == quote {
			p.at++
			p.out.WriteString(quoted(s.String()))
			return
		}
		if b != '\\' {
			s.WriteByte(b)
			continue
		}
		p.at++
		p.escape(&s)
	}
}

// escape reads what follows a backslash, up to its last byte. Halves of a pair become one character.
func (p *literal) escape(s *strings.Builder) {
	if p.at >= len(p.in) {
		return // text says so
	}
	b := p.in[p.at]
	if text, ok := escapes[b]; ok {
		s.WriteString(text)
		return
	}
	size := map[byte]int{'x': 2, 'u': 4, 'U': 8}[b]
	if size == 0 {
		s.WriteByte('\\') // it stays, as in Python
		s.WriteByte(b)
		return
	}
	r, ok := p.hex(p.at+1, size)
	if !ok {
		p.fail("hexadecimal digits")
		return
	}
	p.at += size
	if low, ok := p.hex(p.at+3, 4); size == 4 && ok && p.in[p.at+1:p.at+3] == `\u` {
		if pair := utf16.DecodeRune(r, low); pair != unicode.ReplacementChar {
			r = pair
			p.at += 6
		}
	}
	s.WriteRune(r)
}

// hex reads digits at a place.
func (p *literal) hex(at, size int) (rune, bool) {
	if at+size > len(p.in) {
		return 0, false
	}
	n, err := strconv.ParseUint(p.in[at:at+size], 16, 32)
	if err != nil || n > utf8.MaxRune {
		return 0, false
	}
	return rune(n), true
}
