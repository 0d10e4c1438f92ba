package weights

import (
	"errors"
	"io/fs"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ErrMissing is wrapped by the Error of a missing tensor.
var ErrMissing = errors.New("missing from the file")

// ErrClosed is wrapped by the Error of a Load after Close.
var ErrClosed = errors.New("the file is closed")

// ErrChanged is wrapped by the Error of a file that somebody cut or overwrote while it was open.
var ErrChanged = errors.New("the file changed while it was read")

// Error is a failure to read a model file. It renders as one line: FILE: tensor NAME: FIELD: want WANT, got GOT.
type Error struct {
	File   string // path as given to Open or Parse
	Tensor string // name as the file spells it, if the failure is about one tensor
	Field  string // what is wrong: "shape", "dtype", "header length"
	Want   string
	Got    string
	Err    error // cause, if there is one beneath Want and Got
}

// Error renders the parts that are set. What came from the file is clipped and escaped, so that it stays one line.
func (e *Error) Error() string {
	var parts []string
	if e.File != "" {
		parts = append(parts, e.File)
	}
	if e.Tensor != "" {
		parts = append(parts, "tensor "+clip(e.Tensor))
	}
	if e.Field != "" {
		parts = append(parts, clip(e.Field))
	}
	if e.Want != "" {
		parts = append(parts, "want "+e.Want+", got "+clip(e.Got))
	}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	return oneLine(strings.Join(parts, ": "))
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// inFile returns err as an Error that names the file.
func inFile(path string, err error) error {
	var e *Error
	if errors.As(err, &e) {
		e.File = path
		return e
	}
	var p *fs.PathError // its text would name the path a second time
	if errors.As(err, &p) {
		return &Error{File: path, Field: p.Op, Err: p.Err}
	}
	return &Error{File: path, Err: err}
}

// clip shortens text from a file to what fits in a message.
func clip(s string) string {
	const most = 160
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "..."
}

// oneLine escapes what would not print.
func oneLine(s string) string {
	printable := func(r rune) bool { return r != utf8.RuneError && unicode.IsPrint(r) }
	if strings.IndexFunc(s, func(r rune) bool { return !printable(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if printable(r) {
			b.WriteString(s[i : i+n])
		} else {
			q := strconv.Quote(s[i : i+n])
			b.WriteString(q[1 : len(q)-1])
		}
		i += n
	}
	return b.String()
}

// inTensor returns err as an Error that names the tensor.
func inTensor(name string, err error) error {
	var e *Error
	if errors.As(err, &e) {
		e.Tensor = name
		return e
	}
	return &Error{Tensor: name, Err: err}
}
