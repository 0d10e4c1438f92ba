package schedule

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
)

// together submits n requests with one prompt, the i-th of which draws 3 + i tokens.
func together(t *testing.T, s *Scheduler, n int, prompt []int) (all []*asked) {
	t.Helper()
	for i := range n {
		a := &asked{r: Request{Prompt: prompt, Max: 3 + i, Sampler: anySampler}, forks: true}
		a.keep(2)
		a.r.Token = func(t Token) bool { a.drawn = append(a.drawn, t.ID); return true }
		all = append(all, a)
	}
	all, err := submitTogether(s, all)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(all[0].call.stop)
	return all
}

// wantAll wants of requests what each has alone, nothing left, and so many tokens fed.
func wantAll(t *testing.T, what string, f *fake, s *Scheduler, all []*asked, fed int) {
	t.Helper()
	for i, a := range all {
		if err := a.wrong(a.call.stopped); err != nil {
			t.Errorf("%s: request %d: %v", what, i, err)
		}
	}
	s.Close(t.Context())
	if st := s.Stats(); fed >= 0 && st.Fed != fed || st.Resident+st.Parked+st.Waiting+s.lot.forked+len(s.lot.moving) > 0 {
		t.Errorf("%s: %+v, want %d tokens fed; %d states of prompts are left", what, st, fed, s.lot.forked)
	}
	if err := f.end(); err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

var forkedPrompt = []int{5, 4, 3, 2, 1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 9, 8, 7, 6, 5, 4, 3, 2, 1}

// A prompt that several requests have is read once, with as many free slots as there are requests, with fewer, and with
// one, with the reader parked at any place, and beside others. Each request draws what it draws alone. Where there may be
// no states in the host's memory, slots that come free later are for requests that read the prompt themselves.
func TestPromptIsReadOnce(t *testing.T) {
	for slots := 1; slots <= 6; slots++ {
		for _, o := range []Options{{}, {Quantum: 1}, {Quantum: 22}, {Quantum: 24, Parked: 2}, {Parked: -1}} {
			for n := 1; n <= 7; n++ {
				for length := 1; length <= len(forkedPrompt); length += 11 {
					f, s := manual(t, slots, 3, 8, o)
					all := together(t, s, n, forkedPrompt[:length])
					go s.loop()
					fed := length + n - 1
					if o.Parked < 0 && n > slots {
						fed = -1
					}
					wantAll(t, fmt.Sprintf("%d slots, %+v, %d requests for %d tokens", slots, o, n, length), f, s, all, fed)
					if alone := n * length; o.Parked < 0 && slots == 1 && s.Stats().Fed != alone {
						t.Errorf("%d tokens were fed without memory for states, want %d", s.Stats().Fed, alone)
					}
				}
			}
		}
	}
}

// A reader that is canceled, wherever it is in its prompt or behind it, leaves the prompt to the next, and those that
// are canceled leave nothing behind.
func TestReaderEnds(t *testing.T) {
	for slots := 1; slots <= 3; slots++ {
		for cycles := range 14 {
			for gone := range 3 {
				f, s := manual(t, slots, 3, 4, Options{})
				all := together(t, s, 4, forkedPrompt)
				for range cycles {
					s.cycle()
				}
				for i := range gone + 1 {
					all[i].job.Cancel()
				}
				go s.loop()
				for i, a := range all {
					if err := a.wrong(i <= gone); err != nil {
						t.Errorf("%d slots, %d canceled after %d rounds: request %d: %v", slots, gone+1, cycles, i, err)
					}
				}
				wantAll(t, fmt.Sprintf("%d slots, canceled after %d rounds", slots, cycles), f, s, all[gone+1:], -1)
			}
		}
	}
}

// A state that does not come to the host, or is not to be had of the reader's slot, is made by reading the prompt again.
func TestForkFails(t *testing.T) {
	f, s := manual(t, 1, 1, 8, Options{})
	all := together(t, s, 3, forkedPrompt)
	for _, a := range all { // so that copies of prompts are the only ones
		a.job.Keep = nil
		a.some, a.kept = true, nil
	}
	f.full = errors.New("fake: no memory")
	go s.loop()
	for i, a := range all {
		want, _ := expected(&a.r, nil)
		if <-a.job.Done(); a.job.Err() != nil || !slices.Equal(a.drawn, want) {
			t.Errorf("request %d: %v: drew %v, want %v", i, a.job.Err(), a.drawn, want)
		}
	}
	if s.Close(t.Context()); s.Stats().Fed != 3*len(forkedPrompt) || s.lot.forked != 0 || len(f.states) != 0 {
		t.Errorf("%+v, %d states of prompts, %d slots are left", s.Stats(), s.lot.forked, len(f.states))
	}

	f, s = manual(t, 3, 3, 8, Options{})
	f.stateless = true
	all = together(t, s, 3, forkedPrompt)
	go s.loop()
	wantAll(t, "no state to fork", f, s, all, 3*len(forkedPrompt))
}

// Requests with different prompts are none to be read together, and no more come into the queue than fit.
func TestSubmitAll(t *testing.T) {
	_, s := manual(t, 1, 1, 8, Options{Queue: 4})
	r := func(prompt ...int) Request { return Request{Prompt: prompt} }
	if _, err := s.SubmitAll(t.Context(), []Request{r(1, 2), r(1, 3)}); err == nil {
		t.Error("two prompts are one")
	}
	if _, err := s.SubmitAll(t.Context(), []Request{r(1), r(1), r(1), r(1), r(1)}); !errors.Is(err, ErrQueueFull) || s.Stats().Waiting != 0 {
		t.Errorf("%v; %d wait", err, s.Stats().Waiting)
	}
	if _, err := s.SubmitAll(t.Context(), []Request{r(1), {Prompt: []int{1}, Max: -1}, r(1)}); err == nil || !strings.Contains(err.Error(), "want 0 or more tokens, got -1") {
		t.Errorf("the second of three is wrong: %v", err)
	}
	if n := len(s.door.incoming); n != 0 || s.Stats().Waiting != 0 {
		t.Errorf("%d requests came in, %d wait", n, s.Stats().Waiting)
	}
	one, err := s.SubmitAll(t.Context(), []Request{r(1)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.SubmitAll(t.Context(), []Request{r(2), r(2), r(2), r(2)}); !errors.Is(err, ErrQueueFull) || len(s.door.incoming) != 1 || s.Stats().Waiting != 1 {
		t.Errorf("%v; %d came in, %d wait", err, len(s.door.incoming), s.Stats().Waiting)
	}
	one[0].Cancel()
	if s.cycle(); s.Stats().Waiting != 0 {
		t.Errorf("%d wait, and the only one is canceled", s.Stats().Waiting)
	}
	if jobs, err := s.SubmitAll(t.Context(), []Request{r(1), r(1), r(1), r(1)}); err != nil || len(jobs) != 4 || s.Stats().Waiting != 4 {
		t.Errorf("%v; %d wait", err, s.Stats().Waiting)
	}
	go s.loop()
	s.Close(t.Context())
}

// Users whose prompts are read once for several requests take turns: a user's second request does not come before another's
// first. Each draws what it draws alone, and each prompt is read once.
func TestForksOfTwoUsers(t *testing.T) {
	f, s := manual(t, 1, 1, 8, Options{Parked: 2})
	var order []string
	var lists [2][]*asked
	for u, user := range []string{"ann", "bob"} {
		for range 3 {
			a := &asked{r: Request{User: user, Prompt: forkedPrompt[u:], Max: 2, Sampler: anySampler}, forks: true}
			a.keep(2)
			a.r.Token = func(t Token) bool {
				if len(a.drawn) == 0 {
					order = append(order, user)
				}
				a.drawn = append(a.drawn, t.ID)
				return true
			}
			lists[u] = append(lists[u], a)
		}
		var err error
		if lists[u], err = submitTogether(s, lists[u]); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(lists[u][0].call.stop)
	}
	go s.loop()
	for u, list := range lists {
		for i, a := range list {
			if err := a.wrong(false); err != nil {
				t.Errorf("user %d, request %d: %v", u, i, err)
			}
		}
	}
	wantAll(t, "two users", f, s, nil, 2*len(forkedPrompt)-1+2*2)
	if order[0] != "ann" || order[1] != "bob" {
		t.Errorf("requests began in the order %v", order)
	}
}

// On a real engine each of several requests with one prompt draws, bit for bit, what it draws alone, with penalties that
// count the prompt too, with slots for all, for some, and with one.
func TestForksOnEngine(t *testing.T) {
	const n = 5
	for _, slots := range []int{1, 2, n} {
		eachEngine(t, engine.Options{Slots: slots, Chunk: 16, Keep: 20, Exact: true}, func(t *testing.T, e *engine.Engine) {
			for _, penal := range []bool{false, true} {
				var list []Request
				var want, drawn [n][]int
				for i := range n {
					r := Request{Sampler: tinySampler(t, e, i), Max: 9 + i, Penal: penal}
					for j := range 37 {
						r.Prompt = append(r.Prompt, (3*j+j*j)%e.Model.Vocab)
					}
					r.Token = func(tok Token) bool { drawn[i] = append(drawn[i], tok.ID); return true }
					want[i], _ = alone(t, e, &r, i)
					list = append(list, r)
				}
				s := New(e, Options{Quantum: 8})
				jobs, err := s.SubmitAll(t.Context(), list)
				if err != nil {
					t.Fatal(err)
				}
				for i, j := range jobs {
					if err := j.Err(); err != nil || !slices.Equal(drawn[i], want[i]) {
						t.Errorf("%d slots, request %d: drew %v, want %v (%v)", slots, i, drawn[i], want[i], err)
					}
				}
				s.Close(t.Context())
				if st := s.Stats(); st.Fed != 37+n-1 || e.Stats().InUse != 0 {
					t.Errorf("%d slots: %+v, %d slots are in use", slots, st, e.Stats().InUse)
				}
			}
		})
	}
}

// Wherever the device is lost while a prompt is read once for several requests, by copies of a slot and by way of the host,
// each has the tokens and the states that it has without that.
func TestLostDeviceForks(t *testing.T) {
	l := losses{engine: engine.Options{Slots: 3, Chunk: 8, Keep: 6, Exact: true}, options: Options{Quantum: 9}, together: true}
	l.requests = func(e *engine.Engine) (all []*asked, err error) {
		for i := range 5 {
			a, err := lostRequest(e, i, 20, 6+i)
			if err != nil {
				return nil, err
			}
			if a.r.Penal = true; i > 0 {
				a.r.Prompt = all[0].r.Prompt
			}
			a.forks = true
			all = append(all, a)
		}
		return all, nil
	}
	l.begins = func(*Scheduler) bool { return true }
	l.test(t, 0, func(o *outcome) error {
		if o.stats.Fed != 20+4 {
			return fmt.Errorf("%+v", o.stats)
		}
		return nil
	})
}
