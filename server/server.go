package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/keys"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// Options say what is served, and how.
type Options struct {
	Routes  []api.Route                                // besides /health and /metrics
	Fail    func(w http.ResponseWriter, e *wire.Error) // answers with an error where no route says how
	Health  func() error                               // of the model, as api.Model has it
	Cluster func() string                              // how the server works with others, for /health; nil or "" for no others
	Keys    *keys.Ring
	Origin  string // that pages of other sites come from which may use the server: one, or * for any; "" for none

	Local bool     // reports whether the server is reached from this computer alone
	Hosts []string // names that it then has besides localhost, in lower case; "*" is any

	MaxBody   int64         // bytes of a request's body
	BodyTime  time.Duration // that a request's body may take to come; 0 for a minute
	WriteTime time.Duration // that a client may take to read some of an answer; 0 for half a minute
	Timeout   time.Duration // of a request, from its first byte to the last of its answer; 0 for any time
	Log       *slog.Logger
	Metrics   *Metrics
}

// Server answers HTTP requests.
type Server struct {
	o        Options
	mux      *http.ServeMux
	patterns []string // of all routes

	mu       sync.Mutex
	draining bool
	working  int           // requests under way that are not light
	still    chan struct{} // closed when the server drains and no such request is under way
}

// Times that clients are given.
const (
	headTime   = 10 * time.Second // to send the head of a request
	bodyTime   = time.Minute      // to send the body
	writeTime  = 30 * time.Second // to read some of an answer
	lingerTime = time.Second      // to send on with a body that nobody reads
	idleTime   = 2 * time.Minute  // between requests of a connection
)

// New makes a server. It fails if two routes are the same.
func New(o Options) (s *Server, err error) {
	if o.BodyTime == 0 {
		o.BodyTime = bodyTime
	}
	if o.WriteTime == 0 {
		o.WriteTime = writeTime
	}
	s = &Server{o: o, mux: http.NewServeMux(), still: make(chan struct{})}
	defer func() {
		if p := recover(); p != nil { // which is how ServeMux tells of patterns
			err = fmt.Errorf("server: %v", p)
		}
	}()
	for _, r := range append(o.Routes,
		api.Route{Pattern: "GET /health", Handle: s.health, Fail: o.Fail, Open: true, Light: true},
		api.Route{Pattern: "GET /metrics", Handle: o.Metrics.write, Fail: o.Fail, Light: true},
		api.Route{Pattern: "/", Handle: s.lost, Fail: o.Fail, Open: true, Light: true},
	) {
		s.mux.Handle(r.Pattern, s.route(r))
		s.patterns = append(s.patterns, r.Pattern)
	}
	return s, nil
}

// Patterns lists the patterns of all routes, as http.ServeMux has them. The last is / alone, where there is no route.
func (s *Server) Patterns() []string { return slices.Clone(s.patterns) }

// health answers 200 while the model answers and the server takes work, else 503.
func (s *Server) health(w http.ResponseWriter, _ *api.Call) *wire.Error {
	status, text := http.StatusOK, "ok"
	switch err := s.o.Health(); {
	case s.Draining() || errors.Is(err, api.ErrClosing):
		status, text = http.StatusServiceUnavailable, "draining"
	case err != nil:
		status, text = http.StatusServiceUnavailable, "the device does not work"
	}
	cluster := ""
	if s.o.Cluster != nil {
		if how := s.o.Cluster(); how != "" {
			cluster = fmt.Sprintf(`,"cluster":%q`, how)
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"status":%q%s}`, text, cluster) // if the client has left, nobody is there to be told
	return nil
}

// lost answers where there is no route.
func (s *Server) lost(w http.ResponseWriter, c *api.Call) *wire.Error {
	var allowed, exact []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		other := *c.Request
		other.Method = method
		_, pattern := s.mux.Handler(&other)
		if pattern != "/" {
			allowed = append(allowed, method)
		}
		if pattern == method+" "+c.URL.Path {
			exact = append(exact, method)
		}
	}
	if len(exact) > 0 { // and not those of a pattern that takes any word in its place
		allowed = exact
	}
	if len(allowed) == 0 {
		return &wire.Error{Status: http.StatusNotFound, Message: "there is nothing at this path", Code: "unknown_path"}
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	return &wire.Error{Status: http.StatusMethodNotAllowed, Message: "this path takes " + strings.Join(allowed, " and ") + " only", Code: "method_not_allowed"}
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Body != nil && r.Body != http.NoBody { // which has to come in time, whoever reads it
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.o.BodyTime)) // tests' writers have no connection
	}
	if s.o.Origin != "" {
		s.shareWith(w.Header(), r)
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
	}
	s.mux.ServeHTTP(w, r)
}

// shareWith says which pages of other sites may read the answer (the fetch standard, CORS protocol).
func (s *Server) shareWith(h http.Header, r *http.Request) {
	if s.o.Origin != "*" {
		h.Add("Vary", "Origin")
		if r.Header.Get("Origin") != s.o.Origin {
			return
		}
	}
	h.Set("Access-Control-Allow-Origin", s.o.Origin)
	h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE")
	h.Set("Access-Control-Allow-Headers", "*, Authorization")
	h.Set("Access-Control-Expose-Headers", "X-Request-Id, Retry-After")
	h.Set("Access-Control-Max-Age", "600")
}

// route returns the handler of a route.
func (s *Server) route(r api.Route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		answer := &answer{ResponseWriter: w, limit: s.o.WriteTime}
		c := &api.Call{Request: req, ID: requestID(), Most: s.o.MaxBody, BodyTime: s.o.BodyTime}
		var did done
		c.Done = did.add
		began := time.Now()
		answer.Header().Set("X-Request-Id", c.ID)
		s.o.Metrics.begin()
		err := s.enter(answer, c, &r)
		if err != nil && !err.Told && answer.status == 0 {
			if err.Status == http.StatusTooManyRequests && answer.Header().Get("Retry-After") == "" {
				answer.Header().Set("Retry-After", "1")
			}
			if !c.Read {
				s.leave(answer, req)
			}
			r.Fail(answer, err)
		}
		s.tell(answer, c, &r, &did, time.Since(began), err)
	})
}

// leave has a connection end with the answer to a request whose body nobody read. Otherwise net/http would wait for the
// body before it answers.
func (s *Server) leave(w http.ResponseWriter, r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody {
		return
	}
	w.Header().Set("Connection", "close")
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(lingerTime)) // tests' writers have no connection
}

// enter checks who asks and lets the route's handler answer.
func (s *Server) enter(w *answer, c *api.Call, r *api.Route) (err *wire.Error) {
	defer func() {
		if p := recover(); p != nil {
			err = &wire.Error{Status: http.StatusInternalServerError, Message: "the server failed; its log says more", Code: "internal",
				Cause: fmt.Errorf("panic: %v\n%s", p, debug.Stack())}
			err.Told = w.status != 0
		}
	}()
	if err := s.trusted(c.Request); err != nil {
		return err
	}
	user := s.o.Keys.User(c.Header)
	if user == nil && !r.Open {
		w.Header().Set("WWW-Authenticate", "Bearer")
		return &wire.Error{Status: http.StatusUnauthorized, Message: "this server wants a key: Authorization: Bearer KEY", Code: "invalid_api_key"}
	}
	if user != nil {
		c.User = user.Name
	}
	if !r.Light {
		if !s.begin() {
			return api.Fault(api.ErrClosing)
		}
		defer s.end()
		var left []func()
		defer func() {
			for _, leave := range left {
				leave()
			}
		}()
		c.More = func(n int) *wire.Error {
			leave, wait := user.Enter(time.Now(), n)
			if leave == nil {
				w.Header().Set("Retry-After", fmt.Sprint(max(1, int(wait.Seconds()+0.999))))
				return &wire.Error{Status: http.StatusTooManyRequests, Code: "rate_limit_exceeded",
					Message: "this key has as many requests as it may: try again later"}
			}
			left = append(left, leave)
			return nil
		}
		c.Answers = user.Most()
		if err := c.More(1); err != nil {
			return err
		}
		if s.o.Timeout > 0 {
			ctx, cancel := context.WithTimeout(c.Context(), s.o.Timeout)
			defer cancel()
			c.Request = c.WithContext(ctx)
		}
	}
	return r.Handle(w, c)
}

func requestID() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	return "req_" + hex.EncodeToString(b[:])
}

// Serve answers the requests that come to a listener until ctx is done. Then it takes no more work, says so to
// who asks, and lets answers under way end for as long as drain says. It returns nil, or what the listener failed by.
func (s *Server) Serve(ctx context.Context, l net.Listener, drain time.Duration) error {
	h := &http.Server{Handler: s, ReadHeaderTimeout: headTime, IdleTimeout: idleTime, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug)}
	failed := make(chan error, 1)
	go func() { failed <- h.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	s.drain()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	select { // until then who asks is told that the server is about to end
	case <-s.still:
	case <-end.Done():
	case err := <-failed:
		return err
	}
	if err := h.Shutdown(end); err != nil {
		s.o.Log.Warn("answers were cut off", "after", drain)
		err = h.Close()
		if err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// drain has the server take no more work.
func (s *Server) drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return
	}
	if s.draining = true; s.working == 0 {
		close(s.still)
	}
}

// begin counts a request, and reports whether the server takes it.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return false
	}
	s.working++
	return true
}

// end ends what begin counted.
func (s *Server) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.working--; s.draining && s.working == 0 {
		close(s.still)
	}
}

// Draining reports whether the server takes no more work.
func (s *Server) Draining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}
