package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/rwkv-gpu/rwkv-gpu/cluster/clustertest"
)

// connect returns a store on servers.
func connect(t *testing.T, s *clustertest.Servers, o Options) *Store {
	t.Helper()
	nc, err := nats.Connect(s.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	o.Name = "test"
	st, err := New(nc, o)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// until tries something again until it is done, five seconds at a time.
func until(t *testing.T, what string, try func(ctx context.Context) error) {
	t.Helper()
	clustertest.Until(t, what, func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		return try(ctx)
	})
}

// Of all who change a record at once, one does: a counter that many increase loses nothing.
func TestCompareAndSet(t *testing.T) {
	s := clustertest.Start(t, 1)
	a := connect(t, s, Options{})
	until(t, "open", a.Open)
	const each, who = 20, 4
	var wg sync.WaitGroup
	for range who {
		st := connect(t, s, Options{})
		wg.Add(1)
		go func() {
			defer wg.Done()
			for done := 0; done < each; {
				value, version, err := st.Get(t.Context(), "k")
				if err != nil && !errors.Is(err, ErrNone) {
					t.Error(err)
					return
				}
				n, _ := strconv.Atoi(string(value))
				switch _, err := st.Put(t.Context(), "k", fmt.Append(nil, n+1), version); {
				case err == nil:
					done++
				case !errors.Is(err, ErrConflict):
					t.Error(err)
					return
				}
			}
		}()
	}
	wg.Wait()
	if value, _, err := a.Get(t.Context(), "k"); err != nil || string(value) != fmt.Sprint(each*who) {
		t.Errorf("got %q (%v), want %d", value, err, each*who)
	}
	if _, _, err := a.Get(t.Context(), "other"); !errors.Is(err, ErrNone) {
		t.Errorf("a key without a record: %v", err)
	}
	if _, err := a.Put(t.Context(), "k", nil, 0); !errors.Is(err, ErrConflict) {
		t.Errorf("a second first version: %v", err)
	}
}

// Three servers keep records and states while one of them is gone, which leads a bucket or does not.
func TestServersStop(t *testing.T) {
	s := clustertest.Start(t, 3)
	st := connect(t, s, Options{})
	until(t, "open", st.Open)
	state := make([]byte, 1<<20)
	for i := range state {
		state[i] = byte(rand.Uint32())
	}
	for round := range 1 + 2*min(len(os.Getenv("RWKV_FAULTS")), 1) { // each takes some seconds
		name, version := fmt.Sprint("state", round), uint64(0)
		until(t, "put", func(ctx context.Context) error {
			_, err := st.Put(ctx, name, []byte(name), version)
			if errors.Is(err, ErrConflict) { // a try before was done after all
				return nil
			}
			return err
		})
		until(t, "put a state", func(ctx context.Context) error { return st.PutState(ctx, name, state) })
		s.Stop(round)
		for i := range round + 1 {
			name := fmt.Sprint("state", i)
			until(t, "get "+name, func(ctx context.Context) error {
				value, _, err := st.Get(ctx, name)
				if err == nil && string(value) != name {
					t.Errorf("%s: got %q", name, value)
				}
				return err
			})
			until(t, "get the state "+name, func(ctx context.Context) error {
				got, err := st.State(ctx, name)
				if err == nil && !bytes.Equal(got, state) {
					t.Errorf("%s: another state", name)
				}
				return err
			})
		}
		s.Restart(round)
		s.Settle()
	}
}

// A store that is full says so, and what it has stays.
func TestFull(t *testing.T) {
	st := connect(t, clustertest.Start(t, 1), Options{Bytes: 600 << 10, Records: 64 << 10})
	until(t, "open", st.Open)
	state := make([]byte, 400<<10)
	if err := st.PutState(t.Context(), "a", state); err != nil {
		t.Fatal(err)
	}
	if err := st.PutState(t.Context(), "b", state); !errors.Is(err, ErrFull) {
		t.Errorf("states: %v", err)
	}
	if _, err := st.State(t.Context(), "b"); !errors.Is(err, ErrNone) {
		t.Errorf("the state that there was no room for: %v", err)
	}
	if got, err := st.State(t.Context(), "a"); err != nil || len(got) != len(state) {
		t.Errorf("the state that was there: %d bytes, %v", len(got), err)
	}
	if _, err := st.Put(t.Context(), "k", make([]byte, 100<<10), 0); !errors.Is(err, ErrFull) {
		t.Errorf("records: %v", err)
	}
}

// A state of which a part was lost is none, and is kept whole when it is put again.
func TestBrokenState(t *testing.T) {
	s := clustertest.Start(t, 1)
	st := connect(t, s, Options{})
	until(t, "open", st.Open)
	state := bytes.Repeat([]byte("0123456789abcdef"), 40<<10)
	if err := st.PutState(t.Context(), "a", state); err != nil {
		t.Fatal(err)
	}
	info, err := st.states.GetInfo(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	stream, err := st.js.Stream(t.Context(), "OBJ_"+info.Bucket)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context(), jetstream.WithPurgeSubject("$O."+info.Bucket+".C."+info.NUID), jetstream.WithPurgeKeep(2)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if got, err := st.State(ctx, "a"); err == nil {
		t.Errorf("a broken state: %d bytes", len(got))
	}
	if err := st.PutState(t.Context(), "a", state); err != nil {
		t.Fatal(err)
	}
	if got, err := st.State(t.Context(), "a"); err != nil || !bytes.Equal(got, state) {
		t.Errorf("put again: %d bytes, %v", len(got), err)
	}
}
