package schedule

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
)

var anySampler = func() *sample.Sampler {
	s, err := sample.New(sample.Params{}, sample.NewVocabulary(fakeVocab, nil))
	if err != nil {
		panic(err)
	}
	return s
}()

// expected is what a request of the fake model is to draw, and the states within its prompt, at its marks and at its end.
func expected(r *Request) (ids []int, told, marks [][]float32, final []float32) {
	state := uint32(1)
	if r.State != nil {
		state = fakeNumber(r.State)
	}
	for i, t := range r.Prompt {
		state = fakeFeed(state, t)
		if r.Prompted != nil && i < len(r.Prompt)-1 {
			told = append(told, fakeState(state))
		}
		if slices.ContainsFunc(r.Marks, func(m Mark) bool { return m.At == i+1 }) {
			marks = append(marks, fakeState(state))
		}
	}
	for len(ids) < r.Max {
		ids = append(ids, fakeDraw(state))
		if last := ids[len(ids)-1]; slices.Contains(r.Ends, last) || len(ids) == r.Max {
			break
		}
		state = fakeFeed(state, ids[len(ids)-1])
	}
	return ids, told, marks, fakeState(state)
}

// asked is a request under test with what came of it.
type asked struct {
	r     Request
	job   *Job
	mu    sync.Mutex
	drawn []int
	told  [][]float32 // of the prompt's logits, which are the state with the fake model
}

func ask(rng *rand.Rand, users int) *asked {
	a := &asked{r: Request{User: fmt.Sprint(rng.IntN(users)), Max: rng.IntN(20), Sampler: anySampler, Final: make([]float32, 2)}}
	for range 1 + rng.IntN(1+rng.IntN(60)) {
		a.r.Prompt = append(a.r.Prompt, rng.IntN(fakeVocab))
	}
	if rng.IntN(4) == 0 {
		a.r.State = fakeState(rng.Uint32())
	}
	for at := 1 + rng.IntN(30); at <= len(a.r.Prompt); at += 1 + rng.IntN(20) {
		a.r.Marks = append(a.r.Marks, Mark{at, make([]float32, 2)})
	}
	if rng.IntN(3) == 0 {
		a.r.Ends = []int{rng.IntN(fakeVocab), rng.IntN(fakeVocab)}
	}
	if rng.IntN(3) == 0 {
		a.r.Prompted = func(at int, logits []float32) error {
			a.mu.Lock()
			defer a.mu.Unlock()
			if at != len(a.told) {
				return fmt.Errorf("told of token %d of the prompt after %d", at, len(a.told))
			}
			a.told = append(a.told, logits)
			return nil
		}
	}
	a.r.Token = func(t Token) bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.drawn = append(a.drawn, t.ID)
		return true
	}
	return a
}

// wrong says what is wrong with a job that is done, which was canceled or not.
func (a *asked) wrong(canceled bool) error {
	err := a.job.Err()
	ids, told, marks, final := expected(&a.r)
	a.mu.Lock()
	defer a.mu.Unlock()
	n := a.job.Marked()
	for i := range n {
		if !slices.Equal(a.r.Marks[i].State, marks[i]) {
			return fmt.Errorf("mark %d: %v, want %v", i, a.r.Marks[i].State, marks[i])
		}
	}
	if len(a.told) > len(told) || err == nil && len(a.told) < len(told) {
		return fmt.Errorf("told of %d tokens of the prompt, want %d", len(a.told), len(told))
	}
	for i, state := range a.told {
		if !slices.Equal(state, told[i]) {
			return fmt.Errorf("token %d of the prompt: logits %v, want %v", i, state, told[i])
		}
	}
	switch {
	case err == nil && (!slices.Equal(a.drawn, ids) || n != len(marks) || !slices.Equal(a.r.Final, final)):
		return fmt.Errorf("drew %v, want %v; %d marks of %d; final %v, want %v", a.drawn, ids, n, len(marks), a.r.Final, final)
	case err != nil && !canceled:
		return err
	case err != nil && (!errors.Is(err, ErrCanceled) && !errors.Is(err, context.Canceled) || len(a.drawn) > len(ids) || !slices.Equal(a.drawn, ids[:len(a.drawn)])):
		return fmt.Errorf("canceled: %w after %v, want some of %v", err, a.drawn, ids)
	}
	return nil
}

// operations is how many random operations TestRandomOperations does.
func operations() int {
	if n, err := strconv.Atoi(os.Getenv("RWKV_OPERATIONS")); err == nil {
		return n
	}
	if testing.Short() {
		return 20_000
	}
	return 100_000
}

// Whatever many users do at once (submit, cancel by either way, wait, look), with fewer slots than requests, a device that is
// lost now and then, and states that are parked, every request ends once, with exactly the tokens and states that it has
// alone; no sequence is in two places, none is left, and the queue keeps its bound.
func TestRandomOperations(t *testing.T) {
	f := newFake(5, 3, 24, 1)
	f.loss = 0.002
	again := 0
	f.reopen = func() error { // the device is lost again at times while it is opened anew, and once more
		if again = (again + 1) % 7; again == 3 || again == 4 {
			return fmt.Errorf("fake: loading: %w", engine.ErrDeviceLost)
		}
		return nil
	}
	s := prepare(f, f.slots, f.seqs, f.chunk, Options{Queue: 12, Parked: 4, Quantum: 9})
	go s.loop()
	const users = 4
	var wg sync.WaitGroup
	var mu sync.Mutex
	counts := map[string]int{}
	for user := range users {
		wg.Add(1)
		go func() {
			defer wg.Done()
			rng := rand.New(rand.NewPCG(uint64(user), 3))
			var open []*asked
			var stopped []func()
			mine := map[string]int{}
			end := func(i int, canceled bool) {
				<-open[i].job.Done()
				if err := open[i].wrong(canceled); err != nil {
					t.Errorf("user %d: %+v: %v", user, open[i].r, err)
				}
				stopped[i]()
				open, stopped = slices.Delete(open, i, i+1), slices.Delete(stopped, i, i+1)
			}
			for range operations() / users {
				switch what := rng.IntN(10); {
				case what < 5 && len(open) < 8:
					ctx, cancel := context.WithCancel(context.Background())
					a := ask(rng, 3)
					job, err := s.Submit(ctx, a.r)
					if err != nil {
						cancel()
						if mine["full"]++; !errors.Is(err, ErrQueueFull) {
							t.Error(err)
						}
						continue
					}
					a.job = job
					open, stopped = append(open, a), append(stopped, cancel)
					mine["submitted"]++
				case what < 6 && len(open) > 0:
					i := rng.IntN(len(open))
					if rng.IntN(2) == 0 {
						open[i].job.Cancel()
					} else {
						stopped[i]()
					}
					end(i, true)
					mine["canceled"]++
				case what < 9 && len(open) > 0:
					end(rng.IntN(len(open)), false)
					mine["ended"]++
				default:
					if st := s.Stats(); st.Waiting > 12 || st.Resident > f.slots || st.Parked > 5 || st.Waiting < 0 || st.Parked < 0 {
						t.Errorf("%+v", st)
					}
				}
			}
			for len(open) > 0 {
				end(0, false)
			}
			mu.Lock()
			defer mu.Unlock()
			for what, n := range mine {
				counts[what] += n
			}
		}()
	}
	wg.Wait()
	s.Close(context.Background())
	st := s.Stats()
	if err := f.end(); err != nil || st.Done != counts["submitted"] || st.Resident+st.Parked+st.Waiting > 0 {
		t.Errorf("%v; %+v, %v", err, st, counts)
	}
	for what, n := range map[string]int{"full": counts["full"], "canceled": counts["canceled"], "ended": counts["ended"],
		"parkings": st.Parkings, "device lost": st.Reopened} {
		if n < 10 {
			t.Errorf("%s: only %d times, the test says little", what, n)
		}
	}
}
