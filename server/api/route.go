package api

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// Route is what a server does at a path.
type Route struct {
	Pattern string // of http.ServeMux
	Handle  func(w http.ResponseWriter, c *Call) *wire.Error
	Fail    func(w http.ResponseWriter, e *wire.Error) // answers with an error in the protocol's shape

	Open  bool // reports whether no key is asked for
	Light bool // reports whether the request costs next to nothing and so counts for no limit
}

// Call is a request to a route.
type Call struct {
	*http.Request
	ID       string                  // of the request, in logs and in the answer's head
	User     string                  // whose key it brought
	Most     int64                   // bytes of the body
	BodyTime time.Duration           // that the body may take to come
	Read     bool                    // reports whether the body was read
	Answers  int                     // most that it may ask for; 0 for any number
	More     func(n int) *wire.Error // counts n more answers than one, for the limits of its key; nil where there are none
	Unkept   *wire.Error             // why the state behind the answer could not be kept, for the log; nil for no such fault
	Done     func(r Result)          // tells the server of an answer, for logs and metrics; several where a call asks for several
}

// Decode reads the body, an object, into the struct that v points to.
func (c *Call) Decode(w http.ResponseWriter, v any) *wire.Error {
	body, err := c.Body(w, c.Most)
	if err != nil {
		return err
	}
	return wire.Decode(body, v)
}

// Body reads the body, of most bytes at the most.
func (c *Call) Body(w http.ResponseWriter, most int64) ([]byte, *wire.Error) {
	c.Read = true
	ctl := http.NewResponseController(w)
	_ = ctl.SetReadDeadline(time.Now().Add(c.BodyTime)) // a writer without a connection, such as a test's, has no time limit
	body, err := wire.Read(w, c.Request, most)
	if err != nil {
		return nil, err
	}
	_ = ctl.SetReadDeadline(time.Time{}) // the connection is watched for a client that leaves
	return body, nil
}

// Stream has the body come piece by piece, for a handler that takes it so: at most so many bytes, and each piece within
// BodyTime. A longer one fails with an *http.MaxBytesError.
func (c *Call) Stream(w http.ResponseWriter, most int64) {
	c.Request.Body = &pieces{http.MaxBytesReader(w, c.Request.Body, most), c, http.NewResponseController(w)}
}

// pieces is a body of Stream.
type pieces struct {
	io.ReadCloser
	c   *Call
	ctl *http.ResponseController
}

func (p *pieces) Read(b []byte) (int, error) {
	_ = p.ctl.SetReadDeadline(time.Now().Add(p.c.BodyTime)) // tests' writers have no connection
	n, err := p.ReadCloser.Read(b)
	p.c.Read = p.c.Read || errors.Is(err, io.EOF)
	return n, err
}

// Answer takes the steps that all calls for answers have: it reads the body into the struct that v points to, has it
// prepared as requests, begins them, has them answered, and tells the server of each.
func (c *Call) Answer(w http.ResponseWriter, m Model, v any, prepare func() ([]Request, *wire.Error),
	answer func([]Stream) *wire.Error) *wire.Error {
	if err := c.Decode(w, v); err != nil {
		return err
	}
	requests, err := prepare()
	if err != nil {
		return err
	}
	streams, err := c.Start(m, requests)
	if err != nil {
		return err
	}
	defer func() {
		for i, s := range streams {
			r := s.Result()
			if requests[i].Shares { // the first answer has counted the prompt
				r.Prompt, r.Cached, r.Before = 0, 0, 0
			}
			c.Done(r)
		}
	}()
	return answer(streams)
}

// Start begins requests of a call, all or none. Each counts for the limits of the call's key.
func (c *Call) Start(m Model, requests []Request) ([]Stream, *wire.Error) {
	if err := c.count(len(requests), m.Info().Together); err != nil {
		return nil, err
	}
	streams := make([]Stream, 0, len(requests))
	for len(requests) > 0 {
		n := 1
		for n < len(requests) && requests[n].Shares {
			n++
		}
		more, err := m.Start(c.Context(), requests[:n])
		if err != nil {
			for _, s := range streams {
				s.Close()
			}
			return nil, Fault(err)
		}
		streams, requests = append(streams, more...), requests[n:]
	}
	return streams, nil
}

// count counts the answers of a call, of which the model takes as many together as most says.
func (c *Call) count(n, most int) *wire.Error {
	for _, limit := range []struct {
		most  int
		whose string
	}{{most, "this server takes"}, {c.Answers, "this key may have"}} {
		if limit.most > 0 && n > limit.most {
			return &wire.Error{Status: http.StatusBadRequest, Code: "too_many_answers",
				Message: fmt.Sprintf("the request asks for %d answers together, and %s at most %d", n, limit.whose, limit.most)}
		}
	}
	if n == 1 || c.More == nil {
		return nil
	}
	return c.More(n - 1)
}

// NewID returns the id of an answer.
func NewID(prefix string) string {
	var b [18]byte
	_, _ = rand.Read(b[:]) // never fails
	return prefix + base64.RawURLEncoding.EncodeToString(b[:])
}
