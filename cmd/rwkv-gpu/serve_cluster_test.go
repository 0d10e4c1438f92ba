package main

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/cluster/clustertest"
)

// works waits until a server works together with others, or alone.
func (s *serving) works(t *testing.T, how string) {
	t.Helper()
	clustertest.Until(t, how, func() error {
		if got := s.get(t, "/health"); !strings.Contains(got, fmt.Sprintf(`"cluster":%q`, how)) {
			return errors.New(got)
		}
		return nil
	})
}

// metric returns a figure of a page of metrics.
func metric(t *testing.T, page, name string) float64 {
	t.Helper()
	for line := range strings.SplitSeq(page, "\n") {
		if rest, found := strings.CutPrefix(line, name+" "); found {
			v, err := strconv.ParseFloat(rest, 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("no %s in the metrics", name)
	return 0
}

// A server with NATS in its process works together with one that comes to it, if both know the token. Servers whose
// NATS server is gone, or was never there, answer alone and say so.
func TestServeClusterEmbedded(t *testing.T) {
	t.Setenv(tokenEnv, "a-word")
	port := freePort(t)
	first := startServing(t, "--device", "cpu", "--cluster", fmt.Sprint("embedded:", port), "--cluster-dir", t.TempDir())
	second := startServing(t, "--device", "cpu", "--cluster", fmt.Sprint("nats://127.0.0.1:", port))
	first.works(t, "together")
	second.works(t, "together")
	stranger := startServing(t, "--device", "cpu", "--quant", "q8_0", "--cluster", fmt.Sprint("nats://127.0.0.1:", port))
	for _, s := range []*serving{first, second, stranger} {
		clustertest.Until(t, "the stranger is told of", func() error {
			if text := s.log.String(); !strings.Contains(text, "a replica with another model, other weights or another device does not work with this one") {
				return errors.New(text)
			}
			return nil
		})
	}
	stranger.works(t, "alone")
	if a := stranger.post(t, "/v1/chat/completions", fmt.Sprintf(aChat, "Hello!")); len(a.Choices) != 1 {
		t.Errorf("another model: %+v", a)
	}
	if status := stranger.end(t, syscall.SIGTERM); status != 0 {
		t.Errorf("status %d: %s", status, stranger.log)
	}
	t.Setenv(tokenEnv, "another-word")
	r := finish(t, start(t, "serve", "--listen", "127.0.0.1:0", "--device", "cpu", "--cluster", fmt.Sprint("nats://127.0.0.1:", port)))
	if r.status != 1 || !strings.Contains(r.stderr, "--cluster: cluster: the servers do not let this replica in") || strings.Contains(r.stderr, "another-word") {
		t.Errorf("with another token: status %d, %s", r.status, r.stderr)
	}
	if status := first.end(t, syscall.SIGTERM); status != 0 {
		t.Errorf("status %d: %s", status, first.log)
	}
	second.works(t, "alone")
	third := startServing(t, "--device", "cpu", "--cluster", fmt.Sprint("nats://127.0.0.1:", port))
	for _, s := range []*serving{second, third} {
		if a := s.post(t, "/v1/chat/completions", fmt.Sprintf(aChat, "Hello!")); len(a.Choices) != 1 {
			t.Errorf("alone: %+v", a)
		}
		if m := s.get(t, "/metrics"); metric(t, m, "rwkv_cluster_connected") != 0 {
			t.Error("connected to nobody")
		}
		if status := s.end(t, syscall.SIGTERM); status != 0 {
			t.Errorf("status %d: %s", status, s.log)
		}
		if !strings.Contains(s.log.String(), "this replica works alone") {
			t.Errorf("the log says %s", s.log)
		}
	}
}

// Three servers, each with NATS in its process, are told of each other. When one is killed the others work together still,
// also by what it kept, and it comes back to them.
func TestServeClusterJoin(t *testing.T) {
	t.Setenv(tokenEnv, "a-word")
	ports, dirs := []int{freePort(t), freePort(t), freePort(t)}, []string{t.TempDir(), t.TempDir(), t.TempDir()}
	begin := func(i int) *serving {
		args := []string{"--device", "cpu", "--exact", "--cluster", fmt.Sprint("embedded:", ports[i]), "--cluster-dir", dirs[i]}
		for k, port := range ports {
			if k != i {
				args = append(args, "--cluster-join", fmt.Sprint("127.0.0.1:", port))
			}
		}
		return startServing(t, args...)
	}
	all := []*serving{begin(0), begin(1), begin(2)}
	for _, s := range all {
		clustertest.Until(t, "three replicas", func() error {
			if n := metric(t, s.get(t, "/metrics"), "rwkv_cluster_replicas"); n != 3 {
				return fmt.Errorf("%v of them", n)
			}
			return nil
		})
	}
	say := func(s *serving, chat []spoken) []spoken {
		t.Helper()
		text, err := turn(s.url, chat, 20, func() {})
		if err != nil {
			t.Fatal(err)
		}
		return append(slices.Clone(chat), spoken{"assistant", text}, spoken{"user", "And then?"})
	}
	chat := say(all[1], say(all[0], []spoken{{"user", "Tell me of a fox."}}))
	clustertest.Until(t, "both answers are kept", func() error { // NATS servers that have just begun take some seconds
		saved := 0.0
		for _, s := range all {
			saved += metric(t, s.get(t, "/metrics"), "rwkv_cluster_saved_total")
		}
		if saved < 2 {
			return fmt.Errorf("%v are", saved)
		}
		return nil
	})
	all[0].end(t, syscall.SIGKILL)
	for _, s := range all[1:] {
		s.works(t, "together")
	}
	want := say(all[1], chat)
	all[0] = begin(0)
	all[0].works(t, "together")
	for i, s := range all {
		if got := say(s, chat); !slices.Equal(got, want) {
			t.Errorf("server %d: got %q, want %q", i, got, want)
		}
	}
	for _, s := range all {
		if status := s.end(t, syscall.SIGTERM); status != 0 {
			t.Errorf("status %d: %s", status, s.log)
		}
	}
}

// freePort returns a port of loopback that nobody has, nor the one of routes that lies above.
func freePort(t *testing.T) int {
	t.Helper()
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if port+routeOffset < 65536 {
			return port
		}
	}
}

// What is wrong with the flags is told by their names.
func TestServeClusterFlags(t *testing.T) {
	for flags, want := range map[string]string{
		"--cluster http://host":                         "--cluster: want a URL that begins with nats://, tls://, ws:// or wss://, got the scheme \"http\"",
		"--cluster nats://":                             "--cluster: want a host",
		"--cluster embedded:x":                          "--cluster: want embedded or embedded:PORT",
		"--cluster embedded:64000":                      "--cluster: want embedded or embedded:PORT with a port of at most 63535",
		"--cluster embeddedly":                          "--cluster: want embedded or embedded:PORT",
		"--cluster nats://h --cluster-dir d":            "--cluster: want embedded[:PORT] with --cluster-dir",
		"--cluster nats://h --cluster-copies 6":         "--cluster-copies: want 0 to 5, got 6",
		"--cluster nats://h --cluster-bytes 0":          "--cluster-bytes: want 1 or more, got 0",
		"--cluster-creds none":                          "--cluster-creds: want --cluster too, got none",
		"--cluster-key none":                            "--cluster-key: want --cluster too, got none",
		"--cluster-join h:4222":                         "--cluster-join: want --cluster too, got none",
		"--cluster nats://h --cluster-creds /none":      "--cluster-creds: open /none",
		"--cluster nats://h --cluster-name a.b":         "--cluster-name: want letters",
		"--cluster nats://h --cluster-cert /none":       "--cluster-cert: want a certificate and its key, got one of them",
		"--cluster embedded:1 --cluster-join elsewhere": "--cluster-join: want HOST:PORT",
		"--cluster embedded:1 --cluster-join h:1000000": "--cluster-join: want HOST:PORT",
	} {
		r := finish(t, start(t, append([]string{"serve", "--listen", "127.0.0.1:0", "--device", "cpu"}, strings.Fields(flags)...)...))
		if r.status != 2 || !strings.Contains(r.stderr, want) {
			t.Errorf("%s: status %d, %q, want %q", flags, r.status, r.stderr, want)
		}
	}
}
