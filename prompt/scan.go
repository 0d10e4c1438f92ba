package prompt

// scanner finds the end of an object or a list, byte by byte. It checks what can be checked without looking back; what
// it has found still has to be parsed.
type scanner struct {
	python bool // reports whether strings may also stand in single quotes, as in a Python literal
	depth  int  // of open brackets
	quote  byte // of the string that is open, or 0
	escape bool // reports whether the next byte is escaped
}

// result is what a scanner says of a byte.
type result int

const (
	more result = iota // the value goes on
	done               // the value ends with this byte
	bad                // no value has this byte here
)

// next takes a byte. The first one has to open the value.
func (s *scanner) next(b byte) result {
	switch {
	case s.escape:
		s.escape = false
	case s.quote != 0:
		switch {
		case b == '\\':
			s.escape = true
		case b == s.quote:
			s.quote = 0
		case b < ' ' && !s.python:
			return bad
		}
	case b == '{' || b == '[':
		s.depth++
	case s.depth == 0:
		return bad
	case b == '}' || b == ']':
		if s.depth--; s.depth == 0 {
			return done
		}
	case b == '"' || b == '\'' && s.python:
		s.quote = b
	case !plainByte(b):
		return bad
	}
	return more
}

// plainByte reports whether a byte may stand in JSON or a Python literal outside of strings and brackets: in white
// space, numbers, words, commas and colons.
func plainByte(b byte) bool {
	switch {
	case b >= '0' && b <= '9', b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z':
		return true
	}
	switch b {
	case ' ', '\t', '\r', '\n', ',', ':', '.', '+', '-', '_':
		return true
	}
	return false
}
