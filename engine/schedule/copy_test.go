package schedule

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// States that are on their way to the host hold nobody up: the request itself goes on, and so do others, except in the
// slot of one that has ended, until its last state is there.
func TestCopiesHoldNobodyUp(t *testing.T) {
	f, s := manual(t, 2, 2, 64, Options{})
	f.held = make(chan struct{})
	var kept []int
	slow := Request{Prompt: []int{1, 2, 3, 4}, Marks: []int{2, 4}, Max: 5}
	slow.Keep = func(tokens int) ([]float32, func(error)) {
		kept = append(kept, tokens)
		return make([]float32, 2), nil
	}
	job := submit(t, s, slow)
	other := submit(t, s, Request{Prompt: []int{5}, Max: 50})
	late := submit(t, s, Request{Prompt: []int{6}, Max: 50})
	for range 100 {
		s.cycle()
		if other.ended() && late.ended() {
			break
		}
	}
	if !other.ended() || !late.ended() || job.ended() || !slices.Equal(kept, []int{2, 4, 8}) || s.copies.last != 1 || len(f.states) != 1 {
		t.Errorf("others ended %t and %t, the request %t; states after %v tokens; %d copies, %d slots", other.ended(), late.ended(), job.ended(), kept,
			s.copies.last, len(f.states))
	}
	close(f.held)
	go s.loop()
	s.Close(t.Context())
	if u := job.Usage(); job.Err() != nil || u != (Usage{Fed: 4, Drawn: 5}) || len(f.states) != 0 {
		t.Errorf("%v, %+v, %d slots", job.Err(), u, len(f.states))
	}
}

// A request that is canceled keeps the state after what it was fed, in a slot, parked or within its prompt.
func TestCanceledKeepsItsState(t *testing.T) {
	for what, cycles := range map[string]int{"in its prompt": 3, "drawing": 12, "parked": 60} {
		_, s := manual(t, 1, 1, 8, Options{Quantum: 40})
		var kept []float32
		seen := 0
		r := Request{Prompt: make([]int, 40), Max: 1000}
		r.Keep = func(tokens int) ([]float32, func(error)) {
			seen, kept = tokens, make([]float32, 2)
			return kept, nil
		}
		job := submit(t, s, r)
		var other *Job
		if what == "parked" {
			other = submit(t, s, Request{Prompt: []int{1}, Max: 1000})
		}
		for i := 0; i < cycles && (what != "parked" || job.state == nil); i++ {
			s.cycle()
		}
		if parked := job.state != nil; parked != (what == "parked") {
			t.Errorf("%s: parked %t", what, parked)
		}
		job.Cancel()
		go s.loop()
		<-job.Done()
		if other != nil {
			other.Cancel()
		}
		s.Close(t.Context())
		_, states := expected(&job.Request, nil)
		u := job.Usage()
		if seen != u.Fed+max(u.Drawn-1, 0) || seen == 0 || !slices.Equal(kept, states[seen-1]) || job.Err() != ErrCanceled { //nolint:errorlint // exactly that one
			t.Errorf("%s: %v, a state after %d tokens: %v; %+v", what, job.Err(), seen, kept, u)
		}
	}
}

// What a job does when it is told of a state may take its time, also where the job is parked or the memory for the state
// has another size: the scheduler goes on meanwhile, and the job is done afterwards.
func TestSlowKeeper(t *testing.T) {
	for what, size := range map[string]int{"parked": 2, "parked, wrong memory": 3, "in its slot": 2, "in its slot, wrong memory": 3} {
		parked := strings.HasPrefix(what, "parked")
		_, s := manual(t, 1, 1, 8, Options{Quantum: 10})
		told, release := make(chan error, 1), make(chan struct{})
		r := Request{Prompt: make([]int, 8), Max: 1000, Keep: func(int) ([]float32, func(error)) {
			return make([]float32, size), func(err error) {
				told <- err
				select {
				case <-release:
				case <-time.After(time.Minute): // where it holds the scheduler up
				}
			}
		}}
		job := submit(t, s, r)
		other := submit(t, s, Request{Prompt: []int{1}, Max: 200})
		for parked && job.state == nil || !parked && job.at.fed == 0 {
			s.cycle()
		}
		job.Cancel()
		for !other.ended() {
			s.cycle()
		}
		if err := <-told; (err == nil) != (size == 2) || job.ended() {
			t.Errorf("%s: told %v, the job ended %t", what, err, job.ended())
		}
		close(release)
		go s.loop()
		<-job.Done()
		s.Close(t.Context())
	}
}

// A state is asked for once, though a mark lies at the end of the request.
func TestMarkAtTheEnd(t *testing.T) {
	for most := range 3 {
		_, s := manual(t, 1, 1, 8, Options{})
		var kept []int
		job := submit(t, s, Request{Prompt: []int{1, 2, 3, 4}, Marks: []int{2, 4}, Max: most, Keep: func(tokens int) ([]float32, func(error)) {
			kept = append(kept, tokens)
			return make([]float32, 2), nil
		}})
		go s.loop()
		<-job.Done()
		s.Close(t.Context())
		if want := []int{2, 4, 5}[:2+most/2]; job.Err() != nil || !slices.Equal(kept, want) {
			t.Errorf("%d drawn: states after %v tokens, want %v (%v)", most, kept, want, job.Err())
		}
	}
}

// Close returns when all states that were asked for are where they go, also those from within prompts.
func TestCloseWaitsForCopies(t *testing.T) {
	f, s := manual(t, 1, 1, 8, Options{})
	f.held = make(chan struct{})
	r := Request{Prompt: []int{1, 2, 3, 4}, Marks: []int{2}}
	r.Keep = func(tokens int) ([]float32, func(error)) {
		if tokens == 4 {
			return nil, nil
		}
		return make([]float32, 2), nil
	}
	job := submit(t, s, r)
	go s.loop()
	go func() {
		time.Sleep(20 * time.Millisecond)
		close(f.held)
	}()
	if s.Close(t.Context()); !job.ended() {
		t.Error("the scheduler is closed before a state is copied")
	}
}

// A state that is kept at the end of a prompt is there although the request ends at once and keeps no other: the sequence
// is copied before it is given back.
func TestCopyAtTheEnd(t *testing.T) {
	for most := range 2 {
		f, s := manual(t, 2, 2, 8, Options{})
		other := submit(t, s, Request{Prompt: []int{9, 8, 7, 6, 5}, Max: 3})
		state, asked := make([]float32, 2), 0
		var failed error
		j := submit(t, s, Request{Prompt: []int{1, 2, 3, 4}, Marks: []int{4}, Max: most, Keep: func(int) ([]float32, func(error)) {
			if asked++; asked > 1 {
				return nil, nil
			}
			return state, func(err error) { failed = err }
		}})
		go s.loop()
		<-other.Done()
		s.Close(t.Context())
		want := uint32(1)
		for _, token := range []int{1, 2, 3, 4} {
			want = fakeFeed(want, token)
		}
		if err := j.Err(); err != nil || failed != nil || !slices.Equal(state, fakeState(want)) {
			t.Errorf("%d drawn: %v, %v; state %v, want %v", most, err, failed, state, fakeState(want))
		}
		if err := f.end(); err != nil {
			t.Error(err)
		}
	}
}

// A request that is canceled right behind a state that it kept is not asked for that state again: at a mark within its
// prompt, at the mark at the end of its prompt, and within its answer.
func TestKeepOnceWhenCanceled(t *testing.T) {
	for _, at := range []int{2, 4, 6, 8} {
		f, s := manual(t, 1, 1, 8, Options{})
		var asked []int
		var job *Job
		r := Request{Prompt: []int{1, 2, 3, 4}, Marks: []int{2, 4}, Every: 2, Max: 1000, Sampler: anySampler}
		r.Token = func(Token) bool { return true }
		r.Keep = func(tokens int) ([]float32, func(error)) {
			if asked = append(asked, tokens); tokens >= at {
				job.Cancel()
			}
			return make([]float32, 2), nil
		}
		job = submit(t, s, r)
		go s.loop()
		if err := job.Err(); !errors.Is(err, ErrCanceled) {
			t.Errorf("canceled at %d: %v", at, err)
		}
		s.Close(t.Context())
		if distinct := slices.Compact(slices.Clone(asked)); !slices.Equal(asked, distinct) || !slices.IsSorted(asked) || asked[len(asked)-1] < at {
			t.Errorf("canceled at %d: asked for the states after %v tokens", at, asked)
		}
		if err := f.end(); err != nil {
			t.Error(err)
		}
	}
}
