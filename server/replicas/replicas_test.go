package replicas

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/cluster/clustertest"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// Workers die in the middle of answers again and again, and NATS servers with them. Each answer comes whole, with every
// token once, as from one process: with and without tokens, alone and several to one prompt.
func TestDeaths(t *testing.T) {
	s := clustertest.Start(t, 3)
	front := start(t, s.URL(), 2*time.Millisecond)
	opened(t, front)
	workers := []*replica{start(t, s.URL(), 2*time.Millisecond), start(t, s.URL(), 2*time.Millisecond)}
	meet(t, append(workers, front)...)
	front.words.slots.Store(1) // so most goes to others
	stop := make(chan struct{})
	var killer sync.WaitGroup
	killer.Add(1)
	go func() {
		defer killer.Done()
		for round := 0; ; round++ {
			select {
			case <-stop:
				return
			case <-time.After(60 * time.Millisecond):
			}
			if at := round % 8; at < 7 {
				i := rand.IntN(2)
				if round%2 == 0 {
					workers[i].kill()
				} else if err := workers[i].Close(t.Context()); err != nil { // in order, in the middle of answers
					t.Error(err)
				}
				workers[i].dead.Store(true)
				workers[i] = start(t, s.URL(), 2*time.Millisecond)
			} else {
				i := rand.IntN(3)
				s.Stop(i)
				s.Restart(i)
			}
		}
	}()
	var wg sync.WaitGroup
	turns := make(chan struct{}, 24)
	var answers atomic.Int64
	for i := range 80 {
		q := api.Request{User: fmt.Sprint("u", i%7), Segments: say(fmt.Sprintf("Question %d?", i)), Max: 50, Whole: true}
		if i%3 == 1 {
			q.Logprobs, q.Top = true, 2
		}
		n := 1
		if i%5 == 0 {
			n = 3
		}
		w := want(t, q)
		turns <- struct{}{}
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer func() { <-turns }()
			var list []api.Request
			for k := range n {
				one := q
				one.Shares = k > 0
				list = append(list, one)
			}
			streams, err := front.Start(t.Context(), list)
			if err != nil {
				t.Errorf("%d: %v", i, err)
				return
			}
			for _, s := range streams {
				got, err := read(s)
				if err != nil {
					t.Errorf("%d: %v behind %q", i, err, got.text)
				} else if diff := same(got, w); diff != "" {
					t.Errorf("%d: %s", i, diff)
				}
				answers.Add(1)
			}
		}()
	}
	wg.Wait()
	close(stop)
	killer.Wait()
	t.Logf("%d answers, %d calls away, %d here, %d answers resumed", answers.Load(), front.away.Load(), front.here.Load(), front.resumed.Load())
	if front.resumed.Load() == 0 {
		t.Error("no answer went on in another run")
	}
}

// Turns of conversations go to the replica that answered the turn before, whichever replica is asked, as long as
// nothing dies. A replica that does not hold the state of a conversation takes it over.
func TestWarm(t *testing.T) {
	s := clustertest.Start(t, 1)
	all := []*replica{start(t, s.URL(), 0), start(t, s.URL(), 0), start(t, s.URL(), 0)}
	opened(t, all[0])
	meet(t, all...)
	const chats, turns = 12, 6
	said := make([][]string, chats)
	ask := func(chat int, r *replica) {
		said[chat] = append(said[chat], fmt.Sprintf("Chat %d, turn %d?", chat, len(said[chat])/2))
		q := api.Request{User: fmt.Sprint("u", chat%3), Segments: say(said[chat]...), Max: 100}
		got, err := r.ask(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if diff := same(got, want(t, q)); diff != "" {
			t.Errorf("chat %d: %s", chat, diff)
		}
		said[chat] = append(said[chat], got.text[1:]) // as clients trim it
	}
	for turn := range turns {
		for chat := range chats {
			ask(chat, all[(turn*5+chat*7)%3])
		}
	}
	sum := func(of func(*replica) int64) (n int64) {
		for _, r := range all {
			n += of(r)
		}
		return n
	}
	warmed, cold := sum(func(r *replica) int64 { return r.warmed.Load() }), sum(func(r *replica) int64 { return r.cold.Load() })
	t.Logf("%d warm, %d cold; %d away, %d here", warmed, cold, sum(func(r *replica) int64 { return r.away.Load() }), sum(func(r *replica) int64 { return r.here.Load() }))
	if warmed < chats*(turns-1)*95/100 {
		t.Errorf("%d of %d turns went to the replica that has the state", warmed, chats*(turns-1))
	}
	if n := sum(func(r *replica) int64 { return r.learnt.Load() + r.read.Load() }); n > chats*turns/20 {
		t.Errorf("%d states were taken over", n)
	}
	// All but the one that has answered least die. It knows what they knew.
	left := slices.MinFunc(all, func(a, b *replica) int { return cmp.Compare(a.mine.order.Len(), b.mine.order.Len()) })
	until(t, "states are written", func() bool { return sum(func(r *replica) int64 { return r.saved.Load() }) >= chats*turns })
	for _, r := range all {
		if r != left {
			r.kill()
		}
	}
	meet(t, left)
	for chat := range chats {
		ask(chat, left)
	}
	if left.learnt.Load() == 0 || left.read.Load() > 0 {
		t.Error("not all states were taken over")
	}
	t.Logf("%d states were taken over, and %d read", left.learnt.Load(), left.read.Load())
}

// Where one replica takes no more, another one does. Where none does, the client is told so. What is wrong with a
// request is told as by one process, and costs no second try.
func TestRefused(t *testing.T) {
	s := clustertest.Start(t, 1)
	a, b := start(t, s.URL(), 0), start(t, s.URL(), 0)
	meet(t, a, b)
	q := api.Request{Segments: say("Hello?"), Max: 5}
	hold := make(chan struct{})
	for _, r := range []*replica{a, b} {
		r.words.queue.Store(1)
		r.words.hold.Store(&hold)
	}
	var streams []api.Stream
	for i := range 2 {
		list, err := a.Start(t.Context(), []api.Request{q})
		if err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		streams = append(streams, list...)
	}
	if _, err := a.Start(t.Context(), []api.Request{q}); !errors.Is(err, api.ErrBusy) {
		t.Errorf("a third request: %v", err)
	}
	close(hold)
	for _, s := range streams {
		if got, err := read(s); err != nil || got.result.Drawn != 5 {
			t.Errorf("%+v, %v", got, err)
		}
	}
	a.words.slots.Store(1)
	a.words.queue.Store(0)
	b.words.queue.Store(0)
	bad := wire.Wrong("temperature", "less", "more")
	a.words.fail.Store(bad)
	b.words.fail.Store(bad)
	var e *wire.Error
	if _, err := a.Start(t.Context(), []api.Request{q}); !errors.As(err, &e) || e.Message != bad.Message || e.Param != "temperature" || e.Status != http.StatusBadRequest {
		t.Errorf("a bad request: %v", err)
	}
	a.words.fail.Store(nil)
	b.words.fail.Store(nil)
	b.Leave()
	if got, err := a.ask(t.Context(), q); err != nil || got.result.Drawn != 5 {
		t.Errorf("%+v, %v", got, err)
	}
	a.Leave() // which is about its own requests no more than about others'
	if got, err := a.ask(t.Context(), q); err != nil || got.result.Drawn != 5 {
		t.Errorf("%+v, %v", got, err)
	}
	if away := b.here.Load() + b.away.Load(); away != 0 {
		t.Errorf("%d calls began in a replica that nobody has asked", away)
	}
}

// With servers that keep nothing replicas work together all the same, and an answer goes on elsewhere.
func TestNothingKept(t *testing.T) {
	url := clustertest.Plain(t)
	front, worker := start(t, url, 0), start(t, url, 3*time.Millisecond)
	meet(t, front, worker)
	front.words.slots.Store(1)
	hold, err := front.Local.Start(t.Context(), []api.Request{{Segments: say("Busy?"), Max: 1000}})
	if err != nil {
		t.Fatal(err)
	}
	defer hold[0].Close()
	q := api.Request{Segments: say("A long one?", "It is", "Longer?"), Max: 40}
	front.words.Forgets = false
	list, err := front.Start(t.Context(), []api.Request{q})
	if err != nil {
		t.Fatal(err)
	}
	first, err := list[0].Next()
	if err != nil {
		t.Fatal(err)
	}
	worker.kill()
	rest, err := read(list[0])
	if err != nil {
		t.Fatal(err)
	}
	rest.text = first.Text + rest.text
	if diff := same(rest, want(t, q)); diff != "" {
		t.Error(diff)
	}
	// The next run gets the prompt as the lost one has read it.
	if asked := front.words.Asked(); len(asked) != 1 || len(asked[0].IDs) == 0 || len(asked[0].Segments) > 0 || len(asked[0].Drawn) == 0 {
		t.Errorf("%+v", asked)
	}
	if front.away.Load() != 1 || front.resumed.Load() < 1 || front.unkept.Load() == 0 {
		t.Errorf("%d calls away, %d answers resumed, %d records not kept", front.away.Load(), front.resumed.Load(), front.unkept.Load())
	}
}

// Without NATS each replica answers alone, also what another one had begun, and all work together again afterwards.
func TestAlone(t *testing.T) {
	s := clustertest.Start(t, 1)
	front, worker := start(t, s.URL(), 0), start(t, s.URL(), 5*time.Millisecond)
	opened(t, front)
	meet(t, front, worker)
	front.words.slots.Store(1)
	q := api.Request{Segments: say("A long one?"), Max: 40, Logprobs: true}
	w := want(t, q)
	request, err := front.encode(t.Context(), []api.Request{q})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	c, err := front.open(ctx, worker.node.ID(), request)
	if err != nil {
		t.Fatal(err)
	}
	if f, err := began(c); f != nil || err != nil {
		t.Fatal(f, err)
	}
	list := front.follow(t.Context(), ctx, cancel, c, worker.node.ID(), []api.Request{q}, request)
	first, err := list[0].Next()
	if err != nil {
		t.Fatal(err)
	}
	s.Stop(0)
	worker.kill() // the front hears of neither
	rest, err := read(list[0])
	if err != nil {
		t.Fatal(err)
	}
	rest.text, rest.tokens = first.Text+rest.text, append(first.Tokens, rest.tokens...)
	if diff := same(rest, w); diff != "" {
		t.Error(diff)
	}
	if got, err := front.ask(t.Context(), q); err != nil || same(got, w) != "" {
		t.Errorf("alone: %v, %s", err, same(got, w))
	}
	s.Restart(0)
	other := start(t, s.URL(), 0)
	meet(t, front, other)
	if got, err := other.ask(t.Context(), q); err != nil || same(got, w) != "" {
		t.Errorf("together again: %v, %s", err, same(got, w))
	}
}

// A request that its client leaves ends where it is worked on.
func TestLeft(t *testing.T) {
	s := clustertest.Start(t, 1)
	front, worker := start(t, s.URL(), 0), start(t, s.URL(), time.Millisecond)
	meet(t, front, worker)
	front.words.slots.Store(1)
	hold, err := front.Local.Start(t.Context(), []api.Request{{Segments: say("Busy?"), Max: 1000}})
	if err != nil {
		t.Fatal(err)
	}
	defer hold[0].Close()
	for _, how := range []string{"canceled", "closed"} {
		ctx, cancel := context.WithCancel(t.Context())
		list, err := front.Start(ctx, []api.Request{{Segments: say("A long one?"), Max: 1 << 20, IDs: nil}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := list[0].Next(); err != nil {
			t.Fatal(err)
		}
		if how == "closed" {
			list[0].Close()
		} else {
			cancel()
		}
		for err == nil {
			_, err = list[0].Next()
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", how, err)
		}
		list[0].Close()
		until(t, how+": the worker has ended", func() bool { return worker.words.Open() == 0 })
		cancel()
	}
	if front.away.Load() != 2 {
		t.Errorf("%d calls went away", front.away.Load())
	}
}

// What one replica keeps under an id all find, of any size, and none once one has deleted it.
func TestShared(t *testing.T) {
	s := clustertest.Start(t, 1)
	a, b := start(t, s.URL(), 0), start(t, s.URL(), 0)
	opened(t, a)
	for _, size := range []int{0, 100, mostHere + 1} {
		id := fmt.Sprint("resp_", size)
		data := bytes.Repeat([]byte("x"), size)
		if err := a.Keep(t.Context(), "ann", id, data); err != nil {
			t.Fatal(err)
		}
		if got, err := b.Kept(t.Context(), "ann", id); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes: got %d, %v", size, len(got), err)
		}
		if got, err := b.Kept(t.Context(), "bob", id); err != nil || got != nil {
			t.Errorf("another user's: got %d bytes, %v", len(got), err)
		}
		if err := b.Forget(t.Context(), "ann", id); err != nil {
			t.Error(err)
		}
		if _, err := a.Kept(t.Context(), "ann", id); !errors.Is(err, api.ErrForgotten) {
			t.Errorf("deleted: %v", err)
		}
	}
	s.Stop(0)
	for a.node.Connected() {
		time.Sleep(time.Millisecond)
	}
	if err := a.Keep(t.Context(), "ann", "x", nil); err == nil {
		t.Error("kept by nobody")
	}
	if _, err := a.Kept(t.Context(), "ann", "x"); err == nil || errors.Is(err, api.ErrForgotten) {
		t.Errorf("kept by nobody: %v", err)
	}
}
