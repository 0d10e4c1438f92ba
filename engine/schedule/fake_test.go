package schedule

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
)

// The fake engine's model: a state is a number, of which every token makes another, and which says what is drawn. So a
// token that is lost, fed twice or fed to another sequence changes all that follows.
const fakeVocab = 97

func fakeFeed(state uint32, token int) uint32 {
	state = (state ^ uint32(token+1)) * 2654435761
	return state ^ state>>15
}

func fakeDraw(state uint32) int { return int(state>>7) % fakeVocab }

// fakeSample draws by a sampler, of which the greedy ones without a constraint draw what fakeDraw does, and has it
// accept that. Under a constraint they draw the next id that is allowed, behind the last the first.
func fakeSample(state uint32, s *sample.Sampler) (int, error) {
	if s == anySampler { // which many share
		return fakeDraw(state), nil
	}
	logits := make([]float32, fakeVocab)
	for i := range logits {
		logits[(fakeDraw(state)+i)%fakeVocab] = float32(-i)
	}
	id, err := s.Sample(logits)
	if err == nil {
		err = s.Accept(id)
	}
	return id, err
}

// A state on the host is its two halves, each a whole number.
func fakeState(state uint32) []float32 {
	return []float32{float32(state >> 16), float32(state & 0xFFFF)}
}

func fakeNumber(state []float32) uint32 { return uint32(state[0])<<16 | uint32(state[1]) }

// fake is an engine of the fake model, which checks what it is asked for and, by chance, loses its device.
type fake struct {
	slots, seqs, chunk int
	loss               float64                        // chance of each call to lose the device
	took               func(tokens int) time.Duration // of a pass or a step of a burst, on clock
	moved              time.Duration                  // that a state takes to or from the host, on clock
	clock              time.Time

	mu     sync.Mutex
	rng    *rand.Rand
	states map[*engine.Seq]uint32
	lost   bool
	wrong  error        // the first mistake of the caller
	fail   error        // of the next bursts, after their tokens
	full   error        // of saving states
	lose   func() bool  // reports whether the next call loses the device; nil for never
	reopen func() error // what opening the device anew fails by; nil for nothing
	broken error        // what it failed by last, and every call since
	passes int
	held   chan struct{} // by which copies of states are held up
	// thieves are somebody else's sequences, each of which takes the next slot that is released.
	thieves []*engine.Seq
	past    int // steps of bursts past the end of a sequence
	forks   int // that succeeded
	// stateless reports whether sequences have lost their states, as far as forks of them go.
	stateless bool
}

func newFake(slots, seqs, chunk int, seed uint64) *fake {
	return &fake{slots: slots, seqs: seqs, chunk: chunk, rng: rand.New(rand.NewPCG(seed, 9)), states: map[*engine.Seq]uint32{}}
}

// begin checks what every call needs, and whether the device is lost.
func (f *fake) begin() error {
	if f.broken != nil {
		return f.broken
	}
	if f.lost || f.rng.Float64() < f.loss || f.lose != nil && f.lose() {
		f.lost = true
		return fmt.Errorf("fake: %w", engine.ErrDeviceLost)
	}
	return nil
}

func (f *fake) blame(format string, args ...any) {
	if f.wrong == nil {
		f.wrong = fmt.Errorf(format, args...)
	}
}

func (f *fake) check(s *engine.Seq, seen map[*engine.Seq]bool) {
	if _, ok := f.states[s]; !ok {
		f.blame("a sequence that is not in use")
	}
	if seen[s] {
		f.blame("a sequence twice in a pass")
	}
	seen[s] = true
}

func (f *fake) Pass(_ context.Context, rows []engine.Row) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin(); err != nil {
		return err
	}
	f.passes++
	left, seen := f.chunk, map[*engine.Seq]bool{}
	if len(rows) > f.seqs {
		f.blame("%d sequences in a pass", len(rows))
	}
	for i := range rows {
		r := &rows[i]
		f.check(r.Seq, seen)
		n := min(len(r.Tokens), left)
		left -= n
		r.Taken, r.ID, r.Err = n, -1, nil
		for pos, t := range r.Tokens[:n] {
			f.states[r.Seq] = fakeFeed(f.states[r.Seq], t)
			if r.Want == engine.WantLogits && r.Err == nil && pos >= len(r.Tokens)-r.Last {
				r.Err = r.Each(pos, fakeState(f.states[r.Seq]))
			}
		}
		if n == len(r.Tokens) && r.Want == engine.WantDraw {
			r.ID, r.Err = fakeSample(f.states[r.Seq], r.Sampler)
		}
	}
	if f.took != nil {
		f.clock = f.clock.Add(f.took(f.chunk - left))
	}
	return nil
}

func (f *fake) Burst(_ context.Context, c []engine.Continuation, most int, each func(i, id int) bool) (int, error) {
	f.mu.Lock()
	if err := f.begin(); err != nil {
		f.mu.Unlock()
		return 0, err
	}
	f.passes++
	seen := map[*engine.Seq]bool{}
	if len(c) > f.seqs || len(c) == 0 {
		f.blame("%d sequences in a burst", len(c))
	}
	for i := range c {
		f.check(c[i].Seq, seen)
	}
	steps := 1 + f.rng.IntN(most)
	if f.took != nil {
		step := f.took(len(c))
		steps = min(steps, max(int(45*time.Millisecond/step), 1)) // as an engine does
		f.clock = f.clock.Add(time.Duration(steps) * step)
	}
	after := f.rng.Float64() < f.loss
	f.mu.Unlock()
	for step := range steps {
		for i := range c {
			x := &c[i]
			if x.Over {
				f.past++
				continue
			}
			if step > 0 && (x.Sampler.Prepare() != nil || x.Sampler.Limited()) {
				continue // only the first step counts
			}
			f.mu.Lock()
			f.states[x.Seq] = fakeFeed(f.states[x.Seq], x.Token)
			x.Token, x.Err = fakeSample(f.states[x.Seq], x.Sampler)
			f.mu.Unlock()
			x.Over = x.Err != nil || !each(i, x.Token)
		}
	}
	if after {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.lost = true
		return steps, fmt.Errorf("fake: %w", engine.ErrDeviceLost)
	}
	return steps, f.fail
}

func (f *fake) NewSeq(state []float32) (*engine.Seq, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin(); err != nil {
		return nil, err
	}
	if len(f.states) == f.slots {
		return nil, engine.ErrNoSlot
	}
	s := new(engine.Seq)
	f.states[s] = 1
	if state != nil {
		f.states[s] = fakeNumber(state)
		f.clock = f.clock.Add(f.moved)
	}
	return s, nil
}

func (f *fake) Fork(s *engine.Seq) (*engine.Seq, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin(); err != nil {
		return nil, err
	}
	f.check(s, map[*engine.Seq]bool{})
	if f.stateless {
		return nil, engine.ErrStateLost
	}
	if len(f.states) == f.slots {
		return nil, engine.ErrNoSlot
	}
	child := new(engine.Seq)
	f.states[child] = f.states[s]
	f.forks++
	return child, nil
}

func (f *fake) Reopen(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.lost {
		f.blame("a device opened anew that works")
	}
	if f.broken = nil; f.reopen != nil {
		f.broken = f.reopen()
	}
	f.lost = f.broken != nil
	return f.broken
}

type fakeTransfer struct {
	err  error
	held chan struct{} // Wait returns when it is closed; nil for at once
}

func (t fakeTransfer) Wait() error {
	if t.held != nil {
		<-t.held
	}
	return t.err
}

func (f *fake) save(list []*engine.Seq, dst [][]float32) (waiter, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.begin(); err != nil {
		if f.rng.IntN(2) == 0 {
			return nil, err
		}
		return fakeTransfer{err: err}, nil
	}
	if f.full != nil {
		return nil, f.full
	}
	seen := map[*engine.Seq]bool{}
	for i, s := range list {
		if _, ok := f.states[s]; !ok {
			f.blame("a copy of a sequence that is not in use")
			return nil, errors.New("fake: a sequence that is not in use")
		}
		f.check(s, seen)
		copy(dst[i], fakeState(f.states[s]))
		f.clock = f.clock.Add(f.moved)
	}
	return fakeTransfer{held: f.held}, nil
}

func (f *fake) release(s *engine.Seq) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.states[s]; !ok {
		f.blame("a sequence released twice")
	}
	delete(f.states, s)
	if len(f.thieves) > 0 {
		f.states[f.thieves[0]] = 1
		f.thieves = f.thieves[1:]
	}
}

func (f *fake) stateLen() int { return 2 }

// end returns what was wrong, or left.
func (f *fake) end() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := len(f.states); n > 0 {
		return errors.Join(f.wrong, fmt.Errorf("%d sequences are left", n))
	}
	return f.wrong
}
