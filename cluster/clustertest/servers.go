// Package clustertest has NATS servers for tests, in the process and on loopback.
package clustertest

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/rwkv-gpu/rwkv-gpu/cluster/embedded"
)

// Servers are servers of one cluster, or one by itself.
type Servers struct {
	t   testing.TB
	All []*embedded.Server // nil for one that is stopped
	o   []embedded.Options
}

// Start starts n servers, which end with the test.
func Start(t testing.TB, n int) *Servers {
	t.Helper()
	s := &Servers{t: t, All: make([]*embedded.Server, n), o: make([]embedded.Options, n)}
	dirs := make([]string, n)
	for i := range dirs {
		dirs[i] = t.TempDir()
	}
	t.Cleanup(func() { // before the folders are removed
		for i := range s.All {
			s.Stop(i)
		}
	})
	for i := range n {
		s.o[i] = embedded.Options{Dir: dirs[i], Name: fmt.Sprint("s", i)}
		if n > 1 {
			s.o[i].Cluster, s.o[i].Route, s.o[i].Silent = "test", freePort(t), true
		}
	}
	for i := range n {
		for k := range n {
			if n > 1 && i != k {
				s.o[i].Join = append(s.o[i].Join, fmt.Sprint("nats://127.0.0.1:", s.o[k].Route))
			}
		}
		s.Restart(i)
	}
	return s
}

// freePort returns a port of loopback that nobody has.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// Plain starts a server that keeps nothing, and returns where clients reach it.
func Plain(t testing.TB) string {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	t.Cleanup(s.Shutdown)
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("the server does not start")
	}
	return s.ClientURL()
}

// URL returns where clients reach the servers.
func (s *Servers) URL() string {
	var list []string
	for _, one := range s.All {
		if one != nil {
			list = append(list, one.URL())
		}
	}
	return strings.Join(list, ",")
}

// Settle waits until each server that runs has all that the others keep. Until then a server that has come back is none
// of those by which a change is kept, so another one may not be stopped.
func (s *Servers) Settle() {
	s.t.Helper()
	for i, one := range s.All {
		if one == nil {
			continue
		}
		Until(s.t, fmt.Sprintf("server %d has what the others have", i), func() error {
			w := httptest.NewRecorder()
			if one.Health(w, httptest.NewRequest(http.MethodGet, "/", nil)); w.Code != http.StatusOK {
				return errors.New(w.Body.String())
			}
			return nil
		})
	}
}

const (
	waitTime = 3 * time.Minute
	tryTime  = 10 * time.Second
)

// Until tries something until there is no error, for some minutes at most. Time in which the process did not run, since
// somebody stopped it, does not count: of each try ten seconds do at most.
func Until(t testing.TB, what string, try func() error) {
	t.Helper()
	for left := waitTime; ; {
		began := time.Now()
		err := try()
		if err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
		if left -= min(time.Since(began), tryTime); left <= 0 {
			t.Fatalf("want: %s: %v", what, err)
		}
	}
}

// Stop ends a server.
func (s *Servers) Stop(i int) {
	if s.All[i] != nil {
		s.All[i].Close()
		s.All[i] = nil
	}
}

// Restart starts a server again, at its ports.
func (s *Servers) Restart(i int) {
	s.t.Helper()
	one, err := embedded.Start(s.o[i])
	if err != nil {
		s.t.Fatal(err)
	}
	s.All[i] = one
	s.o[i].Port, _ = one.Ports()
}
