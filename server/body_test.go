package server_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/server"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/keys"
	"github.com/rwkv-gpu/rwkv-gpu/server/openai"
	"github.com/rwkv-gpu/rwkv-gpu/server/scripted"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// Who announces a body and does not send it is answered and let go: at once where no one would read the body, else when the
// time for it is over.
func TestBodyDoesNotCome(t *testing.T) {
	for _, c := range []struct {
		request string
		time    time.Duration // for the body
		want    int
	}{
		{"POST /v1/completions", time.Hour, http.StatusUnauthorized},
		{"GET /v1/models", time.Hour, http.StatusUnauthorized},
		{"POST /nowhere", time.Hour, http.StatusNotFound},
		{"PUT /health", time.Hour, http.StatusMethodNotAllowed},
		{"GET /health", 20 * time.Millisecond, http.StatusOK},
		{"POST /v1//completions", 20 * time.Millisecond, http.StatusTemporaryRedirect},
	} {
		s := serve(t, func(o *server.Options, _ *scripted.Model, _ *chat.Options) {
			o.BodyTime = c.time
			o.Keys = &keys.Ring{}
			if err := o.Keys.Read(strings.NewReader("ann secret")); err != nil {
				t.Fatal(err)
			}
		})
		got, err := announce(s.Listener.Addr().String(), c.request)
		if status := fmt.Sprintf("HTTP/1.1 %d ", c.want); err != nil || !strings.HasPrefix(got, status) {
			t.Errorf("%s: want %s and the end of the connection, got %.60q (%v)", c.request, status, got, err)
		}
	}
}

// A client that does not read an answer keeps nothing of the server for long.
func TestAnswerIsNotRead(t *testing.T) {
	ended, own := make(chan struct{}), errors.New("the answer was written")
	s := serve(t, func(o *server.Options, _ *scripted.Model, _ *chat.Options) {
		o.WriteTime = 20 * time.Millisecond
		o.Routes = append(o.Routes, api.Route{Pattern: "GET /large", Fail: openai.Fail,
			Handle: func(w http.ResponseWriter, _ *api.Call) *wire.Error {
				defer close(ended)
				_, own = w.Write(make([]byte, 64<<20)) // more than any connection takes on its way
				return nil
			}})
	})
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("the handler still waits for its reader")
	}
	if !errors.Is(own, os.ErrDeadlineExceeded) {
		t.Errorf("want the time limit's error, got %v", own)
	}
}

// announce sends the head of a request with a body that does not come, and returns all that is answered until the
// connection ends.
func announce(address, request string) (string, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(c, "%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{", request); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(c)
	return string(answer), err
}
