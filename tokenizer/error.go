package tokenizer

import "fmt"

// Error is a fault in a vocabulary file.
type Error struct {
	File  string
	Line  int    // counted from 1; 0 where the fault lies in the file as a whole
	Field string // "id", "token", "length", …
	Want  string
	Got   string
}

// Error renders the fault on one line.
func (e *Error) Error() string {
	where := e.File
	if e.Line > 0 {
		where = fmt.Sprintf("%s: line %d", e.File, e.Line)
	}
	return fmt.Sprintf("%s: %s: want %s, got %s", where, e.Field, e.Want, e.Got)
}

// TextError is a text that a vocabulary cannot spell.
type TextError struct {
	Name   string // of the tokenizer
	Byte   byte   // at which no token fits the text
	Offset int    // of Byte in the text
}

// Error renders the fault on one line.
func (e *TextError) Error() string {
	return fmt.Sprintf("byte %+q at offset %d: the vocabulary %s has no token for it", string([]byte{e.Byte}), e.Offset, e.Name)
}

// maxExcerpt bounds how many bytes of a faulty file an error repeats.
const maxExcerpt = 40

// excerpt quotes the start of b.
func excerpt[T []byte | string](b T) string {
	if len(b) > maxExcerpt {
		return fmt.Sprintf("%+q…", string(b[:maxExcerpt]))
	}
	return fmt.Sprintf("%+q", string(b))
}
