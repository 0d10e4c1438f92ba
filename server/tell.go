package server

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/text"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// answer remembers how a request was answered, and gives up a client that does not read. A stream of events sets time limits
// of its own after the head.
type answer struct {
	http.ResponseWriter
	limit  time.Duration // for the head and for each piece of the body
	status int
	bytes  int64
}

// pieceSize is how many bytes of an answer a client has to read within the time limit.
const pieceSize = 64 << 10

// Unwrap lets http.ResponseController reach what is below.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader notes the status.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
		a.hurry()
	}
	a.ResponseWriter.WriteHeader(status)
}

// hurry gives the client the time to read a piece.
func (a *answer) hurry() {
	_ = http.NewResponseController(a).SetWriteDeadline(time.Now().Add(a.limit)) // tests' writers have no connection
}

func (a *answer) Write(b []byte) (written int, err error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	for {
		n, err := a.ResponseWriter.Write(b[:min(len(b), pieceSize)])
		written, a.bytes = written+n, a.bytes+int64(n)
		if b = b[n:]; err != nil || len(b) == 0 {
			return written, err
		}
		a.hurry()
	}
}

// done sums up what handlers tell of the answers of a call.
type done struct {
	mu      sync.Mutex
	results []api.Result
}

func (d *done) add(r api.Result) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.results = append(d.results, r)
}

// tell tells logs and metrics of a call that has ended.
func (s *Server) tell(a *answer, c *api.Call, r *api.Route, did *done, took time.Duration, err *wire.Error) {
	status := a.status
	if status == 0 {
		status = http.StatusOK
	}
	if err != nil {
		status = err.Status // also where the head of the answer was written before
	}
	level, list := slog.LevelInfo, []slog.Attr{slog.String("id", c.ID), slog.String("route", r.Pattern), slog.Int("status", status),
		slog.Int64("bytes", a.bytes), slog.Float64("ms", float64(took.Microseconds())/1e3)}
	if c.User != "" {
		list = append(list, slog.String("user", c.User))
	}
	if err != nil {
		list = append(list, slog.String("code", err.Code)) // and no field: its path may have names of the client's
		if err.Cause != nil {
			level, list = slog.LevelError, append(list, slog.String("cause", err.Cause.Error()))
		}
	}
	if c.Unkept != nil {
		list = append(list, slog.String("state_code", c.Unkept.Code))
		if c.Unkept.Cause != nil {
			level, list = slog.LevelError, append(list, slog.String("state_cause", c.Unkept.Cause.Error()))
		}
	}
	did.mu.Lock()
	defer did.mu.Unlock()
	s.o.Metrics.end(r.Pattern, status, took, did.results)
	prompt, cached, drawn := 0, 0, 0
	for _, x := range did.results {
		prompt, cached, drawn = prompt+x.Prompt, cached+x.Cached, drawn+x.Drawn
	}
	if len(did.results) > 0 {
		list = append(list, slog.Int("prompt_tokens", prompt), slog.Int("cached_tokens", cached), slog.Int("drawn_tokens", drawn))
		if f := did.results[0].Finish; f != text.Unfinished {
			list = append(list, slog.String("finish", string(f)))
		}
	}
	s.o.Log.LogAttrs(context.WithoutCancel(c.Context()), level, "request", list...)
}
