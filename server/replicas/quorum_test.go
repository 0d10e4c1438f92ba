package replicas

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/cluster/clustertest"
	"github.com/rwkv-gpu/rwkv-gpu/cluster/store"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
)

// While most of the servers are gone nothing can be kept: replicas answer all the same, also each other's requests, and
// say so. Once the servers are back, what was not kept is, and another replica goes on with it.
func TestNoQuorum(t *testing.T) {
	if testing.Short() {
		t.Skip("servers take some seconds to agree who leads")
	}
	t.Parallel()
	s := clustertest.Start(t, 3)
	a, b := start(t, s.URL(), 0), start(t, s.URL(), 0)
	opened(t, a)
	meet(t, a, b)
	a.words.slots.Store(1) // so b has less to do
	hold, err := a.Local.Start(t.Context(), []api.Request{{Segments: say("Busy?"), Max: 1000}})
	if err != nil {
		t.Fatal(err)
	}
	said := []string{"Are you there?"}
	turn := func() {
		t.Helper()
		q := api.Request{Segments: say(said...), Max: 100}
		got, err := a.ask(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if diff := same(got, want(t, q)); diff != "" {
			t.Error(diff)
		}
		said = append(said, got.text[1:], "And now?")
	}
	ask := func() { // until the other replica has answered, of whom a busy machine may hear nothing for a moment
		t.Helper()
		for before, lost := int64(-1), int64(-1); a.away.Load() == before || before < 0 || a.resumed.Load() != lost; {
			meet(t, a, b)
			before, lost = a.away.Load(), a.resumed.Load()
			turn()
		}
	}
	ask()
	until(t, "three servers keep what they are given", b.keeping)
	before := b.unkept.Load() // on a busy machine
	s.Settle()
	s.Stop(0)
	s.Stop(1)
	until(t, "the last server is found", func() bool { return a.node.Connected() && b.node.Connected() })
	ask()
	ask()
	if b.keeping() || b.unkept.Load() == before {
		t.Errorf("one server of three keeps records: %d were not", b.unkept.Load()-before)
	}
	s.Restart(0)
	s.Restart(1)
	s.Settle()
	until(t, "what was not kept is", func() bool { return b.keeping() && b.queued.Load() == 0 })
	hold[0].Close()
	b.kill()
	meet(t, a)
	turn()
	if n := a.learnt.Load() + a.read.Load(); n == 0 {
		t.Error("the state of the last answer was not taken over")
	}
}

// Where the store has no room for states, replicas say so and go on with each other's conversations by reading them.
func TestFullStore(t *testing.T) {
	s := clustertest.Start(t, 1)
	a, b := start(t, s.URL(), 0), start(t, s.URL(), 0)
	small, err := store.New(a.node.Conn(), store.Options{Name: "test", Bytes: 64})
	if err != nil {
		t.Fatal(err)
	}
	clustertest.Until(t, "a store", func() error { return small.Open(t.Context()) })
	meet(t, a, b)
	a.words.slots.Store(1) // so b has less to do
	hold, err := a.Local.Start(t.Context(), []api.Request{{Segments: say("Busy?"), Max: 1000}})
	if err != nil {
		t.Fatal(err)
	}
	q := api.Request{Segments: say("Is there room?"), Max: 100}
	var got told
	for a.away.Load() == 0 { // a busy machine may hear nothing of the other one for a moment
		meet(t, a, b)
		if got, err = a.ask(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "a state is refused", func() bool { return !b.keeping() && b.queued.Load() == 0 })
	if b.unkept.Load() > 0 || b.saved.Load() > 0 {
		t.Errorf("%d records not kept, %d states kept", b.unkept.Load(), b.saved.Load())
	}
	hold[0].Close()
	b.kill()
	meet(t, a)
	q.Segments = say("Is there room?", got.text[1:], "And now?")
	got, err = a.ask(t.Context(), q)
	if diff := same(got, want(t, q)); err != nil || diff != "" {
		t.Errorf("%v, %s", err, diff)
	}
	if a.read.Load() == 0 || a.learnt.Load() != 0 {
		t.Errorf("%d conversations read, %d states taken over", a.read.Load(), a.learnt.Load())
	}
}

// late is a store that takes no states at first.
type late struct {
	Store
	left atomic.Int32 // tries that fail
}

func (l *late) PutState(ctx context.Context, name string, state []byte) error {
	if l.left.Add(-1) >= 0 {
		return errors.New("nobody leads the bucket")
	}
	return l.Store.PutState(ctx, name, state)
}

// A state that the store does not take at first is kept later, without another answer.
func TestLateStates(t *testing.T) {
	a := start(t, clustertest.Start(t, 1).URL(), 0)
	opened(t, a)
	l := &late{Store: a.store}
	l.left.Store(3)
	a.store = l
	if _, err := a.ask(t.Context(), api.Request{Segments: say("Are you there?"), Max: 100}); err != nil {
		t.Fatal(err)
	}
	until(t, "the state is kept", func() bool { return a.saved.Load() == 1 && a.keeping() && a.queued.Load() == 0 })
}
