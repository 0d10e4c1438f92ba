package hub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/hub/fetch"
	"github.com/rwkv-gpu/rwkv-gpu/hub/hubtest"
	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
)

// Whatever the servers do, a pull ends with a file that the hub had, or with an error of a kind, and no name finds
// anything else. The next pull, from servers in order, has the right file.
func TestRandomFaults(t *testing.T) {
	n := uint64(40)
	if text := os.Getenv("RWKV_PULL_FAULTS"); text != "" {
		var err error
		if n, err = strconv.ParseUint(text, 10, 32); err != nil {
			t.Fatal(err)
		}
	}
	for seed := range n {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			s := hubtest.New(t)
			r := rand.New(rand.NewPCG(seed, 2))
			rate := []float64{0.1, 0.4, 0.8}[r.IntN(3)]
			change := r.IntN(3) == 0
			s.Put(g1Repo, g1File, content(byte(seed), 1+r.IntN(40_000)))
			last := content(byte(seed)+1, 1+r.IntN(40_000))
			s.Put(g1Repo, world.name, []byte("1 'a' 1\n"))
			var mu sync.Mutex
			good := false
			s.Fault = func(*http.Request) *hubtest.Fault {
				mu.Lock()
				defer mu.Unlock()
				if change && r.IntN(10) == 0 {
					change = false
					s.Put(g1Repo, g1File, last)
				}
				if good || r.Float64() >= rate {
					return nil
				}
				return hubtest.Random(r, 5000)
			}
			h := newHub(t, s)
			h.Fetch.Stall = 50 * time.Millisecond
			check := func() {
				t.Helper()
				for _, m := range h.Cache.Models() {
					data, err := os.ReadFile(m.Path)
					if err != nil || !s.Had(data) {
						t.Errorf("%s has %d bytes that the hub never had (%v)", m.Path, len(data), err)
					}
				}
			}
			var told *fetch.Error
			_, err := h.Pull(context.Background(), parse(t, "g1:7.2b"))
			if err != nil && !errors.As(err, &told) {
				t.Errorf("want an error of a kind, got %v", err)
			}
			check()
			mu.Lock()
			good = true
			mu.Unlock()
			h.Fetch.Stall = time.Minute
			p, err := h.Pull(context.Background(), parse(t, "g1:7.2b"))
			if err != nil {
				t.Fatal(err)
			}
			if data, err := os.ReadFile(p.Path); err != nil || hubtest.SHA256(data) != p.Sum {
				t.Errorf("want %s (%v)", p.Sum, err)
			}
			check()
		})
	}
}

const (
	killEnv  = "RWKV_TEST_PULL" // address of a hub: this test pulls from there
	cacheDir = "RWKV_TEST_CACHE"
)

// Processes that are killed at any time leave no model that is not one, and each next one goes on from what is there.
func TestKilled(t *testing.T) {
	if address := os.Getenv(killEnv); address != "" {
		o := quick()
		o.Segment = 4 << 10
		h := Hub{Endpoint: address, Cache: Cache(os.Getenv(cacheDir)), Fetch: o}
		if _, err := h.Pull(context.Background(), parse(t, "g1:7.2b")); err != nil {
			t.Fatal(err)
		}
		return
	}
	s := hubtest.New(t)
	data := content(11, 400_000)
	var mu sync.Mutex
	requests, kill := 0, 0
	reached := make(chan struct{}, 1)
	s.Fault = func(*http.Request) *hubtest.Fault {
		mu.Lock()
		defer mu.Unlock()
		if requests++; requests == kill {
			reached <- struct{}{}
		}
		return nil
	}
	s.Put(g1Repo, g1File, data)
	s.Put(g1Repo, world.name, []byte("1 'a' 1\n"))
	cache := Cache(filepath.Join(t.TempDir(), "hub"))
	r := rand.New(rand.NewPCG(1, 2))
	killed := 0
	for {
		mu.Lock()
		requests, kill = 0, 1+r.IntN(8)
		mu.Unlock()
		cmd := reference.Self("-test.run=^TestKilled$")
		cmd.Env = append(os.Environ(), killEnv+"="+s.URL, cacheDir+"="+string(cache))
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		var err error
		select {
		case <-reached:
			time.Sleep(time.Duration(r.IntN(2000)) * time.Microsecond) // anywhere within the answer
			_ = cmd.Process.Kill()                                     // it may have ended
			err = <-ended
		case err = <-ended:
			select { // it came so far and ended before the test saw it
			case <-reached:
			default:
			}
		}
		for _, m := range cache.Models() {
			holds(t, m.Path, data)
		}
		for _, u := range cache.Unfinished() {
			if u.Name().String() != "g1:7.2b@20260710" && u.File != "" && u.File != world.name {
				t.Errorf("%+v", u)
			}
		}
		if err == nil {
			break
		}
		if killed++; killed > 200 {
			t.Fatalf("it gets nowhere: %s", &out)
		}
	}
	if killed < 2 {
		t.Errorf("only %d kills", killed)
	}
	t.Logf("%d kills", killed)
	m, err := Find([]Cache{cache}, parse(t, "g1:7.2b"))
	if err != nil {
		t.Fatal(err)
	}
	holds(t, m.Path, data)
	if left := cache.Unfinished(); len(left) > 0 {
		t.Errorf("want nothing unfinished, got %+v", left)
	}
	if len(s.Requests()) == 0 {
		t.Error("no requests")
	}
}
