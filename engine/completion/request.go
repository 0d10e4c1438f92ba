package completion

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/schedule"
	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache"
	"github.com/rwkv-gpu/rwkv-gpu/engine/text"
)

// From is where a request begins.
type From struct {
	State   []float32 // to begin the prompt with; nil for the model's initial state
	Origin  string    // by which the cache knows State, of no other state; "" for a hash of it
	Sampler []byte    // where the sampler goes on, as its MarshalBinary returned it; nil for a new one
}

// LateStop is what ends a text behind a place in it.
type LateStop struct {
	Late []string  // stop strings that count behind the place that Gate finds
	Gate text.Gate // nil has Late count from the start
}

// Standing is what a request is among others.
type Standing = schedule.Standing

// Request asks for the completion of a prompt.
type Request struct {
	User   string // whose turn it is among those who wait is counted by this
	Space  string // the namespace of the states: nothing of one shows in another
	Prompt []statecache.Segment
	From
	Fresh bool // reports whether no state of the cache is used, and none is kept

	// Returned reports whether the state exactly behind the text will be asked for. Then states are kept within the answer.
	Returned bool

	Standing

	Sample     sample.Params
	Constraint sample.Constraint // nil for none
	Penal      bool              // reports whether tokens of the prompt count for the penalties too
	Max        int               // most tokens to draw
	Stop       []string
	LateStop

	Probabilities
	Run
}

// Start enters a request into the queue. What is wrong with the request is the error, and so are those of
// schedule.Submit; an error of the text is a *tokenizer.TextError. When ctx is done, so is the completion.
func (s *Service) Start(ctx context.Context, r Request) (*Completion, error) {
	list, err := s.StartAll(ctx, []Request{r})
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// StartAll enters requests that differ in how they draw, and when they end, into the queue: all, or none with the error
// that Start has. The prompt, the space and the state that it begins from are those of the first request, and they are
// read once: the other completions begin before the prompt's last token, and tell of all before it as cached. States on
// the way through the prompt are kept once, and Prompted is called of one request, or of another one anew if the first
// ends before its time.
func (s *Service) StartAll(ctx context.Context, list []Request) ([]*Completion, error) {
	all, asked := make([]*Completion, len(list)), make([]schedule.Request, len(list))
	for i := range list {
		r := &list[i]
		smp, out, err := s.drawing(r)
		if err != nil {
			return nil, err
		}
		c := &Completion{prompt: list[0].Prompt, out: out, detailed: r.Logprobs || r.Top > 0 || r.Traced, buffer: s.options.Buffer,
			ready: make(chan struct{}, 1)}
		if err := c.replay(r, smp, len(list)); err != nil {
			return nil, err
		}
		all[i], asked[i] = c, schedule.Request{User: r.User, Standing: r.Standing, Sampler: smp, Penal: r.Penal, Max: c.left,
			Ends: []int{text.EndOfText}, Probabilities: r.Probabilities, Token: c.take}
	}
	first, err := s.begin(&list[0], all[0].fed())
	if err != nil {
		return nil, err
	}
	for i, c := range all {
		b := first
		if i > 0 {
			b = first.again()
		}
		q := &asked[i]
		c.open(b, q)
		if !list[0].Fresh {
			b.kept, q.Keep = list[i].Kept, b.keep
			if list[i].Returned {
				q.Every, q.Within = returnedEvery, b.keepWithin
			}
		}
	}
	jobs, err := s.scheduler.SubmitAll(ctx, asked)
	if err != nil {
		first.hit.Release()
		return nil, err
	}
	for i, c := range all {
		c.job = jobs[i]
	}
	go func() { // whether or not somebody asks for the result
		<-jobs[0].Done()
		first.hit.Release()
	}()
	return all, nil
}

// returnedEvery is how many drawn tokens lie between the states that are kept within an answer whose end is asked for.
//
// The state behind an answer that a stop string ended cannot be had when the answer ends: tokens of the stop string were
// fed, and a state cannot be cut back. To copy the state before each token with which a stop string may begin, a burst
// would have to end there, at every line break, and the steps past it be taken back by a pass. So the end of the answer is
// read again, from the last of these states. They are copied between bursts, and no pass waits for them. BenchmarkReadAgain
// measures what is read again.
const returnedEvery = 64

// drawing returns what draws the tokens of a request, and what makes them a text.
func (s *Service) drawing(r *Request) (*sample.Sampler, *text.Writer, error) {
	if r.Max < 1 {
		return nil, nil, fmt.Errorf("completion: max: want at least 1 token, got %d", r.Max)
	}
	smp, err := sample.New(r.Sample, s.vocab)
	if err != nil {
		return nil, nil, err
	}
	if r.Sampler != nil {
		if err := smp.UnmarshalBinary(r.Sampler); err != nil {
			return nil, nil, err
		}
	}
	if r.Constraint != nil {
		smp.SetConstraint(r.Constraint)
	}
	out, err := text.NewWriter(s.tok, text.Options{Stop: r.Stop, Late: r.Late, Gate: r.Gate, Max: r.Max})
	return smp, out, err
}

// State feeds the prompt of a request, from the longest state that the cache has of it, and returns the state after it
// with the prompt's ids. It is for a state that is to be given away. Of the request, User, Space, Prompt, State, Origin,
// Fresh and Standing count.
func (s *Service) State(ctx context.Context, r Request) (state []float32, ids []int, err error) {
	r.Prompted = nil
	b, err := s.begin(&r, nil)
	if err != nil {
		return nil, nil, err
	}
	if !r.Fresh {
		all := b.space.FindLoaded(b.ids, len(b.ids))
		defer all.Release()
		if all.Tokens == len(b.ids) {
			b.hit.Release()
			return slices.Clone(all.State), b.ids, nil
		}
	}
	failed := errors.New("completion: no state was kept")
	q := schedule.Request{User: r.User, Standing: r.Standing, Prompt: b.ids, Begin: b.begin, Marks: b.places()}
	q.Keep = func(tokens int) ([]float32, func(error)) {
		switch {
		case tokens == len(b.ids):
			state = make([]float32, s.size)
			return state, func(err error) { failed = err }
		case r.Fresh: // and canceled
			return nil, nil
		}
		return b.keep(tokens)
	}
	if r.Fresh {
		q.Marks = nil
	}
	job, err := s.scheduler.Submit(ctx, q)
	if err != nil {
		b.hit.Release()
		return nil, nil, err
	}
	if err = job.Err(); err == nil {
		err = failed
	}
	b.hit.Release()
	if err != nil {
		return nil, nil, err
	}
	if !r.Fresh {
		b.keepCopy(state)
	}
	return state, b.ids, nil
}
