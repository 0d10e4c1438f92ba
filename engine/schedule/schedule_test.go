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
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample/sampletest"
)

var anySampler = func() *sample.Sampler {
	s, err := sample.New(sample.Params{}, sample.NewVocabulary(fakeVocab, nil))
	if err != nil {
		panic(err)
	}
	return s
}()

// expected is what a request of the fake model is to draw, under a constraint if there is one, and the states after
// each number of tokens, from one on.
func expected(r *Request, limit *sampletest.Phases) (ids []int, states [][]float32) {
	if limit != nil {
		limit = limit.Clone().(*sampletest.Phases)
	}
	state := uint32(1)
	if r.State != nil {
		state = fakeNumber(r.State)
	}
	for _, t := range r.Prompt {
		state = fakeFeed(state, t)
		states = append(states, fakeState(state))
	}
	for len(ids) < r.Max {
		id, done := fakeDraw(state), false
		if limit != nil {
			for !limit.Allows(id) {
				id = (id + 1) % fakeVocab
			}
			var err error
			if done, err = limit.Accept(id); err != nil {
				panic(err)
			}
		}
		ids = append(ids, id)
		if done || slices.Contains(r.Ends, id) || len(ids) == r.Max {
			break
		}
		state = fakeFeed(state, ids[len(ids)-1])
		states = append(states, fakeState(state))
	}
	return ids, states
}

// asked is a request under test with what came of it.
type asked struct {
	r     Request
	job   *Job
	call  *call
	mu    sync.Mutex
	limit *sampletest.Phases // an own one, in the state before the first token; nil for none
	drawn []int
	told  [][]float32       // of the prompt's logits, which are the state with the fake model
	kept  map[int][]float32 // states, by the number of tokens
	some  bool              // reports whether not all states are kept
	lost  int               // states that were lost with the device
	begun int               // tokens that its beginning has seen
	using int               // beginnings in use
	forks bool              // reports whether others have the prompt, so that it may begin with what they read
}

func ask(rng *rand.Rand, users int) *asked {
	r := Request{User: fmt.Sprint(rng.IntN(users))}
	for range 1 + rng.IntN(1+rng.IntN(60)) {
		r.Prompt = append(r.Prompt, rng.IntN(fakeVocab))
	}
	if rng.IntN(4) == 0 {
		r.State = fakeState(rng.Uint32())
	}
	begun := 0
	if rng.IntN(3) == 0 {
		begun = rng.IntN(len(r.Prompt))
	}
	return askFor(rng, r, begun)
}

// askTogether is several requests with one prompt and one beginning.
func askTogether(rng *rand.Rand, users, n int) []*asked {
	all := []*asked{ask(rng, users)}
	for all[0].forks = n > 1; len(all) < n; {
		r := all[0].r
		a := askFor(rng, Request{User: r.User, State: r.State, Prompt: r.Prompt}, all[0].begun)
		a.forks = true
		all = append(all, a)
	}
	return all
}

// call is what requests that were submitted together have in common.
type call struct {
	stop    context.CancelFunc
	stopped bool // before their ends
	open    int  // requests that have not ended
}

// submitTogether submits requests with one prompt.
func submitTogether(s *Scheduler, all []*asked) ([]*asked, error) {
	ctx, cancel := context.WithCancel(context.Background())
	c := &call{stop: cancel, open: len(all)}
	behind := all[0].r.Prompt[0]%3 == 0
	var list []Request
	for _, a := range all {
		a.r.Background = behind
		list = append(list, a.r)
	}
	jobs, err := s.SubmitAll(ctx, list)
	if err != nil {
		cancel()
		return nil, err
	}
	for i, a := range all {
		a.call, a.job = c, jobs[i]
	}
	return all, nil
}

// askFor is a request whose user, prompt and beginning are there. Where begun is not 0, it begins with the state after so
// many tokens.
func askFor(rng *rand.Rand, r Request, begun int) *asked {
	a := &asked{r: r}
	a.r.Max, a.r.Sampler = rng.IntN(20), anySampler
	for at := 1 + rng.IntN(30); at <= len(a.r.Prompt); at += 1 + rng.IntN(20) {
		a.r.Marks = append(a.r.Marks, at)
	}
	a.keep(2)
	a.some = rng.IntN(2) == 0
	a.r.Every = rng.IntN(4) * rng.IntN(3)
	if begun > 0 {
		a.begins(begun)
	}
	if rng.IntN(3) == 0 {
		a.r.Ends = []int{rng.IntN(fakeVocab), rng.IntN(fakeVocab)}
	}
	if rng.IntN(3) == 0 {
		a.r.Sampler = anySampler.Clone()
		a.limit = sampletest.New(fakeVocab, 1+rng.IntN(25), rng.Uint64())
		a.r.Sampler.SetConstraint(a.limit.Clone())
	}
	if rng.IntN(3) == 0 {
		a.r.Prompted = func(at int, logits []float32) error {
			a.mu.Lock()
			defer a.mu.Unlock()
			if at != a.begun+len(a.told) {
				return fmt.Errorf("told of token %d of the prompt after %d", at, a.begun+len(a.told))
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

// skips reports whether a state is not to be kept.
func (a *asked) skips(tokens int) bool { return a.some && tokens%7 == 6 }

// keep has the request keep its states, of so many elements each.
func (a *asked) keep(width int) {
	a.kept = map[int][]float32{}
	a.r.Keep = func(tokens int) ([]float32, func(error)) {
		if a.skips(tokens) {
			return nil, nil
		}
		to := make([]float32, width)
		return to, func(err error) {
			a.mu.Lock()
			defer a.mu.Unlock()
			if err != nil {
				a.lost++
				return
			}
			a.kept[tokens] = to
		}
	}
}

// begins has the request begin with the state that the first tokens of its prompt lead to.
func (a *asked) begins(tokens int) {
	a.begun = tokens
	state := a.r.State
	if _, states := expected(&a.r, nil); tokens > 0 {
		state = states[tokens-1]
	}
	a.r.Begin = func() Beginning {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.using++
		return Beginning{state, tokens, func() {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.using--
		}}
	}
}

// states says what is wrong with the states that were kept, of those that there are. The caller has the lock.
func (a *asked) states(states [][]float32) error {
	u := a.job.Usage()
	wanted := map[int]bool{}
	// A request that is canceled while forced tokens are fed has seen fewer than were told.
	shorter := a.limit != nil && a.job.err != nil
	if !shorter {
		wanted[u.Cached+u.Fed+max(u.Drawn-1, 0)] = true
	}
	for _, at := range a.r.Marks {
		if at > u.Cached && at <= u.Cached+u.Fed {
			wanted[at] = true
		}
	}
	missing := 0
	for at := range wanted {
		if a.kept[at] == nil && !a.skips(at) && at > 0 {
			missing++
		}
	}
	for at, state := range a.kept {
		between := a.r.Every > 0 && at >= len(a.r.Prompt)+a.r.Every
		if !wanted[at] && !between && !(shorter && at >= u.Cached+u.Fed && at < u.Cached+u.Fed+max(u.Drawn, 1)) || !slices.Equal(state, states[at-1]) {
			return fmt.Errorf("state %d: %v, want %v", at, state, states[at-1])
		}
	}
	switch end := len(states); {
	case a.using > 0 || u.Cached != a.begun && u.Fed > 0 && !(a.forks && u.Cached == len(a.r.Prompt)-1) || u.Drawn != len(a.drawn):
		return fmt.Errorf("%+v, begun with %d, drew %d; %d beginnings are in use", u, a.begun, len(a.drawn), a.using)
	case a.job.err == nil && (missing > a.lost || a.kept[end] == nil && !a.skips(end) || u.Cached+u.Fed != len(a.r.Prompt)):
		return fmt.Errorf("%d of %d states are missing, %d of them lost; %+v", missing, len(wanted), a.lost, u)
	}
	return nil
}

// wrong says what is wrong with a job that is done, which was canceled or not.
func (a *asked) wrong(canceled bool) error {
	err := a.job.Err()
	ids, states := expected(&a.r, a.limit)
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.states(states); err != nil {
		return err
	}
	var told [][]float32
	if a.r.Prompted != nil {
		told = states[max(a.begun, a.job.Usage().Cached) : len(a.r.Prompt)-1]
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
	case err == nil && !slices.Equal(a.drawn, ids):
		return fmt.Errorf("drew %v, want %v", a.drawn, ids)
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

// Whatever many users do at once (submit, cancel by either way, wait, look), with fewer slots than requests, a device
// that is lost now and then, and states that are parked, every request ends once, with exactly the tokens and states
// that it has alone; no sequence is in two places, none is left, and the queue keeps its bound.
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
			mine := map[string]int{}
			end := func(i int, canceled bool) {
				a := open[i]
				<-a.job.Done()
				if err := a.wrong(canceled || a.call.stopped); err != nil {
					t.Errorf("user %d: %+v: %v", user, a.r, err)
				}
				if a.call.open--; a.call.open == 0 {
					a.call.stop()
				}
				open = slices.Delete(open, i, i+1)
			}
			for range operations() / users {
				switch what := rng.IntN(10); {
				case what < 5 && len(open) < 8:
					all, err := submitTogether(s, askTogether(rng, 3, 1+rng.IntN(4)/2*rng.IntN(4)))
					if err != nil {
						if mine["full"]++; !errors.Is(err, ErrQueueFull) {
							t.Error(err)
						}
						continue
					}
					open = append(open, all...)
					mine["submitted"] += len(all)
				case what < 6 && len(open) > 0:
					i := rng.IntN(len(open))
					if rng.IntN(2) == 0 {
						open[i].job.Cancel()
					} else {
						open[i].call.stopped = true
						open[i].call.stop()
					}
					end(i, true)
					mine["canceled"]++
				case what < 9 && len(open) > 0:
					end(rng.IntN(len(open)), false)
					mine["ended"]++
				default:
					if st := s.Stats(); st.Waiting > 2*12 || st.Resident > f.slots || st.Parked > 4+1+f.slots || st.Waiting < 0 || st.Parked < 0 {
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
	if err := f.end(); err != nil || st.Done != counts["submitted"] || st.Resident+st.Parked+st.Waiting+s.lot.forked > 0 {
		t.Errorf("%v; %+v, %v, %d states of prompts are left", err, st, counts, s.lot.forked)
	}
	for what, n := range map[string]int{"full": counts["full"], "canceled": counts["canceled"], "ended": counts["ended"],
		"parkings": st.Parkings, "device lost": st.Reopened, "forks": f.forks} {
		if n < 10 {
			t.Errorf("%s: only %d times, the test says little", what, n)
		}
	}
}
