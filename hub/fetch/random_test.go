package fetch

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/hub/hubtest"
)

// full is a disk that takes so many bytes.
type full struct {
	file
	left *atomic.Int64
	err  error
}

func (f full) WriteAt(p []byte, at int64) (int, error) {
	if left := f.left.Add(-int64(len(p))); left < 0 {
		n, _ := f.file.WriteAt(p[:max(0, int64(len(p))+left)], at) // as a real disk: a piece of it
		return n, &fs.PathError{Op: "write", Path: "part", Err: f.err}
	}
	return f.file.WriteAt(p, at)
}

// A disk that gets full is an error at once, what came is kept, and the next try fetches only the rest.
func TestDiskFull(t *testing.T) {
	data := content(5, 40_000)
	_, f := serve(t, data, nil)
	p := newPlace(t)
	o := quick()
	o.wrap = func(x file) file {
		left := new(atomic.Int64)
		left.Store(22_222)
		return full{x, left, syscall.ENOSPC}
	}
	_, err := p.fetch(o, f)
	if !Is(err, Space) || !strings.Contains(err.Error(), "the disk is full") {
		t.Fatalf("want a full disk, got %v", err)
	}
	p.nothing(t)
	r, err := p.fetch(quick(), f)
	if err != nil || r.Resumed == 0 || r.Resumed+r.Bytes != int64(len(data)) {
		t.Fatalf("want the rest, got %+v, %v", r, err)
	}
	p.has(t, data)
}

// A disk without place is an error before anything is asked for, and while bytes come.
func TestSpace(t *testing.T) {
	data := content(6, 40_000)
	s, f := serve(t, data, nil)
	for _, c := range []struct{ calls, free int64 }{{0, 30_000}, {8, 10}} {
		o := quick()
		var n atomic.Int64
		o.Free = func(string) (uint64, bool) {
			if n.Add(1) > c.calls {
				return uint64(c.free), true
			}
			return 1 << 40, true
		}
		p := newPlace(t)
		before := len(s.Requests())
		_, err := p.fetch(o, f)
		if !Is(err, Space) || !strings.Contains(err.Error(), "want 39.06 KiB more") && c.calls == 0 {
			t.Errorf("want an error about space, got %v", err)
		}
		if asked := len(s.Requests()) > before; asked != (c.calls > 0) {
			t.Errorf("after %d looks: asked %t", c.calls, asked)
		}
		p.nothing(t)
	}
	if free, ok := freeSpace(t.TempDir()); !ok || free == 0 {
		t.Errorf("want the system's figure, got %d, %t", free, ok)
	}
}

// A size that no file has is an error about the server, and one that no disk has is an error about the disk, before
// memory is asked for.
func TestAbsurdSize(t *testing.T) {
	_, f := serve(t, content(6, 10), nil)
	for size, kind := range map[int64]Kind{1<<63 - 1: Damaged, 1 << 60: Damaged, 1 << 43: Space} {
		f.Size = size
		o := quick()
		o.Segment = 4 << 20
		o.Free = func(string) (uint64, bool) { return 1 << 40, true }
		p := newPlace(t)
		if _, err := p.fetch(o, f); !Is(err, kind) || kind == Damaged && !strings.Contains(err.Error(), fmt.Sprintf("resolve/main/x.pth: want a file of at most 17592186044416 bytes, got one of %d", size)) {
			t.Errorf("%d bytes: want kind %d, got %v", size, kind, err)
		}
		if left, _ := filepath.Glob(p.part + "*"); len(left) > 0 {
			t.Errorf("%d bytes: want nothing, got %v", size, left)
		}
	}
}

// A file that is shorter now than it was is a changed one, also for a server that only refuses the range.
func TestShorter(t *testing.T) {
	s, f := serve(t, content(6, 40_000), nil)
	s.Fault = func(*http.Request) *hubtest.Fault { // after the first range
		s.Put("some/repo", "x.pth", content(7, 100))
		return nil
	}
	o := quick()
	o.Connections = 1
	p := newPlace(t)
	if _, err := p.fetch(o, f); !Is(err, Changed) {
		t.Errorf("want it changed, got %v", err)
	}
	p.nothing(t)
}

// faults is how many random runs there are.
func faults(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("RWKV_PULL_FAULTS")
	if text == "" {
		return 60
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Whatever servers and disks do, a fetch ends with the right file or with an error of a kind. The target is never there
// otherwise, and the fetch after it, from a server in order, has the right file.
func TestRandomFaults(t *testing.T) {
	for seed := range faults(t) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 1))
			data := content(seed, r.IntN(60_000))
			rate := []float64{0.05, 0.2, 0.5, 0.9}[r.IntN(4)]
			var mu sync.Mutex
			good := false
			s, f := serve(t, data, func(*http.Request) *hubtest.Fault {
				mu.Lock()
				defer mu.Unlock()
				if good || r.Float64() >= rate {
					return nil
				}
				return hubtest.Random(r, 8000)
			})
			o := quick()
			o.Stall, o.Connections, o.Span, o.Segment = 50*time.Millisecond, 1+r.IntN(5), 1+r.IntN(6), int64(1+r.IntN(4000))
			if r.IntN(4) == 0 {
				left := new(atomic.Int64)
				left.Store(int64(r.IntN(80_000)))
				o.wrap = func(x file) file { return full{x, left, []error{syscall.ENOSPC, syscall.EIO}[seed%2]} }
			}
			p := newPlace(t)
			_, err := p.fetch(o, f)
			var told *Error
			switch {
			case err == nil:
				p.has(t, data)
			case !errors.As(err, &told) || told.Kind == NotFound || strings.Contains(err.Error(), "\n"):
				t.Errorf("want an error of a kind, got %v", err)
			default:
				p.nothing(t)
			}
			mu.Lock()
			good = true
			mu.Unlock()
			o.wrap, o.Stall = nil, time.Minute
			if _, err := p.fetch(o, f); err != nil {
				t.Errorf("%v\n%s", err, strings.Join(s.Requests(), "\n"))
			}
			p.has(t, data)
		})
	}
}
