// Package embedded runs a NATS server in the process, for clusters of few machines without a server of their own.
package embedded

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Options say how the server is reached, and where it keeps what it is given.
type Options struct {
	Host string // address to listen at; "" is 127.0.0.1
	Port int    // for clients; 0 is any free one
	Dir  string // for what is kept, of this server alone
	Name string // of the server, unlike those of the others; "" for any

	// Cluster is the name of several servers that are one, of which Join has URLs: nats://HOST:PORT. At Route others reach
	// this one. "" is a server by itself.
	Cluster string
	Route   int      // port; 0 is any free one
	Join    []string // at least one; this one may be among them
	Silent  bool     // clients are not told of the others, as where they reach them by other addresses

	Token string // that clients and servers have to know; "" for none
}

// Server is a server in the process. It is an nats.InProcessConnProvider.
type Server struct{ s *server.Server }

// Start starts a server and waits until clients can reach it.
func Start(o Options) (*Server, error) {
	if o.Dir == "" {
		return nil, errors.New("embedded: dir: want a folder, got none")
	}
	if o.Host == "" {
		o.Host = "127.0.0.1"
	}
	n := &server.Options{ServerName: o.Name, Host: o.Host, Port: port(o.Port), JetStream: true, StoreDir: o.Dir, NoSigs: true,
		DisableJetStreamBanner: true, Authorization: o.Token, MaxPayload: 1 << 20}
	if o.Cluster != "" {
		if len(o.Join) == 0 {
			return nil, errors.New("embedded: join: want another server of the cluster, got none")
		}
		n.Cluster = server.ClusterOpts{Name: o.Cluster, Host: o.Host, Port: port(o.Route), NoAdvertise: o.Silent}
		if o.Token != "" {
			n.Cluster.Username, n.Cluster.Password = "server", o.Token
		}
		for i, text := range o.Join {
			u, err := url.Parse(text)
			if err != nil || u.Host == "" {
				return nil, fmt.Errorf("embedded: join[%d]: want a URL such as nats://host:6222, got something else", i)
			}
			if o.Token != "" {
				u.User = url.UserPassword("server", o.Token)
			}
			n.Routes = append(n.Routes, u)
		}
	}
	s, err := server.NewServer(n)
	if err != nil {
		return nil, fmt.Errorf("embedded: %w", err)
	}
	why := new(lastError)
	s.SetLoggerV2(why, false, false, false)
	go s.Start()
	for deadline := time.Now().Add(startTime); !s.ReadyForConnections(100 * time.Millisecond); {
		if text := why.fatal(); text != "" || time.Now().After(deadline) {
			s.Shutdown()
			return nil, fmt.Errorf("embedded: the server at %s does not start: %s", net.JoinHostPort(o.Host, strconv.Itoa(o.Port)),
				cmp.Or(text, "it takes too long"))
		}
	}
	return &Server{s}, nil
}

// startTime is how long a server may take to start. One with many states in its folder reads them first.
const startTime = time.Minute

// lastError remembers why a server does not start, and drops all else that it says.
type lastError struct {
	mu   sync.Mutex
	text string
}

func (l *lastError) fatal() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text
}

// Fatalf takes what ends the server.
func (l *lastError) Fatalf(format string, v ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = fmt.Sprintf(format, v...)
}

// Noticef, Warnf, Errorf, Debugf and Tracef drop what goes on.
func (l *lastError) Noticef(string, ...any) {}

// Warnf is as Noticef.
func (l *lastError) Warnf(string, ...any) {}

// Errorf is as Noticef.
func (l *lastError) Errorf(string, ...any) {}

// Debugf is as Noticef.
func (l *lastError) Debugf(string, ...any) {}

// Tracef is as Noticef.
func (l *lastError) Tracef(string, ...any) {}

// port is what the server means by any free one.
func port(n int) int {
	if n == 0 {
		return server.RANDOM_PORT
	}
	return n
}

// InProcessConn returns a connection to the server that no network is needed for.
func (s *Server) InProcessConn() (net.Conn, error) { return s.s.InProcessConn() }

// URL returns where clients reach the server.
func (s *Server) URL() string { return s.s.ClientURL() }

// Ports returns the ports for clients and for other servers, 0 for none.
func (s *Server) Ports() (clients, servers int) {
	if a, ok := s.s.Addr().(*net.TCPAddr); ok {
		clients = a.Port
	}
	if a := s.s.ClusterAddr(); a != nil {
		servers = a.Port
	}
	return clients, servers
}

// Health answers whether the server knows who leads its cluster, and has all that the others keep in it: status 200
// with {"status":"ok"}, or another status and what is missing.
func (s *Server) Health(w http.ResponseWriter, r *http.Request) { s.s.HandleHealthz(w, r) }

// Close ends the server. What it was given stays in its folder.
func (s *Server) Close() {
	s.s.Shutdown()
	s.s.WaitForShutdown()
}
