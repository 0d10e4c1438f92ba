package server_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/server"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/scripted"
)

// manyRequests returns how many requests the tests of leaks send. RWKV_REQUESTS says another number.
func manyRequests(t *testing.T, few int) int {
	t.Helper()
	n := few
	if testing.Short() {
		n /= 6
	}
	if text := os.Getenv("RWKV_REQUESTS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil || n < 1 {
			t.Fatalf("RWKV_REQUESTS: want a number of requests, got %q", text)
		}
	}
	return n
}

// Many short requests of all protocols, of which clients leave many at any moment, leave nothing behind: neither streams of
// the model nor goroutines, connections or memory.
func TestNoLeaks(t *testing.T) {
	s := serve(t, func(o *server.Options, m *scripted.Model, _ *chat.Options) {
		m.Forgets, o.Log = true, slog.New(slog.DiscardHandler)
		if err := o.Keys.Read(strings.NewReader("ann key-a\nbob key-b concurrent=6\n")); err != nil {
			t.Fatal(err)
		}
		m.Pause = func(ctx context.Context) error {
			if rand.IntN(8) > 0 { // any numbers do
				return nil
			}
			select {
			case <-time.After(time.Duration(rand.IntN(2000)) * time.Microsecond): // a model that takes its time
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		m.Answer = func(*api.Request, string) (string, bool) { return " there was a fox.", rand.IntN(2) == 0 }
	})
	storm(t, s.URL, manyRequests(t, 3000), 2<<20, func() {
		if n := s.model.Open(); n != 0 {
			t.Errorf("%d streams of the model are open", n)
		}
	})
}

// storm sends many requests to a server of this process that has the keys key-a and key-b. Clients leave a third of them. It
// then wants as many goroutines and files as before, and at most so many bytes more than after the first fifth.
func storm(t *testing.T, url string, n, more int, check func()) {
	t.Helper()
	const clients = 16
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	client := &http.Client{Transport: transport}
	before := left(t, client, url)
	var early, late usage
	var whole, gone atomic.Int64
	for part := range 5 {
		var all sync.WaitGroup
		for c := range clients {
			all.Add(1)
			go func() {
				defer all.Done()
				random := rand.New(rand.NewPCG(uint64(part), uint64(c))) // numbers that come again
				for range (n + 5*clients - 1) / (5 * clients) {
					switch status, left, err := shortRequest(t.Context(), client, url, random); {
					case left:
						gone.Add(1)
					case err == nil && status == http.StatusOK:
						whole.Add(1)
					case err != nil || status != http.StatusTooManyRequests: // of the key that may have few at once
						t.Errorf("status %d, %v", status, err)
					}
				}
			}()
		}
		all.Wait()
		if late = left(t, client, url); part == 0 {
			early = late
		}
	}
	transport.CloseIdleConnections()
	check()
	t.Logf("%d answers whole, %d left; before %v, after a fifth %v, after all %v", whole.Load(), gone.Load(), before, early, late)
	if whole.Load() == 0 || gone.Load() == 0 {
		t.Error("want answers of both kinds")
	}
	if late.goroutines > before.goroutines || late.files > before.files {
		t.Errorf("want as many goroutines and files as before, %v, got %v", before, late)
	}
	if late.bytes > early.bytes+more {
		t.Errorf("want at most %d bytes, %d more than after the first fifth, got %d", early.bytes+more, more, late.bytes)
	}
}

// usage is what a process uses.
type usage struct{ goroutines, files, bytes int }

// left returns what is used once the server works on nothing and no connection is open.
func left(t *testing.T, client *http.Client, url string) (u usage) {
	t.Helper()
	for from := time.Now(); ; time.Sleep(time.Millisecond) { // between two looks
		running := gauge(t, client, url, "rwkv_requests_running")
		client.CloseIdleConnections()
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // what finalizers let go of
		runtime.ReadMemStats(&m)
		now := usage{runtime.NumGoroutine(), openFiles(t), int(m.HeapAlloc)}
		if running == 1 && now.goroutines == u.goroutines && now.files == u.files {
			return now
		}
		if u = now; time.Since(from) > time.Minute {
			t.Fatalf("the server does not come to rest: %v requests, %+v", running, u)
		}
	}
}

// openFiles returns how many files and connections the process has.
func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/dev/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// gauge returns one of the server's metrics.
func gauge(t *testing.T, client *http.Client, url, name string) float64 {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", url+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Api-Key", "key-a")
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	_, value, found := strings.Cut(string(text), "\n"+name+" ")
	value, _, _ = strings.Cut(value, "\n")
	x, failed := strconv.ParseFloat(value, 64)
	if err != nil || failed != nil || !found {
		t.Fatalf("no %s in %s (%v)", name, text, err)
	}
	return x
}

// shortRequests are bodies of each protocol, with a place for more fields.
var shortRequests = []struct{ path, body string }{
	{"/v1/completions", `{"prompt":"Once","max_tokens":%d,"n":2,"stream":%t}`},
	{"/v1/chat/completions", `{"messages":[{"role":"user","content":"Hello"}],"max_tokens":%d,"stream":%t}`},
	{"/v1/responses", `{"input":"Hello","store":false,"max_output_tokens":%d,"stream":%t}`},
	{"/v1/messages", `{"messages":[{"role":"user","content":"Hello"}],"max_tokens":%d,"stream":%t}`},
	{"/v1/chat/completions", `{"messages":[{"role":"user","content":"Hello"}],"regex":"[a-z ]{0,9}x","max_tokens":%d,"stream":%t}`},
}

// shortRequest sends one of them, and leaves it at some moment or reads the answer to its end.
func shortRequest(ctx context.Context, client *http.Client, url string, random *rand.Rand) (status int, left bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	q := shortRequests[random.IntN(len(shortRequests))]
	body := fmt.Sprintf(q.body, 1+random.IntN(6), random.IntN(2) == 0)
	r, err := http.NewRequestWithContext(ctx, "POST", url+q.path, strings.NewReader(body))
	if err != nil {
		return 0, false, err
	}
	r.Header.Set("X-Api-Key", []string{"key-a", "key-b"}[random.IntN(2)])
	most := int64(1 << 30) // bytes that are read
	switch random.IntN(6) {
	case 0:
		timer := time.AfterFunc(time.Duration(random.IntN(4000))*time.Microsecond, cancel)
		defer timer.Stop()
	case 1:
		most = int64(random.IntN(200))
	}
	answer, err := client.Do(r)
	if err != nil {
		return 0, ctx.Err() != nil, err
	}
	defer func() { _ = answer.Body.Close() }() // which leaves an answer that is not at its end
	n, err := io.Copy(io.Discard, io.LimitReader(answer.Body, most))
	return answer.StatusCode, n == most || ctx.Err() != nil, err
}
