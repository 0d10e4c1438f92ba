package schedule

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
)

// manual is a scheduler of a fake engine whose rounds the test does.
func manual(t *testing.T, slots, seqs, chunk int, o Options) (*fake, *Scheduler) {
	f := newFake(slots, seqs, chunk, 7)
	s := prepare(f, slots, seqs, chunk, o)
	s.now = func() time.Time { return f.clock }
	t.Cleanup(func() {
		if f.wrong != nil {
			t.Error(f.wrong)
		}
	})
	return f, s
}

func submit(t *testing.T, s *Scheduler, r Request) *Job {
	t.Helper()
	r.Sampler = anySampler
	if r.Token == nil {
		r.Token = func(Token) bool { return true }
	}
	j, err := s.Submit(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func (j *Job) ended() bool {
	select {
	case <-j.done:
		return true
	default:
		return false
	}
}

// ends reports whether the scheduler's part of a request is over, and waits for the rest: copies of states.
func (j *Job) ends(s *Scheduler) bool {
	if slices.Contains(s.resident, j) || j.seq != nil || j.state != nil || !j.begun && s.queue.n > 0 {
		return false
	}
	<-j.done
	return true
}

// A long prompt delays nobody's token by more than the latency, on devices of any speed that a single token allows, and
// takes not much longer than the tokens drawn meanwhile make it.
func TestLatency(t *testing.T) {
	for _, each := range []time.Duration{50 * time.Microsecond, time.Millisecond, 4 * time.Millisecond, 15 * time.Millisecond} {
		for _, decoders := range []int{1, 8, 20} {
			f, s := manual(t, 24, 8, 256, Options{Quantum: 1 << 20})
			f.took = func(tokens int) time.Duration { return 2*time.Millisecond + time.Duration(tokens)*each }
			if each > 5*time.Millisecond && decoders > 8 {
				continue // three turns of bursts take that long alone
			}
			last := make([]time.Time, decoders)
			var longest time.Duration
			watch := false
			for i := range decoders {
				submit(t, s, Request{Prompt: []int{i}, Max: 1 << 20, Token: func(Token) bool {
					if now := f.clock; watch {
						longest = max(longest, now.Sub(last[i]))
						last[i] = now
					} else {
						last[i] = now
					}
					return true
				}})
			}
			for range 20 {
				s.cycle()
			}
			watch = true
			first := submit(t, s, Request{Prompt: make([]int, 4096), Max: 1})
			begin := f.clock
			rounds := 0
			for ; !first.ended(); rounds++ {
				s.cycle()
			}
			if longest > DefaultLatency {
				t.Errorf("%s a token, %d others: a token waited for %s", each, decoders, longest)
			}
			alone := 4096 * each
			if took := f.clock.Sub(begin); took > 20*alone && each >= time.Millisecond {
				t.Errorf("%s a token, %d others: the prompt took %s, alone it takes %s", each, decoders, took, alone)
			}
		}
	}
}

// Users take turns, however many requests each of them has; those of one user keep their order.
func TestUsersTakeTurns(t *testing.T) {
	_, s := manual(t, 1, 1, 8, Options{Quantum: 1 << 20, Queue: 99})
	var order []string
	ask := func(user string, n int) {
		for range n {
			submit(t, s, Request{User: user, Prompt: []int{1}, Max: 1, Token: func(Token) bool {
				order = append(order, user)
				return true
			}})
		}
	}
	ask("a", 5)
	ask("b", 2)
	ask("c", 1)
	for range 40 {
		if len(order) < 8 {
			s.cycle()
		}
	}
	if got := strings.Join(order, ""); got != "abcabaaa" {
		t.Errorf("served in the order %s", got)
	}
}

// With more requests than slots all go on by turns, by way of the host's memory.
func TestParking(t *testing.T) {
	_, s := manual(t, 2, 2, 8, Options{Quantum: 6, Parked: 3})
	var jobs []*Job
	most := 0
	counts := make([]int, 5)
	for i := range counts {
		jobs = append(jobs, submit(t, s, Request{User: "u", Prompt: []int{i, 2, 3}, Max: 40, Token: func(Token) bool {
			counts[i]++
			least := 1 << 30
			for _, n := range counts {
				least = min(least, n)
			}
			most = max(most, counts[i]-least)
			return true
		}}))
	}
	for i := 0; s.Stats().Done < len(jobs); i++ {
		if s.cycle(); i > 500 {
			t.Fatalf("no end: %v", counts)
		}
	}
	for i, j := range jobs {
		if err := j.Err(); err != nil || counts[i] != 40 {
			t.Errorf("request %d: %d tokens, %v", i, counts[i], err)
		}
	}
	if st := s.Stats(); st.Parkings < 10 || len(s.lot.idle) > 4 {
		t.Errorf("%+v, %d buffers", st, len(s.lot.idle))
	}
	if most > 36 {
		t.Errorf("one request was %d tokens ahead of another", most)
	}
}

// crowd has some requests without end decode until each of them had a quantum, and returns how many tokens each has
// drawn.
func crowd(t *testing.T, s *Scheduler, n int) []int {
	t.Helper()
	counts := make([]int, n)
	for i := range counts {
		submit(t, s, Request{User: fmt.Sprint(i % 3), Prompt: []int{i}, Max: 1 << 20, Token: func(Token) bool {
			counts[i]++
			return true
		}})
	}
	for range 5 + s.options.Quantum {
		s.cycle()
	}
	return counts
}

// A request that waits takes one slot: the sequence that it is taken from waits for another round.
func TestOneArrivalParksOne(t *testing.T) {
	_, s := manual(t, 16, 16, 64, Options{Quantum: 8})
	crowd(t, s, 16)
	late := submit(t, s, Request{User: "late", Prompt: []int{1}, Max: 1 << 20})
	if s.cycle(); s.Stats().Parkings != 1 || !late.begun {
		t.Errorf("a round after one arrival: %+v; the request has a slot: %t", s.Stats(), late.begun)
	}
}

// Where many wait for slots, a round with its parkings, a burst and a piece of a prompt keeps to the latency, however
// long a state takes to the host, and all get on.
func TestParkingsKeepTime(t *testing.T) {
	for _, moved := range []time.Duration{0, 5 * time.Millisecond, 20 * time.Millisecond, 75 * time.Millisecond} {
		f, s := manual(t, 16, 16, 256, Options{Quantum: 64, Parked: 64})
		f.moved = moved
		f.took = func(tokens int) time.Duration { return 5*time.Millisecond + time.Duration(tokens)*time.Millisecond }
		counts := crowd(t, s, 32)
		had := slices.Clone(counts)
		var longest time.Duration
		for range 600 {
			if s.queue.n == 16 {
				submit(t, s, Request{User: "reads", Prompt: make([]int, 1024)})
			}
			before := f.clock
			s.cycle()
			longest = max(longest, f.clock.Sub(before))
		}
		if longest > DefaultLatency {
			t.Errorf("a state takes %s: a round took %s", moved, longest)
		}
		for i, n := range counts {
			if n < had[i]+2*s.options.Quantum {
				t.Errorf("a state takes %s: request %d drew %d tokens in 600 rounds", moved, i, n-had[i])
			}
		}
	}
}

// Where somebody else has some of an engine's slots, requests take turns in the rest; where he has all, they wait for
// one.
func TestSlotsOfOthers(t *testing.T) {
	f, s := manual(t, 4, 4, 64, Options{Quantum: 8})
	var others []*engine.Seq
	other := func() {
		seq, err := f.NewSeq(nil)
		if err != nil {
			t.Fatal(err)
		}
		others = append(others, seq)
	}
	other()
	other()
	for i, n := range crowd(t, s, 5) {
		if n < 4 {
			t.Errorf("request %d of 5 in 2 slots drew %d tokens", i, n)
		}
	}
	for _, j := range s.resident {
		j.Cancel()
	}
	s.queue.remove(func(j *Job) bool { j.Cancel(); return false })
	s.leave()
	other()
	other()
	late := submit(t, s, Request{Prompt: []int{1}, Max: 3})
	for range 3 {
		s.cycle()
	}
	if late.ended() || s.queue.n != 1 {
		t.Errorf("a request without a slot to be had: ended %t, %d wait", late.ended(), s.queue.n)
	}
	f.release(others[0])
	for i := 0; i < 5 && !late.ended(); i++ {
		s.cycle()
	}
	if !late.ended() || late.Err() != nil {
		t.Errorf("a request that got a slot later: ended %t", late.ended())
	}
}

// A burst ends where the first of its requests has all its tokens.
func TestBurstsEndAtMax(t *testing.T) {
	f, s := manual(t, 8, 8, 64, Options{})
	var jobs []*Job
	for i := range 8 {
		jobs = append(jobs, submit(t, s, Request{Prompt: []int{i}, Max: 20 + i*i}))
	}
	for i := 0; i < 500 && s.Stats().Done < len(jobs); i++ {
		s.cycle()
	}
	if f.past > 0 || s.Stats().Done < len(jobs) {
		t.Errorf("%d steps past ends; %+v", f.past, s.Stats())
	}
}

// An error of a burst ends the requests that go on; one whose last token it drew has come to its end.
func TestErrorAfterTheEnd(t *testing.T) {
	f, s := manual(t, 2, 2, 8, Options{})
	short := submit(t, s, Request{Prompt: []int{1}, Max: 2})
	long := submit(t, s, Request{Prompt: []int{1}, Max: 9})
	f.fail = errors.New("no memory")
	for i := 0; i < 5 && s.Stats().Done < 2; i++ {
		s.cycle()
	}
	if s.Stats().Done < 2 || short.Err() != nil || !errors.Is(long.Err(), f.fail) {
		t.Errorf("%+v", s.Stats())
	}
}

// A device that every call loses is given up, and its requests end.
func TestHopelessDevice(t *testing.T) {
	f, s := manual(t, 2, 2, 8, Options{})
	j := submit(t, s, Request{Prompt: []int{1}, Max: 9})
	s.cycle()
	f.loss = 1
	for i := 0; i < 50 && !j.ended(); i++ {
		s.cycle()
	}
	if !j.ended() || !errors.Is(s.Err(), engine.ErrDeviceLost) || !errors.Is(j.Err(), engine.ErrDeviceLost) || s.Stats().Reopened != mostLosses {
		t.Errorf("ended %t, %+v", j.ended(), s.Stats())
	}
	if _, err := s.Submit(t.Context(), j.Request); !errors.Is(err, engine.ErrDeviceLost) {
		t.Errorf("a request after that: %v", err)
	}
}

// Bad requests are refused, and so are requests after the end.
func TestRefusals(t *testing.T) {
	_, s := manual(t, 1, 1, 8, Options{Queue: 1})
	token := func(Token) bool { return true }
	for want, r := range map[string]Request{
		"want at least one token":         {},
		"want 0 or more tokens, got -1":   {Prompt: []int{1}, Max: -1},
		"want a function":                 {Prompt: []int{1}, Max: 1, Sampler: anySampler},
		"want a sampler":                  {Prompt: []int{1}, Max: 1, Token: token},
		"mark 0: want a place from 1 to":  {Prompt: []int{1}, Marks: []int{2}},
		"mark 1: want a place from 2 to ": {Prompt: []int{1, 2}, Marks: []int{1, 1}},
		"marks: want a function":          {Prompt: []int{1, 2}, Marks: []int{1, 2}},
		"every: want a function":          {Prompt: []int{1, 2}, Every: 1},
		"every: want 0 or more":           {Prompt: []int{1, 2}, Every: -1},
	} {
		if _, err := s.Submit(t.Context(), r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
	first := submit(t, s, Request{Prompt: []int{1}, Max: 1000})
	if _, err := s.Submit(t.Context(), Request{Prompt: []int{1}}); !errors.Is(err, ErrQueueFull) {
		t.Errorf("a full queue: %v", err)
	}
	if _, err := s.Submit(t.Context(), Request{Prompt: []int{1}, Standing: Standing{Follows: true}}); err != nil {
		t.Errorf("the rest of a request that has ended, with a full queue: %v", err)
	}
	s.cycle()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	go s.loop()
	s.Close(ctx)
	if err := first.Err(); !errors.Is(err, ErrClosed) {
		t.Errorf("a request that was under way: %v", err)
	}
	if _, err := s.Submit(t.Context(), Request{Prompt: []int{1}}); !errors.Is(err, ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}
