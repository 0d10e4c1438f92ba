package tokenizer

import (
	"bytes"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// literalError is what is wrong inside a literal, for an Error's Want and Got.
type literalError struct{ want, got string }

// appendLiteral appends the bytes that the Python literal at the start of src stands for, and returns them with what
// follows the literal. src holds no line break and is valid UTF-8.
func appendLiteral(dst, src []byte) (value, rest []byte, fault *literalError) {
	body, isBytes := bytes.CutPrefix(src, []byte("b"))
	if len(body) == 0 || body[0] != '\'' && body[0] != '"' {
		return dst, src, &literalError{`a Python literal '…', "…", b'…' or b"…"`, excerpt(src)}
	}
	quote := body[0]
	body = body[1:]
	for len(body) > 0 {
		switch c := body[0]; {
		case c == quote:
			return dst, body[1:], nil
		case c == '\\':
			if dst, body, fault = appendEscape(dst, body, isBytes); fault != nil {
				return dst, body, fault
			}
		case isBytes && c >= utf8.RuneSelf:
			return dst, body, &literalError{`only ASCII in a b'…' literal`, excerpt(body)}
		case c == 0 || c == '\r':
			return dst, body, &literalError{"NUL and carriage return written as escapes", excerpt(body)}
		default:
			dst, body = append(dst, c), body[1:]
		}
	}
	return dst, body, &literalError{fmt.Sprintf("a closing %c", quote), "the end of the line"}
}

// appendEscape appends the bytes of the escape at the start of src, in a bytes or a str literal.
func appendEscape(dst, src []byte, isBytes bool) (value, rest []byte, fault *literalError) {
	digits := 0
	if len(src) > 1 {
		switch c := src[1]; c {
		case '\\', '\'', '"':
			return append(dst, c), src[2:], nil
		case 'n':
			return append(dst, '\n'), src[2:], nil
		case 'r':
			return append(dst, '\r'), src[2:], nil
		case 't':
			return append(dst, '\t'), src[2:], nil
		case 'x':
			digits = 2
		case 'u':
			digits = 4
		case 'U':
			digits = 8
		}
	}
	if digits == 0 || isBytes && digits > 2 {
		want := `an escape \\ \' \" \n \r \t \xNN \uNNNN \UNNNNNNNN`
		if isBytes {
			want = `an escape \\ \' \" \n \r \t \xNN`
		}
		return dst, src, &literalError{want, excerpt(src[:min(2, len(src))])}
	}
	code := src[:min(2+digits, len(src))]
	n, err := strconv.ParseUint(string(code[2:]), 16, 32)
	if err != nil || len(code) != 2+digits {
		return dst, src, &literalError{fmt.Sprintf(`%d hexadecimal digits after \%c`, digits, src[1]), excerpt(code)}
	}
	rest = src[len(code):]
	if isBytes {
		return append(dst, byte(n)), rest, nil
	}
	if !utf8.ValidRune(rune(n)) { // beyond int32 it turns negative, which is none either
		return dst, src, &literalError{"a Unicode character (no surrogate, at most U+10FFFF)", excerpt(code)}
	}
	return utf8.AppendRune(dst, rune(n)), rest, nil
}
