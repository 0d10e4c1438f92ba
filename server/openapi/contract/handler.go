package contract

import (
	"bytes"
	"io"
	"net/http"
)

// recorder keeps what a handler answers.
type recorder struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

// Unwrap lets http.ResponseController reach what is below.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	r.body.Write(b)
	return r.ResponseWriter.Write(b)
}

// Handler compares what a handler answers with the description. It reports what does not fit, but for requests whose client
// has left.
func (c *Contract) Handler(next http.Handler, report func(error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := &recorder{ResponseWriter: w}
		next.ServeHTTP(answer, r)
		if answer.status == 0 {
			answer.status = http.StatusOK
		}
		if r.Context().Err() != nil {
			return
		}
		if err := c.Check(r, answer.status, answer.Header(), answer.body.Bytes()); err != nil {
			report(err)
		}
	})
}

// Transport compares what a client is answered with the description, once it has read the answer, and reports what does not
// fit.
func (c *Contract) Transport(next http.RoundTripper, report func(error)) http.RoundTripper {
	return transport{c, next, report}
}

type transport struct {
	c      *Contract
	next   http.RoundTripper
	report func(error)
}

// RoundTrip sends a request.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := t.next.RoundTrip(r)
	if err == nil {
		answer.Body = &reading{ReadCloser: answer.Body, done: func(body []byte) {
			if err := t.c.Check(r, answer.StatusCode, answer.Header, body); err != nil {
				t.report(err)
			}
		}}
	}
	return answer, err
}

// reading keeps what is read of a body, for when it ends.
type reading struct {
	io.ReadCloser
	body bytes.Buffer
	done func(body []byte)
}

func (r *reading) Read(b []byte) (int, error) {
	n, err := r.ReadCloser.Read(b)
	r.body.Write(b[:n])
	if err == io.EOF && r.done != nil {
		r.done(r.body.Bytes())
		r.done = nil
	}
	return n, err
}
