// Package direct answers the requests of batches by a server's own routes, without a connection. So an item of a batch is
// read, checked and answered exactly as a request over HTTP is, but in the background: requests that somebody waits for
// come first.
package direct

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/bulk"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// URLs lists the paths that items of batches may have.
func URLs() []string {
	return []string{"/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings"}
}

// Options say what a worker tells of its work. Each may be nil.
type Options struct {
	Done func(api.Result)             // is told of each answer, for metrics
	Fail func(id string, cause error) // is told why an answer has the status 500, for logs, by the request's id
}

// Worker answers requests by routes.
type Worker struct {
	routes map[string]api.Route
	o      Options
}

// New returns a worker that answers by those of the routes that URLs lists. All of them have to be there.
func New(routes []api.Route, o Options) (*Worker, error) {
	w := &Worker{routes: map[string]api.Route{}, o: o}
	for _, r := range routes {
		if method, path, _ := strings.Cut(r.Pattern, " "); method == http.MethodPost && slices.Contains(URLs(), path) {
			w.routes[path] = r
		}
	}
	if len(w.routes) != len(URLs()) {
		return nil, fmt.Errorf("direct: want routes of %s, got %d of them", strings.Join(URLs(), ", "), len(w.routes))
	}
	return w, nil
}

// Waits between tries where a queue is full.
const (
	firstWait = 10 * time.Millisecond
	longWait  = time.Second
)

// Do answers a request. A full queue is waited for. The error is that of the context, api.ErrClosing or, where the device
// has failed for good, one that wraps api.ErrDevice.
func (w *Worker) Do(ctx context.Context, r *bulk.Request) (bulk.Answer, error) {
	for wait := firstWait; ; wait = min(2*wait, longWait) {
		a, err := w.try(ctx, r)
		switch {
		case ctx.Err() != nil:
			return bulk.Answer{}, ctx.Err()
		case err == nil:
			return a, nil
		case err.Status == http.StatusServiceUnavailable && err.Cause != nil:
			return bulk.Answer{}, err.Cause
		case err.Status == http.StatusServiceUnavailable:
			return bulk.Answer{}, api.ErrClosing
		case err.Status != http.StatusTooManyRequests:
			return a, nil
		}
		select {
		case <-ctx.Done():
			return bulk.Answer{}, ctx.Err()
		case <-time.After(wait):
		}
	}
}

// try answers a request, with the error that the answer is, if it is one.
func (w *Worker) try(ctx context.Context, r *bulk.Request) (a bulk.Answer, failed *wire.Error) {
	route, known := w.routes[r.URL]
	if !known { // which bulk has refused
		return a, wire.Wrong("url", strings.Join(URLs(), " or "), "another")
	}
	var mu sync.Mutex
	call := &api.Call{ID: newID(), User: r.User, Most: int64(len(r.Body)), BodyTime: time.Hour, Done: func(x api.Result) {
		mu.Lock()
		defer mu.Unlock()
		a.Tokens.Prompt += int64(max(x.Prompt-x.Before, 0))
		a.Tokens.Cached += int64(max(x.Cached-x.Before, 0))
		a.Tokens.Drawn += int64(max(x.Drawn, 0))
		if w.o.Done != nil {
			w.o.Done(x)
		}
	}}
	request, err := http.NewRequestWithContext(api.Background(ctx), http.MethodPost, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return a, wire.Wrong("url", "a path", "another string")
	}
	call.Request = request
	answer := &answer{head: http.Header{}, status: http.StatusOK}
	failed = handle(&route, answer, call)
	if failed != nil {
		if cause := failed.Cause; cause != nil && failed.Status == http.StatusInternalServerError && w.o.Fail != nil {
			w.o.Fail(call.ID, cause)
		}
		answer.body.Reset() // of what was written before it failed
		route.Fail(answer, failed)
	}
	mu.Lock()
	defer mu.Unlock()
	a.Status, a.ID, a.Body = answer.status, call.ID, answer.body.Bytes()
	return a, failed
}

// handle has a route answer. What panics is an error of status 500.
func handle(r *api.Route, w http.ResponseWriter, c *api.Call) (err *wire.Error) {
	defer func() {
		if p := recover(); p != nil {
			err = &wire.Error{Status: http.StatusInternalServerError, Message: "the server failed; its log says more", Code: "internal",
				Cause: fmt.Errorf("panic: %v\n%s", p, debug.Stack())}
		}
	}()
	return r.Handle(w, c)
}

// answer is an answer in memory.
type answer struct {
	head   http.Header
	status int
	body   bytes.Buffer
}

// Header returns the head of the answer.
func (a *answer) Header() http.Header { return a.head }

// WriteHeader notes the status.
func (a *answer) WriteHeader(status int) { a.status = status }

func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }

func newID() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	return "req_" + hex.EncodeToString(b[:])
}
