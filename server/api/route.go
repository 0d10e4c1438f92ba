package api

import (
	"crypto/rand"
	"encoding/base64"
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
	ID       string         // of the request, in logs and in the answer's head
	User     string         // whose key it brought
	Most     int64          // bytes of the body
	BodyTime time.Duration  // that the body may take to come
	Read     bool           // reports whether Decode was called
	Done     func(r Result) // tells the server of an answer, for logs and metrics; several where a call asks for several
}

// Decode reads the body, an object, into the struct that v points to.
func (c *Call) Decode(w http.ResponseWriter, v any) *wire.Error {
	c.Read = true
	ctl := http.NewResponseController(w)
	_ = ctl.SetReadDeadline(time.Now().Add(c.BodyTime)) // a writer without a connection, such as a test's, has no time limit
	body, err := wire.Read(w, c.Request, c.Most)
	if err != nil {
		return err
	}
	_ = ctl.SetReadDeadline(time.Time{}) // the connection is watched for a client that leaves
	return wire.Decode(body, v)
}

// Start begins requests of a call, all or none.
func (c *Call) Start(m Model, requests []Request) ([]Stream, *wire.Error) {
	streams := make([]Stream, 0, len(requests))
	for i := range requests {
		s, err := m.Start(c.Context(), &requests[i])
		if err != nil {
			for _, s := range streams {
				s.Close()
			}
			return nil, Fault(err)
		}
		streams = append(streams, s)
	}
	return streams, nil
}

// NewID returns the id of an answer.
func NewID(prefix string) string {
	var b [18]byte
	_, _ = rand.Read(b[:]) // never fails
	return prefix + base64.RawURLEncoding.EncodeToString(b[:])
}
