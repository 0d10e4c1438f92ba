// Package sse writes server-sent events (the HTML standard, section 9.2), each flushed at once and with a time limit of its
// own: a reader that takes nothing for that long is given up.
package sse

import (
	"bytes"
	"fmt"
	"net/http"
	"time"
)

// Writer writes events. Not safe for concurrent use.
type Writer struct {
	w     http.ResponseWriter
	ctl   *http.ResponseController
	limit time.Duration
	line  bytes.Buffer
}

// NewWriter writes the head of the answer. limit is how long one event may take to be written, 0 for any time.
func NewWriter(w http.ResponseWriter, limit time.Duration) (*Writer, error) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Accel-Buffering", "no") // which proxies of nginx's kind obey
	s := &Writer{w: w, ctl: http.NewResponseController(w), limit: limit}
	w.WriteHeader(http.StatusOK)
	return s, s.ctl.Flush()
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
	if s.limit > 0 {
		if err := s.ctl.SetWriteDeadline(time.Now().Add(s.limit)); err != nil {
			return err
		}
	}
	if _, err := s.w.Write(s.line.Bytes()); err != nil {
		return err
	}
	return s.ctl.Flush()
}
