package sse

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestEvents(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s := NewWriter(w, time.Minute)
		err := s.Begin()
		for _, do := range []func() error{
			func() error { return s.Event("", []byte(`{"a":1}`)) },
			s.Ping,
			func() error { return s.Event("done", []byte("x\ny")) },
		} {
			if err != nil {
				break
			}
			err = do()
		}
		if err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	r, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if want := "data: {\"a\":1}\n\n: ping\n\nevent: done\ndata: x\ndata: y\n\n"; err != nil || string(body) != want {
		t.Errorf("want %q, got %q (%v)", want, body, err)
	}
	if got := r.Header.Get("Content-Type"); got != "text/event-stream; charset=utf-8" {
		t.Errorf("content type %q", got)
	}
}

// An event reaches its reader although the answer goes on.
func TestAtOnce(t *testing.T) {
	read := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s := NewWriter(w, 0)
		err := s.Begin()
		if err == nil {
			err = s.Event("", []byte("first"))
		}
		if err != nil {
			t.Error(err)
		}
		<-read
	}))
	defer server.Close()
	r, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if line, err := bufio.NewReader(r.Body).ReadString('\n'); line != "data: first\n" {
		t.Errorf("got %q (%v)", line, err)
	}
	close(read)
}

func TestSlowReader(t *testing.T) {
	ended := make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s := NewWriter(w, 50*time.Millisecond)
		err := s.Begin()
		for data := []byte(strings.Repeat("x", 1<<20)); err == nil; {
			err = s.Event("", data)
		}
		ended <- err
	}))
	defer server.Close()
	c, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	select { // nothing of the answer is read
	case err := <-ended:
		if ne := net.Error(nil); !errors.Is(err, ErrReader) || !errors.As(err, &ne) || !ne.Timeout() {
			t.Errorf("want a timeout, got %v", err)
		}
	case <-time.After(time.Minute):
		t.Error("a reader that reads nothing was not given up")
	}
}
