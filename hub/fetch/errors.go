package fetch

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Kind says what an error is about.
type Kind int

// The kinds of errors.
const (
	Network  Kind = iota // the server cannot be reached, or fails again and again
	NotFound             // the server has no such file
	Denied               // the server wants a token, or another one
	Damaged              // the bytes do not have the hash that was told
	Changed              // the file is another one than before
	Space                // the disk is full, or would be
	Local                // a file cannot be read or written
)

// Error says why a file did not come. It renders as one line.
type Error struct {
	Kind  Kind
	Where string // the address without its query, or the path
	Err   error
}

func (e *Error) Error() string { return e.Where + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether err is an *Error of the kind.
func Is(err error, kind Kind) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == kind
}

// Plain returns an address as errors may show it: queries and users may hold secrets.
func Plain(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "an address that cannot be read"
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}

func failed(kind Kind, where, format string, args ...any) error {
	return &Error{Kind: kind, Where: where, Err: fmt.Errorf(format, args...)}
}

var (
	errStalled  = errors.New("no bytes, or too few, for a long time")
	errNoRanges = errors.New("the server sends whole files only")
)

// mismatchError is an answer about another file than the one that is being fetched.
type mismatchError struct {
	what      string
	want, got any
}

func (e *mismatchError) Error() string {
	return fmt.Sprintf("want the %s %v, got %v", e.what, e.want, e.got)
}

// statusError is an answer with a status that is none of success.
type statusError struct {
	code       int
	redirected bool          // reports whether another server than the asked one said so
	wait       time.Duration // that the server asks for, 0 for none
	ranges     string        // Content-Range, which tells the size where a range is refused
}

func (e *statusError) Error() string {
	return fmt.Sprintf("the server says %d %s", e.code, http.StatusText(e.code))
}

// kind returns the kind of a status that another try will not change. ok is false if it might.
func (e *statusError) kind() (kind Kind, ok bool) {
	switch c := e.code; {
	case e.redirected: // the address that the first server has signed may be too old
		return 0, false
	case c == http.StatusUnauthorized, c == http.StatusForbidden:
		return Denied, true
	case c == http.StatusRequestTimeout, c == http.StatusTooEarly, c == http.StatusTooManyRequests,
		c == http.StatusRequestedRangeNotSatisfiable:
		return 0, false
	case c >= 400 && c < 500:
		return NotFound, true
	}
	return 0, false
}

// retryAfter reads the header Retry-After: seconds, or a date.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := h.Get("Retry-After")
	if n, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if t, err := http.ParseTime(text); err == nil && t.After(now) {
		return t.Sub(now)
	}
	return 0
}
