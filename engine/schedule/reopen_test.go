package schedule

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
)

// lossy is a scheduler of a fake engine with requests for so many tokens each, more than there are slots. All ask for
// their last states, and one for a state in the midst of its prompt.
func lossy(t *testing.T, most int) (f *fake, s *Scheduler, all []*asked) {
	t.Helper()
	f, s = manual(t, 3, 2, 4, Options{Quantum: 4})
	for i := range 6 {
		a := &asked{r: Request{Prompt: []int{i, 2, 3, 4, 5, 6}, Max: most, Sampler: anySampler}}
		a.keep(2)
		if i == 1 {
			a.r.Marks = []int{4}
		}
		a.r.Token = func(t Token) bool {
			a.drawn = append(a.drawn, t.ID)
			return true
		}
		var err error
		if a.job, err = s.Submit(t.Context(), a.r); err != nil {
			t.Fatal(err)
		}
		all = append(all, a)
	}
	return f, s, all
}

// Whichever call loses the device, and however often it is lost again while it is opened anew, as long as it may be a
// chance, all requests come to their end as if nothing had been.
func TestLostWhileReopening(t *testing.T) {
	for losses := range mostLosses {
		for at := 1; ; at++ {
			f, s, all := lossy(t, 12)
			left, calls := losses, 0
			f.reopen = func() error {
				if left--; left >= 0 {
					return engine.ErrDeviceLost
				}
				return nil
			}
			f.lose = func() bool { calls++; return calls == at }
			for i := 0; i < 300 && s.Stats().Done < len(all); i++ {
				s.cycle()
			}
			for i, a := range all {
				if !a.job.ends(s) {
					t.Fatalf("call %d loses the device, and %d tries to open it: request %d does not end", at, losses, i)
				}
				if err := a.wrong(false); err != nil {
					t.Fatalf("call %d loses the device, and %d tries to open it: request %d: %v", at, losses, i, err)
				}
			}
			if err := f.end(); err != nil {
				t.Fatal(err)
			}
			if calls < at {
				if at < 20 {
					t.Fatalf("only %d calls", calls)
				}
				break
			}
			if st := s.Stats(); st.Reopened != 1 || left >= 0 {
				t.Fatalf("call %d loses the device, and %d tries to open it: %+v", at, losses, st)
			}
		}
	}
}

// Where the device cannot be opened anew, whichever call lost it, all requests end, those to come are refused by the
// same error, and no slot stays taken.
func TestReopenFails(t *testing.T) {
	for at := 1; ; at++ {
		f, s, all := lossy(t, 12)
		calls, tries := 0, 0
		f.lose = func() bool { calls++; return calls == at }
		f.reopen = func() error {
			tries++
			return engine.ErrOutOfMemory
		}
		for i := 0; i < 300 && s.Stats().Done < len(all); i++ {
			s.cycle()
		}
		if tries == 0 {
			if at < 20 {
				t.Fatalf("only %d calls", calls)
			}
			return
		}
		for i, a := range all {
			if !a.job.ends(s) {
				t.Fatalf("call %d loses the device: request %d does not end", at, i)
			}
			ids, _ := expected(&a.r, a.limit)
			if err := a.job.Err(); err != nil && !errors.Is(err, engine.ErrOutOfMemory) || err == nil && !slices.Equal(a.drawn, ids) {
				t.Errorf("call %d loses the device: request %d: drew %v, want %v (%v)", at, i, a.drawn, ids, err)
			}
		}
		if _, err := s.Submit(t.Context(), all[0].r); !errors.Is(err, engine.ErrOutOfMemory) {
			t.Errorf("call %d loses the device: a request after that: %v", at, err)
		}
		if err := f.end(); err != nil || tries > 1 {
			t.Errorf("call %d loses the device: %v, %d tries to open it", at, err, tries)
		}
	}
}

// A state for which there is no memory on its way to the host stays where it is: nobody ends by it, and who waits for
// the slot waits.
func TestNoMemoryToPark(t *testing.T) {
	f, s, all := lossy(t, 60)
	f.full = engine.ErrOutOfMemory
	for range 5 {
		s.cycle()
	}
	if st := s.Stats(); st.Done > 0 || st.Parkings > 0 || len(s.resident) != 3 {
		t.Fatalf("%+v, %d in slots", st, len(s.resident))
	}
	f.full = nil
	for i := 0; i < 300 && s.Stats().Done < len(all); i++ {
		s.cycle()
	}
	for i, a := range all {
		if !a.job.ends(s) {
			t.Fatalf("request %d does not end", i)
		}
		if err := a.wrong(false); err != nil {
			t.Errorf("request %d: %v", i, err)
		}
	}
	if st := s.Stats(); st.Parkings == 0 {
		t.Errorf("%+v", st)
	}
}

// While the device is opened anew requests come and are canceled, their contexts end, and the scheduler is closed:
// nobody waits for ever, each ends by what ended it, and no slot stays taken.
func TestMeanwhileReopening(t *testing.T) {
	for _, closed := range []bool{false, true} {
		for at := 1; at < 60; at += 2 {
			f, s := manual(t, 2, 2, 8, Options{Quantum: 6})
			ctx, cancel := context.WithCancel(t.Context())
			ask := func(ctx context.Context) *Job {
				r := Request{Prompt: []int{1, 2, 3}, Max: 90, Sampler: anySampler, Token: func(Token) bool { return true }}
				j, err := s.Submit(ctx, r)
				if err != nil {
					t.Error(err)
				}
				return j
			}
			canceled, ended, stays := ask(t.Context()), ask(ctx), ask(t.Context())
			var late *Job
			calls := 0
			f.lose = func() bool { calls++; return calls == at }
			closing := make(chan struct{})
			f.reopen = func() error {
				canceled.Cancel()
				cancel()
				late = ask(t.Context())
				if !closed {
					return nil
				}
				go func() {
					defer close(closing)
					s.Close(ctx)
				}()
				for aborting := false; !aborting; runtime.Gosched() {
					s.door.mu.Lock()
					aborting = s.door.aborting
					s.door.mu.Unlock()
				}
				return nil
			}
			go s.loop()
			var err error
			for j, want := range map[*Job]error{canceled: ErrCanceled, ended: context.Canceled, stays: nil} {
				if got := j.Err(); !closed && !errors.Is(got, want) || closed && got == nil {
					err = errors.Join(err, fmt.Errorf("want %s, got %w", fmt.Sprint(want), got))
				}
			}
			if got := late.Err(); !closed && got != nil || closed && !errors.Is(got, ErrClosed) {
				err = errors.Join(err, fmt.Errorf("the late one: %w", got))
			}
			if closed {
				<-closing
			}
			s.Close(t.Context())
			if err := errors.Join(err, f.end()); err != nil {
				t.Errorf("call %d loses the device, closed meanwhile: %t: %v", at, closed, err)
			}
		}
	}
}
