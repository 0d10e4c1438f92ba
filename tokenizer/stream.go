package tokenizer

import "unicode/utf8"

// Stream turns token ids that arrive one at a time into text. A token may end inside a character: its bytes are held
// back until the character is complete or known to be invalid. Whatever the tokens' borders, the texts returned by Push
// and a final Flush, joined, are [Text] of all bytes. Not safe for concurrent use.
type Stream struct {
	tok  Tokenizer
	held []byte // between calls: at most three bytes, the start of a valid character
	out  []byte
}

// NewStream returns an empty stream of the ids of t.
func NewStream(t Tokenizer) *Stream { return &Stream{tok: t} }

// Push takes the next id and returns the text that is now certain, which may be empty. An id without bytes adds nothing.
func (s *Stream) Push(id int) string {
	s.held = append(s.held, s.tok.Bytes(id)...)
	var n int
	s.out, n = appendText(s.out[:0], s.held)
	s.held = append(s.held[:0], s.held[n:]...)
	return string(s.out)
}

// Flush ends the text: it returns U+FFFD if a character is unfinished, else "". The stream is then as new.
func (s *Stream) Flush() string {
	cut := len(s.held) > 0
	s.Reset()
	if cut {
		return string(utf8.RuneError)
	}
	return ""
}

// Reset drops what is held back and makes the stream as new.
func (s *Stream) Reset() { s.held = s.held[:0] }

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

// appendText appends the text of b to dst and returns it with the number of bytes of b used: all but an unfinished valid
// character at the end.
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

// subpart returns the length of the maximal subpart at the start of b, which starts with an invalid sequence. A prefix
// counts as long as more bytes could still complete it, which is what FullRune denies.
func subpart(b []byte) int {
	n := 1
	for n < len(b) && !utf8.FullRune(b[:n+1]) {
		n++
	}
	return n
}
