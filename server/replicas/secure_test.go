package replicas

import (
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/cluster/clustertest"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
)

// While the store takes no records, the ids of an answer are known to all replicas, also where the one that wrote it
// dies, and to one that begins later.
func TestHeld(t *testing.T) {
	t.Parallel()
	url := clustertest.Plain(t)
	all := []*replica{start(t, url, 0), start(t, url, 0), start(t, url, 0)}
	meet(t, all...)
	q := api.Request{User: "u", Segments: say("Who are you?"), Max: 100}
	got, err := all[0].ask(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	at := ownKey(placesOf(&q))
	var left *replica // that has not answered
	for _, r := range all {
		until(t, "each replica knows the answer", func() bool { return r.mine.get(at) != "" })
		if len(r.words.own) == 0 {
			left = r
		}
	}
	late := start(t, url, 0)
	meet(t, append(all, late)...)
	for _, r := range all {
		if r != left {
			r.kill()
		}
	}
	meet(t, left, late)
	q.Segments = say("Who are you?", got.text[1:], "And then?")
	late.takeOver(t.Context(), "another", placesOf(&api.Request{User: "another", Segments: q.Segments}))
	if n := late.read.Load(); n != 0 {
		t.Error("a user's answer is known to another one")
	}
	late.takeOver(t.Context(), q.User, placesOf(&q))
	if n := late.read.Load(); n != 1 || late.mine.get(at) != left.mine.get(at) {
		t.Errorf("%d answers were read by their ids, want 1", n)
	}
}

// An answer of a replica that reaches neither the store nor others ends once it does again, so that they know its ids.
func TestCutOff(t *testing.T) {
	t.Parallel()
	s := clustertest.Start(t, 1)
	l := clustertest.NewLink(t, s.All[0].URL()[len("nats://"):])
	a, b := start(t, l.URL(), 0), start(t, s.URL(), 0)
	a.patience = 3 * time.Minute // whatever else the machine does
	opened(t, b)
	meet(t, a, b)
	until(t, "others are reached", func() bool { return a.secure("ta", entry{IDs: []byte{1}}) == nil })
	l.Cut()
	until(t, "nobody is reached", func() bool { return !a.node.Connected() && a.Alone() })
	q := api.Request{Segments: say("Are you there?"), Max: 100}
	ended := make(chan told)
	go func() {
		defer close(ended)
		got, err := a.ask(t.Context(), q)
		if err != nil {
			t.Error(err)
		}
		ended <- got
	}()
	until(t, "the answer is drawn", func() bool { return a.mine.get(ownKey(placesOf(&q))) != "" })
	select {
	case <-ended:
		t.Error("the answer has ended, and nobody else knows of it")
	case <-time.After(10 * againTime):
	}
	l.Heal()
	got := <-ended
	a.kill()
	q.Segments = say("Are you there?", got.text[1:], "And then?")
	b.takeOver(t.Context(), "", placesOf(&q))
	if n := b.learnt.Load() + b.read.Load(); n != 1 {
		t.Errorf("%d answers were taken over, want 1", n)
	}
	a.patience = 0 // with others that are gone for good
	if got, err := a.ask(t.Context(), q); err != nil || same(got, want(t, q)) != "" {
		t.Errorf("alone: %v, %s", err, same(got, want(t, q)))
	}
}

// A run that goes on for a lost one does not wait for a store that is silent, since it has the ids of its prompt.
func TestHurry(t *testing.T) {
	t.Parallel()
	s := clustertest.Start(t, 1)
	l := clustertest.NewLink(t, s.All[0].URL()[len("nats://"):])
	a := start(t, l.URL(), 0)
	a.patience = time.Hour
	opened(t, a)
	l.Stall()
	defer l.Heal()
	q := api.Request{Segments: say("Are you there?", "I am.", "And now?"), Max: 100}
	places := placesOf(&q)
	q.IDs, q.Segments = []int{1, 2, 3}, nil
	began := time.Now()
	a.prepare(t.Context(), []api.Request{q}, places)
	if took := time.Since(began); took > time.Minute {
		t.Errorf("it has waited %v", took)
	}
}
