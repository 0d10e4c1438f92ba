package fetch

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/internal/words"
)

// Options say how to fetch. The zero value of each field means its usual value.
type Options struct {
	Connections   int           // that fetch a file at once (4)
	Segment       int64         // bytes that are fetched whole or not at all (4 MiB)
	Span          int           // the most segments of one request (16)
	Stall         time.Duration // without bytes, after which a request has failed (30 s)
	Attempts      int           // failures without a finished segment between them until it gives up (8)
	Backoff       time.Duration // before the second try; doubled before each further one (500 ms)
	MostBackoff   time.Duration // the longest pause that is not the server's wish (30 s)
	MostWait      time.Duration // the longest pause that a server may ask for (5 min)
	Reserve       int64         // bytes that stay free on the disk (64 MiB)
	Poll          time.Duration // between two looks at a lock that somebody else holds (100 ms)
	ProgressEvery time.Duration // between two calls of Progress (100 ms)

	// Progress is told how many bytes of all are there, from one goroutine. what is Fetching, Checking or Resuming.
	Progress func(what string, done, all int64)
	// Notice is told of what a user should know, from any goroutine.
	Notice func(text string)
	// Transport sends the requests; nil is one of HTTP/1.1 with connections of its own for each request at once.
	Transport http.RoundTripper
	// Free returns how many bytes of the disk with a folder are free, if that can be told; nil asks the system.
	Free func(dir string) (bytes uint64, ok bool)

	wrap func(file) file // for tests: around the part file
}

// What Progress is told.
const (
	Fetching = "fetching"
	Resuming = "resuming" // looks at what an earlier process has left
	Checking = "checking"
)

// slowest is the least bytes a second with which a request counts as alive.
const slowest = 256

func or[T comparable](v, usual T) T {
	var zero T
	if v == zero {
		return usual
	}
	return v
}

// usual returns o with all fields set.
func (o Options) usual() *Options {
	o.Connections = or(o.Connections, 4)
	o.Segment = or(o.Segment, 4<<20)
	o.Span = or(o.Span, 16)
	o.Stall = or(o.Stall, 30*time.Second)
	o.Attempts = or(o.Attempts, 8)
	o.Backoff = or(o.Backoff, 500*time.Millisecond)
	o.MostBackoff = or(o.MostBackoff, 30*time.Second)
	o.MostWait = or(o.MostWait, 5*time.Minute)
	o.Reserve = or(o.Reserve, 64<<20)
	o.Poll = or(o.Poll, 100*time.Millisecond)
	o.ProgressEvery = or(o.ProgressEvery, 100*time.Millisecond)
	if o.Progress == nil {
		o.Progress = func(string, int64, int64) {}
	}
	if o.Notice == nil {
		o.Notice = func(string) {}
	}
	if o.Transport == nil {
		o.Transport = transport
	}
	if o.Free == nil {
		o.Free = freeSpace
	}
	return &o
}

// retry decides about another try after failures.
type retry struct {
	o          *Options
	tries      int // failures in a row
	mismatches int // of these, answers about another file
}

// mostMismatches is how many answers about another file are taken for mistakes of one of many servers.
const mostMismatches = 3

// again waits before another try after err, and returns nil for one. Otherwise it returns the error that ends all.
func (r *retry) again(ctx context.Context, where string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var told *Error
	if errors.As(err, &told) {
		return err
	}
	var status *statusError
	var other *mismatchError
	if errors.As(err, &other) {
		if r.mismatches++; r.mismatches >= mostMismatches {
			return failed(Changed, where, "%w: the file is another one than before", err)
		}
	}
	pause := min(r.o.Backoff<<min(r.tries, 20), r.o.MostBackoff)
	pause = pause/2 + rand.N(pause/2+1) // so that connections do not come back together
	if errors.As(err, &status) {
		if kind, ok := status.kind(); ok {
			return &Error{Kind: kind, Where: where, Err: explain(status, kind)}
		}
		if status.wait > r.o.MostWait {
			return failed(Network, where, "%w, and to come back in %s only", err, status.wait.Round(time.Second))
		}
		pause = max(pause, status.wait)
	}
	if r.tries++; r.tries >= r.o.Attempts {
		return failed(Network, where, "gave up after %s without progress: %w", words.Plural(r.tries, "failure"), err)
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(pause):
		return nil
	}
}

func explain(err *statusError, kind Kind) error {
	if kind == Denied {
		return fmt.Errorf("%w: no such file, or one that is not for everybody", err)
	}
	return err
}
