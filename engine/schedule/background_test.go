package schedule

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

// behind has some requests in the background, each without end and of one user, take all slots and wait for more.
func behind(t *testing.T, s *Scheduler, n int) (jobs []*Job, counts []int) {
	t.Helper()
	counts = make([]int, n)
	for i := range counts {
		jobs = append(jobs, submit(t, s, Request{User: "batch", Standing: Standing{Background: true}, Prompt: []int{i, 2}, Max: 1 << 20,
			Token: func(Token) bool {
				counts[i]++
				return true
			}}))
	}
	for range 5 + 2*s.options.Quantum {
		s.cycle()
	}
	return jobs, counts
}

// A request that somebody waits for has a slot in the next round, whatever is done in the background. The sequence that
// it is taken from goes on when the slot is free again. Sequences in the background are not parked for each other.
func TestBackgroundGivesWay(t *testing.T) {
	for _, parked := range []int{0, 1, 3} {
		_, s := manual(t, 4, 4, 16, Options{Quantum: 8, Parked: parked})
		jobs, counts := behind(t, s, 10)
		if st := s.Stats(); st.Resident != 4 || st.Parkings != 0 || st.Waiting != 6 {
			t.Errorf("before others came: %+v", st)
		}
		for round := range 3 { // more at once than there is memory for, by its option
			var front []*Job
			for i := range 4 {
				front = append(front, submit(t, s, Request{User: fmt.Sprint(i % 2), Prompt: []int{i}, Max: 20}))
			}
			s.cycle()
			for i, j := range front {
				if !j.begun {
					t.Errorf("%d parked, round %d: request %d has no slot", parked, round, i)
				}
			}
			had := slices.Clone(counts)
			for i := 0; !front[3].ended(); i++ {
				if s.cycle(); i > 100 {
					t.Fatal("no end")
				}
			}
			if !slices.Equal(counts, had) {
				t.Errorf("%d parked: drew %v in the background meanwhile, before %v", parked, counts, had)
			}
		}
		had := slices.Clone(counts)
		for range 50 {
			s.cycle()
		}
		if st := s.Stats(); st.Resident != 4 || st.Parkings != 4 || st.Parked != 0 || st.Waiting != 6 {
			t.Errorf("%d parked: in the end %+v", parked, st)
		}
		going := 0
		for i := range counts {
			if counts[i] > had[i] {
				going++
			}
		}
		if going != 4 || counts[4] > 0 {
			t.Errorf("%d parked: want the first 4 to go on, got %v after %v", parked, counts, had)
		}
		for _, j := range jobs {
			j.Cancel()
		}
		s.cycle()
		if len(s.lot.idle) > 8 || s.lot.parked != 0 {
			t.Errorf("%d states are parked, %d buffers", s.lot.parked, len(s.lot.idle))
		}
	}
}

// A sequence that somebody waits for keeps its slot, however long it has had it.
func TestBackgroundWaits(t *testing.T) {
	_, s := manual(t, 2, 2, 8, Options{Quantum: 3})
	front := []*Job{submit(t, s, Request{Prompt: []int{1}, Max: 60}), submit(t, s, Request{Prompt: []int{2}, Max: 90})}
	late := submit(t, s, Request{Standing: Standing{Background: true}, Prompt: []int{3}, Max: 4})
	for !front[0].ended() {
		if s.cycle(); late.begun && !front[0].ended() {
			t.Fatal("a request in the background took a slot")
		}
	}
	for !late.ended() {
		s.cycle()
	}
	if err := errors.Join(late.Err(), front[0].Err()); err != nil || front[1].ended() || s.Stats().Parkings > 0 {
		t.Errorf("%v, %+v", err, s.Stats())
	}
}

// Requests in the background do not fill the queue of others, nor these theirs.
func TestBackgroundQueue(t *testing.T) {
	_, s := manual(t, 1, 1, 8, Options{Queue: 2})
	back := Request{Standing: Standing{Background: true}, Prompt: []int{1}}
	for range 2 {
		submit(t, s, back)
		submit(t, s, Request{Prompt: []int{1}})
	}
	for _, r := range []Request{back, {Prompt: []int{1}}} {
		if _, err := s.Submit(t.Context(), r); !errors.Is(err, ErrQueueFull) {
			t.Errorf("a full queue: %v", err)
		}
	}
	if _, err := s.SubmitAll(t.Context(), []Request{back, {Prompt: []int{1}}}); err == nil || errors.Is(err, ErrQueueFull) {
		t.Errorf("want both in the background or none, got %v", err)
	}
	if st := s.Stats(); st.Waiting != 4 {
		t.Errorf("%+v", st)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	go s.loop()
	s.Close(ctx)
	if st := s.Stats(); st.Waiting != 0 {
		t.Errorf("after the end: %+v", st)
	}
}

// A prompt that somebody waits for is read before those in the background, as if they were not there.
func TestBackgroundReadsLast(t *testing.T) {
	var took [2]time.Duration
	for i, others := range []int{0, 6} {
		f, s := manual(t, 8, 8, 64, Options{})
		f.took = func(tokens int) time.Duration { return time.Millisecond + time.Duration(tokens)*time.Millisecond }
		for range others {
			submit(t, s, Request{Standing: Standing{Background: true}, Prompt: make([]int, 1<<14)})
		}
		for range min(others, 4) {
			s.cycle()
		}
		begin := f.clock
		first := submit(t, s, Request{Prompt: make([]int, 1024)})
		for !first.ended() {
			s.cycle()
		}
		took[i] = f.clock.Sub(begin)
	}
	if took[1] > took[0]*11/10 {
		t.Errorf("a prompt took %v alone and %v beside six in the background", took[0], took[1])
	}
}
