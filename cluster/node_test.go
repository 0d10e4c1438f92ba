package cluster

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/cluster/clustertest"
	"github.com/rwkv-gpu/rwkv-gpu/cluster/embedded"
)

// lines is a log that may be read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) wait(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		l.mu.Lock()
		all := l.b.String()
		l.mu.Unlock()
		if strings.Contains(all, text) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("want %q in the log, got %s", text, all)
		}
	}
}

// Replicas of one group know of each other, with their load, until they leave or are gone. Those of another group are
// told of in the log, and those of another cluster are not.
func TestPeers(t *testing.T) {
	s := clustertest.Start(t, 1)
	var log lines
	n, err := Join(Options{URL: s.URL(), Name: "test", Group: "g", Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if err := n.Serve(func() Load { return Load{} }, nil, nil); err != nil {
		t.Fatal(err)
	}
	a, b := join(t, s.URL(), "g", nil), join(t, s.URL(), "g", nil)
	other, err := Join(Options{URL: s.URL(), Name: "test", Group: "other", Host: "stranger"})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := other.Serve(func() Load { return Load{Model: "another"} }, nil, nil); err != nil {
		t.Fatal(err)
	}
	meet(t, n, 2)
	log.wait(t, "host=stranger model=another")
	for _, p := range n.Peers() {
		if p.Slots != 3 || p.Host != "h" || p.ID != a.ID() && p.ID != b.ID() {
			t.Errorf("%+v", p)
		}
	}
	a.Leave()
	a.stop() // so it tells of itself no more
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		left := 0
		for _, p := range n.Peers() {
			if p.ID == a.ID() && p.Leaving {
				left++
			}
		}
		if left == 1 || len(n.Peers()) == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody has left")
		}
	}
	meet(t, n, 1) // a is forgotten
	s.Stop(0)
	meet(t, n, 0)
	if n.Connected() {
		t.Error("connected to nobody")
	}
	s.Restart(0)
	meet(t, n, 1)
}

// Servers that are not reached are waited for. Those that do not let a replica in are an error, which has no password.
func TestJoin(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	o := embedded.Options{Dir: t.TempDir(), Port: port, Token: "right"}
	good := Options{URL: "nats://right@" + l.Addr().String(), Name: "test", Group: "g"}
	early, err := Join(good)
	if err != nil {
		t.Fatal(err)
	}
	defer early.Close()
	if early.Connected() {
		t.Error("connected to nobody")
	}
	s, err := embedded.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for deadline := time.Now().Add(time.Minute); !early.Connected(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the server is not found")
		}
	}
	for _, url := range []string{"nats://wrongword@" + l.Addr().String(), "nats://" + l.Addr().String(), "tls://right@" + l.Addr().String()} {
		bad := good
		bad.URL = url
		if n, err := Join(bad); err == nil {
			_ = n.Close()
			t.Errorf("%s: joined", url)
		} else if strings.Contains(err.Error(), "wrongword") || !strings.Contains(err.Error(), "do not let this replica in") {
			t.Error(err)
		}
	}
	if _, err := embedded.Start(embedded.Options{}); err == nil {
		t.Error("a server without a folder")
	}
}

// Mistakes in options are told by their field.
func TestOptions(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none")
	for field, o := range map[string]Options{
		"url: want a URL that begins with": {URL: "http://h"},
		"url: want a host":                 {URL: "nats://"},
		"url: want URLs such as":           {URL: "nats://h:x"},
		"url: want a URL without a path":   {URL: "nats://h/path"},
		"name: want letters":               {URL: "nats://h", Name: "a.b"},
		"group: want letters":              {URL: "nats://h", Name: "a", Group: "*"},
		"cert: want a certificate and its": {URL: "nats://h", Name: "a", Group: "g", Cert: none},
		"creds: open":                      {URL: "nats://h", Name: "a", Group: "g", Creds: none},
		"ca: open":                         {URL: "nats://h", Name: "a", Group: "g", CA: none},
	} {
		n, err := Join(o)
		var bad *OptionError
		if !errors.As(err, &bad) || !strings.HasPrefix(err.Error(), field) {
			t.Errorf("%+v: got %v, want %q", o, err, field)
		}
		if n != nil {
			_ = n.Close()
		}
	}
}
