package tokenizer

import "unicode/utf8"

// Stream turns token ids that arrive one at a time into text. A token may end inside a character. Then its bytes are
// held back until the character is complete or known to be invalid. The texts of Append and of a final AppendEnd,
// joined, are [Text] of all bytes, wherever the tokens' borders lie. Not safe for concurrent use.
type Stream struct {
	tok  Tokenizer
	held []byte // between calls: at most three bytes, the start of a valid character
}

// NewStream returns an empty stream of the ids of t.
func NewStream(t Tokenizer) *Stream { return &Stream{tok: t} }

// Append takes the next id and appends to dst the text that is now certain. There may be none. An id without bytes adds
// nothing. Append allocates only if dst must grow.
func (s *Stream) Append(dst []byte, id int) []byte {
	s.held = append(s.held, s.tok.Bytes(id)...)
	dst, n := appendText(dst, s.held)
	s.held = s.held[:copy(s.held, s.held[n:])]
	return dst
}

// Held reports whether a character is unfinished.
func (s *Stream) Held() bool { return len(s.held) > 0 }

// AppendEnd ends the text: it appends U+FFFD to dst if a character is unfinished. Then the stream is as good as new.
func (s *Stream) AppendEnd(dst []byte) []byte {
	if s.Held() {
		dst = utf8.AppendRune(dst, utf8.RuneError)
	}
	s.held = s.held[:0]
	return dst
}

// Text returns b as valid UTF-8, with U+FFFD in place of each maximal subpart of an ill-formed sequence: the longest
// start of a valid character, or one byte that starts none (Unicode 15, section 3.9, "U+FFFD Substitution of Maximal
// Subparts"; also what the WHATWG decoder and Python's errors="replace" do).
func Text(b []byte) string {
	out, n := appendText(make([]byte, 0, len(b)), b)
	if n < len(b) {
		out = utf8.AppendRune(out, utf8.RuneError)
	}
	return string(out)
}

// appendText appends the text of b to dst and returns it with the number of bytes of b used: all but an unfinished
// valid character at the end.
func appendText(dst, b []byte) ([]byte, int) {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			if !utf8.FullRune(b[i:]) {
				return dst, i
			}
			n = subpart(b[i:])
			dst = utf8.AppendRune(dst, utf8.RuneError)
		} else {
			dst = append(dst, b[i:i+n]...)
		}
		i += n
	}
	return dst, len(b)
}

// subpart returns the length of the maximal subpart at the start of b, which begins with an invalid sequence. A prefix
// counts as long as more bytes could complete it; then FullRune returns false.
func subpart(b []byte) int {
	n := 1
	for n < len(b) && !utf8.FullRune(b[:n+1]) {
		n++
	}
	return n
}
