package weights

import (
	"encoding/json"
	"fmt"
	"math"
	"unicode/utf8"
)

// scanner walks JSON text without copying it. It exists because encoding/json keeps the last of several equal keys,
// reads numbers through float64 where asked for any value, and buffers as much as the text makes it. It knows only
// what a safetensors header may hold: objects, arrays, strings and natural numbers. There is no recursion, so depth is
// what the caller asks for.
type scanner struct {
	text []byte
	at   int
}

// fail reports what stands at the current place instead of want.
func (s *scanner) fail(want string) error { return s.failAt(s.at, want) }

func (s *scanner) failAt(at int, want string) error {
	got := "the end of the header"
	if at < len(s.text) {
		if c := s.text[at]; c >= 0x20 && c < 0x7f {
			got = fmt.Sprintf("%q", c)
		} else {
			got = fmt.Sprintf("byte %#02x", c)
		}
	}
	return &Error{Field: "header", Want: want, Got: fmt.Sprintf("%s at byte %d", got, at)}
}

// peek skips white space and returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	for s.at < len(s.text) {
		switch c := s.text[s.at]; c {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return c
		}
	}
	return 0
}

func (s *scanner) expect(c byte) error {
	if s.peek() != c || s.at == len(s.text) {
		return s.fail(fmt.Sprintf("%q", c))
	}
	s.at++
	return nil
}

// object calls each with every key, after which each must consume the value. Keys longer than maxKey are refused.
func (s *scanner) object(maxKey int, each func(key string) error) error {
	return s.list('{', '}', func() error {
		key, err := s.str(maxKey)
		if err != nil {
			return err
		}
		if err := s.expect(':'); err != nil {
			return err
		}
		return each(key)
	})
}

// list calls each at every element of a bracketed list, after which each must have consumed it.
func (s *scanner) list(open, end byte, each func() error) error {
	if err := s.expect(open); err != nil {
		return err
	}
	if s.peek() == end {
		s.at++
		return nil
	}
	for {
		if err := each(); err != nil {
			return err
		}
		switch s.peek() {
		case ',':
			s.at++
		case end:
			s.at++
			return nil
		default:
			return s.fail(fmt.Sprintf("',' or %q", end))
		}
	}
}

// str reads a string of at most limit bytes of text between its quotes.
func (s *scanner) str(limit int) (string, error) {
	if s.peek() != '"' {
		return "", s.fail("a string")
	}
	start, escaped := s.at, false
	for i := start + 1; ; i++ {
		switch {
		case i >= len(s.text):
			return "", s.failAt(i, "the closing quote of a string")
		case i-start-1 > limit:
			return "", &Error{Field: "header", Want: fmt.Sprintf("strings of at most %d bytes here", limit), Got: fmt.Sprintf("a longer one at byte %d", start)}
		case s.text[i] < 0x20:
			return "", s.failAt(i, "no control characters in a string")
		case s.text[i] == '\\':
			escaped = true
			i++
		case s.text[i] == '"':
			s.at = i + 1
			return s.unquote(start, i+1, escaped)
		}
	}
}

// unquote decodes the string literal text[start:end].
func (s *scanner) unquote(start, end int, escaped bool) (string, error) {
	literal := s.text[start:end]
	if !utf8.Valid(literal) {
		return "", &Error{Field: "header", Want: "UTF-8", Got: fmt.Sprintf("other bytes in the string at byte %d", start)}
	}
	if !escaped {
		return string(literal[1 : len(literal)-1]), nil
	}
	var out string
	if err := json.Unmarshal(literal, &out); err != nil {
		return "", &Error{Field: "header", Want: "a JSON string", Got: fmt.Sprintf("a bad escape in the string at byte %d", start)}
	}
	return out, nil
}

// natural reads a number that counts something: an integer from 0 to the largest int64.
func (s *scanner) natural() (int64, error) {
	const want = "a natural number"
	if c := s.peek(); c == '-' {
		return 0, s.fail(want + ", not a negative one")
	} else if c < '0' || c > '9' {
		return 0, s.fail(want)
	}
	start, n := s.at, int64(0)
	for ; s.at < len(s.text) && s.text[s.at] >= '0' && s.text[s.at] <= '9'; s.at++ {
		d := int64(s.text[s.at] - '0')
		if n > (math.MaxInt64-d)/10 {
			return 0, &Error{Field: "header", Want: "numbers below 2^63", Got: fmt.Sprintf("a larger one at byte %d", start)}
		}
		n = 10*n + d
	}
	if s.text[start] == '0' && s.at > start+1 {
		return 0, s.failAt(start, "no leading zero in a number")
	}
	if s.at < len(s.text) && (s.text[s.at] == '.' || s.text[s.at]|0x20 == 'e') {
		return 0, s.fail(want + ", not a fraction")
	}
	return n, nil
}
