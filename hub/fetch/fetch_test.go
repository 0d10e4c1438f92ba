package fetch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/hub/hubtest"
)

// quick are options with which failures take milliseconds.
func quick() Options {
	return Options{Connections: 3, Segment: 1 << 10, Span: 4, Stall: time.Minute, Attempts: 6, Backoff: time.Microsecond,
		MostBackoff: time.Millisecond, Poll: time.Millisecond, Reserve: 1}
}

func content(seed uint64, n int) []byte {
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), 7})
	data := make([]byte, n)
	_, _ = r.Read(data) // never fails
	return data
}

// place is where a test fetches to.
type place struct{ target, part, lock string }

func newPlace(t *testing.T) place {
	t.Helper()
	dir := t.TempDir()
	return place{filepath.Join(dir, "target"), filepath.Join(dir, "parts", "target"), filepath.Join(dir, "locks", "target.lock")}
}

func (p place) fetch(o Options, f File) (*Result, error) {
	return Fetch(context.Background(), o, f, p.target, p.part, p.lock)
}

// nothing fails the test if the target is there.
func (p place) nothing(t *testing.T) {
	t.Helper()
	if _, err := os.Lstat(p.target); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("want no target, got %v", err)
	}
}

func (p place) has(t *testing.T, data []byte) {
	t.Helper()
	got, err := os.ReadFile(p.target)
	if err != nil || !bytes.Equal(got, data) {
		t.Fatalf("want the file of %d bytes, got %d (%v)", len(data), len(got), err)
	}
	if left, _ := filepath.Glob(p.part + ".*"); len(left) > 0 {
		t.Errorf("want nothing beside it, got %v", left)
	}
}

// serve returns a server that sends data, and a file of it.
func serve(t *testing.T, data []byte, fault func(*http.Request) *hubtest.Fault) (*hubtest.Server, File) {
	t.Helper()
	s := hubtest.New(t)
	s.Fault = fault
	s.Put("some/repo", "x.pth", data)
	return s, File{Name: "x.pth", Size: int64(len(data)), Sum: Sum{SHA256: hubtest.SHA256(data)}, ETag: hubtest.SHA256(data),
		Sources: []Source{{URL: s.URL + "/some/repo/resolve/main/x.pth", Token: hubtest.Token}}}
}

// A file of any size comes whole, in one segment, in many, and without any bytes.
func TestFetch(t *testing.T) {
	for _, size := range []int{0, 1, 1023, 1024, 1025, 40_000} {
		data := content(uint64(size), size)
		_, f := serve(t, data, nil)
		p := newPlace(t)
		r, err := p.fetch(quick(), f)
		if err != nil || r.Bytes != int64(size) || r.Shared {
			t.Fatalf("%d bytes: %+v, %v", size, r, err)
		}
		p.has(t, data)
		if r, err = p.fetch(quick(), f); err != nil || !r.Shared || r.Bytes != 0 {
			t.Errorf("want what is there to stay, got %+v, %v", r, err)
		}
	}
}

// Several connections ask for ranges that do not overlap and cover the file.
func TestRanges(t *testing.T) {
	data := content(1, 50_000)
	s, f := serve(t, data, nil)
	if _, err := newPlace(t).fetch(quick(), f); err != nil {
		t.Fatal(err)
	}
	times := make([]int, len(data))
	n := 0
	for _, line := range s.Requests() {
		var first, last int
		if _, text, ok := strings.Cut(line, "signature=secret "); ok {
			if k, err := fmt.Sscanf(text, "bytes=%d-%d", &first, &last); k != 2 || err != nil {
				t.Fatalf("want a range, got %q", line)
			}
			for n++; first <= last; first++ {
				times[first]++
			}
		}
	}
	for at, k := range times {
		if k != 1 {
			t.Fatalf("byte %d was asked for %d times", at, k)
		}
	}
	if n < 3 {
		t.Errorf("want several requests, got %d", n)
	}
}

// Each kind of fault, once, costs another request and nothing else. "flip" and "offset" show in the hash alone.
func TestEachFault(t *testing.T) {
	for _, kind := range hubtest.Kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			data := content(2, 20_000)
			var n atomic.Int64
			s, f := serve(t, data, func(*http.Request) *hubtest.Fault {
				if n.Add(1) == 2 {
					return &hubtest.Fault{Kind: kind, At: 1500}
				}
				return nil
			})
			p := newPlace(t)
			o := quick()
			if kind == "stall" || kind == "silence" {
				o.Stall, o.Attempts = 100*time.Millisecond, 1000
			}
			r, err := p.fetch(o, f)
			if err != nil {
				t.Fatalf("%+v, %v\n%s", r, err, strings.Join(s.Requests(), "\n"))
			}
			p.has(t, data)
			if n.Load() < 3 {
				t.Errorf("only %d requests", n.Load())
			}
		})
	}
}

// A fault that stays is an error that says what is wrong, and leaves no target.
func TestFaultForGood(t *testing.T) {
	for kind, want := range map[string]struct {
		kind Kind
		text string
	}{
		"drop": {Network, "gave up after 6 failures without progress: unexpected EOF"}, "reset": {Network, "gave up"},
		"stall": {Network, "no bytes, or too few"}, "silence": {Network, "no bytes, or too few"},
		"longer": {Network, "in 1525 bytes"}, "shorter": {Network, "want bytes"}, "total": {Changed, "want the size 20000, got"},
		"range": {Network, "want bytes 0-"}, "flip": {Damaged, "want sha256 "}, "offset": {Damaged, ""}, "loop": {Network, "redirects more than 10 times"},
		"away": {Network, "connection refused"}, "403": {Network, "403 Forbidden"}, "429": {Network, "429 Too Many Requests"},
		"500": {Network, "500 Internal"}, "503": {Network, "503 Service"}, "416": {Network, "416"}, "garbage": {Network, `got "bytes ?/-1"`},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			data := content(3, 20_000)
			_, f := serve(t, data, func(r *http.Request) *hubtest.Fault {
				if kind == "offset" && r.Header.Get("Range") == "" {
					return &hubtest.Fault{Kind: "flip"} // the whole file has no other place
				}
				return &hubtest.Fault{Kind: kind, At: 500}
			})
			o := quick()
			o.Connections, o.Span = 1, 1
			if kind == "stall" || kind == "silence" {
				o.Stall = 20 * time.Millisecond
			}
			p := newPlace(t)
			_, err := p.fetch(o, f)
			if !Is(err, want.kind) || !strings.Contains(err.Error(), want.text) || strings.Contains(err.Error(), "secret") {
				t.Errorf("want kind %d and %q, got %v", want.kind, want.text, err)
			}
			p.nothing(t)
		})
	}
}

// A server without ranges sends the file on one connection, and what was there before is not written again.
func TestNoRanges(t *testing.T) {
	data := content(4, 30_000)
	var n atomic.Int64
	_, f := serve(t, data, func(r *http.Request) *hubtest.Fault {
		if r.Header.Get("Range") == "" && n.Add(1) == 1 {
			return &hubtest.Fault{Kind: "drop", At: 12_345}
		}
		return &hubtest.Fault{Kind: "no ranges"}
	})
	p := newPlace(t)
	if _, err := p.fetch(quick(), f); err != nil {
		t.Fatal(err)
	}
	p.has(t, data)
}

// Two fetches of one target at once share one download, and the second says that it waits.
func TestShared(t *testing.T) {
	data := content(7, 20_000)
	begun, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s, f := serve(t, data, func(*http.Request) *hubtest.Fault {
		once.Do(func() { close(begun) })
		<-goOn
		return nil
	})
	o := quick()
	p := newPlace(t)
	type outcome struct {
		r   *Result
		err error
	}
	first := make(chan outcome, 1)
	go func() {
		r, err := p.fetch(o, f)
		first <- outcome{r, err}
	}()
	<-begun
	said := make(chan string, 1)
	o.Notice = func(text string) {
		said <- text
		close(goOn)
	}
	r, err := p.fetch(o, f)
	if err != nil || !r.Shared || r.Bytes != 0 {
		t.Errorf("want to share, got %+v, %v", r, err)
	}
	if text := <-said; !strings.Contains(text, "waiting") {
		t.Error(text)
	}
	if a := <-first; a.err != nil || a.r.Shared || a.r.Bytes != int64(len(data)) {
		t.Errorf("%+v, %v", a.r, a.err)
	}
	p.has(t, data)
	if len(s.Requests()) > 2*(20+1) {
		t.Errorf("%d requests", len(s.Requests()))
	}
}

// A context that ends ends the fetch, and what came is kept.
func TestCancel(t *testing.T) {
	data := content(8, 40_000)
	ctx, cancel := context.WithCancel(context.Background())
	var n atomic.Int64
	_, f := serve(t, data, func(*http.Request) *hubtest.Fault {
		if n.Add(1) > 3 {
			cancel()
		}
		return nil
	})
	p := newPlace(t)
	if _, err := Fetch(ctx, quick(), f, p.target, p.part, p.lock); !errors.Is(err, context.Canceled) {
		t.Fatalf("want it canceled, got %v", err)
	}
	p.nothing(t)
	if r, err := p.fetch(quick(), f); err != nil || r.Resumed == 0 {
		t.Errorf("want it to go on, got %+v, %v", r, err)
	}
	p.has(t, data)
}

// A mirror helps when the first server fails, gets no token, and its own mistakes end nothing.
func TestMirror(t *testing.T) {
	data := content(9, 20_000)
	_, good := serve(t, data, nil)
	mirror := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("a token came to the mirror")
		}
		http.NotFound(w, r)
	}))
	defer mirror.Close()
	bad, f := serve(t, data, func(*http.Request) *hubtest.Fault { return &hubtest.Fault{Kind: "500"} })
	good.Sources[0].Token = ""
	f.Sources = append(f.Sources, Source{URL: mirror.URL + "/x"}, good.Sources[0])
	p := newPlace(t)
	if _, err := p.fetch(quick(), f); err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(bad.Requests(), "\n"))
	}
	p.has(t, data)
}

// A journal of another file, a torn line and changed bytes of the part file are never taken for segments.
func TestJournal(t *testing.T) {
	data := content(10, 20_000)
	for name, damage := range map[string]func(part, journal []byte) ([]byte, []byte){
		"nothing":    func(part, journal []byte) ([]byte, []byte) { return part, journal },
		"torn line":  func(part, journal []byte) ([]byte, []byte) { return part, journal[:len(journal)-4] },
		"no journal": func(part, _ []byte) ([]byte, []byte) { return part, nil },
		"garbage":    func(part, journal []byte) ([]byte, []byte) { return part, append(journal, "\n\nx y\n999999 0\n"...) },
		"other header": func(part, journal []byte) ([]byte, []byte) {
			return part, bytes.Replace(journal, []byte("x.pth"), []byte("y.pth"), 1)
		},
		"other bytes": func(part, journal []byte) ([]byte, []byte) {
			for i := range part {
				part[i] ^= 0x55
			}
			return part, journal
		},
		"short part": func(part, journal []byte) ([]byte, []byte) { return part[:100], journal },
	} {
		t.Run(name, func(t *testing.T) {
			var n atomic.Int64
			_, f := serve(t, data, func(*http.Request) *hubtest.Fault {
				if n.Add(1) > 2 {
					return &hubtest.Fault{Kind: "reset"}
				}
				return nil
			})
			o := quick()
			o.Connections = 1
			p := newPlace(t)
			if _, err := p.fetch(o, f); !Is(err, Network) {
				t.Fatal(err)
			}
			part, err := os.ReadFile(p.part + PartEnding)
			if err != nil {
				t.Fatal(err)
			}
			journal, err := os.ReadFile(p.part + JournalEnding)
			if err != nil || bytes.Count(journal, []byte("\n")) < 3 {
				t.Fatalf("%q, %v", journal, err)
			}
			part, journal = damage(part, journal)
			if err := errors.Join(os.WriteFile(p.part+PartEnding, part, 0o600), os.WriteFile(p.part+JournalEnding, journal, 0o600)); err != nil {
				t.Fatal(err)
			}
			n.Store(-1 << 30)
			r, err := p.fetch(o, f)
			if err != nil {
				t.Fatal(err)
			}
			if kept := r.Resumed > 0; kept != (name == "nothing" || name == "torn line" || name == "garbage") {
				t.Errorf("kept %d bytes", r.Resumed)
			}
			p.has(t, data)
		})
	}
}

// Pauses that servers ask for are read in both forms, and a pause that is too long ends the fetch with its reason.
func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 7, 10, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{"": 0, "7": 7 * time.Second, "-1": 0, "soon": 0,
		now.Add(time.Minute).Format(http.TimeFormat): time.Minute, now.Add(-time.Minute).Format(http.TimeFormat): 0} {
		if got := retryAfter(http.Header{"Retry-After": {text}}, now); got != want {
			t.Errorf("%q: want %s, got %s", text, want, got)
		}
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	defer s.Close()
	_, _, err := Text(context.Background(), quick(), Source{URL: s.URL}, 100)
	if !Is(err, Network) || !strings.Contains(err.Error(), "429 Too Many Requests, and to come back in 1h0m0s only") {
		t.Error(err)
	}
}
