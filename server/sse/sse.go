// Package sse writes server-sent events (the HTML standard, section 9.2), each flushed at once and with a time limit of its
// own: a reader that takes nothing for that long is given up.
package sse

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// ErrReader is what errors of a Writer wrap: the reader is gone, or takes nothing.
var ErrReader = errors.New("the reader takes nothing more")

// Writer writes events. Not safe for concurrent use.
type Writer struct {
	w     http.ResponseWriter
	ctl   *http.ResponseController
	limit time.Duration
	line  bytes.Buffer
}

// NewWriter makes a writer, and Begin writes the head of the answer. limit is how long one event may take to be written, 0
// for any time.
func NewWriter(w http.ResponseWriter, limit time.Duration) *Writer {
	return &Writer{w: w, ctl: http.NewResponseController(w), limit: limit}
}

// Begin writes the head of the answer.
func (s *Writer) Begin() error {
	h := s.w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Accel-Buffering", "no") // which proxies of nginx's kind obey
	s.w.WriteHeader(http.StatusOK)
	return s.flush(nil)
}

// Event writes one event. name may be "", and data is one line or several.
func (s *Writer) Event(name string, data []byte) error {
	s.line.Reset()
	if name != "" {
		fmt.Fprintf(&s.line, "event: %s\n", name)
	}
	for line := range bytes.SplitSeq(data, []byte("\n")) {
		s.line.WriteString("data: ")
		s.line.Write(line)
		s.line.WriteByte('\n')
	}
	return s.send()
}

// Ping writes a comment, which clients leave out, so that nothing on the way takes the connection for dead.
func (s *Writer) Ping() error {
	s.line.Reset()
	s.line.WriteString(": ping\n")
	return s.send()
}

func (s *Writer) send() error {
	s.line.WriteByte('\n')
	return s.flush(s.line.Bytes())
}

func (s *Writer) flush(line []byte) error {
	var err error
	if s.limit > 0 {
		err = s.ctl.SetWriteDeadline(time.Now().Add(s.limit))
	} else {
		_ = s.ctl.SetWriteDeadline(time.Time{}) // a writer without time limits has none to take back
	}
	if err == nil {
		_, err = s.w.Write(line)
	}
	if err == nil {
		err = s.ctl.Flush()
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrReader, err)
	}
	return nil
}
