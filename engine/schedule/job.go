package schedule

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
)

// Request asks for the continuation of a prompt.
type Request struct {
	User    string    // whose turn it is is counted by this
	State   []float32 // to begin with; nil for the initial state. It is read before the first token is fed, and not later
	Prompt  []int     // at least one token
	Sampler *sample.Sampler
	Penal   bool // the sampler accepts the prompt, for its penalties
	Max     int  // most tokens to draw; 0 for a prompt alone
	Ends    []int

	Logprobs bool // Token.Logprob is asked for
	Top      int  // how many Token.Alternatives are

	// Prompted, if not nil, is told of the logits after each token of the prompt but the last, in order: the place of the
	// token and float32[vocab], valid during the call, by which the prompt's next token is as likely as it is. It must not
	// wait. Its error ends the request.
	Prompted func(at int, logits []float32) error

	// Token is told of each drawn token and says whether there shall be another. It must not wait.
	Token func(t Token) (more bool)

	Marks []Mark    // in the order of their places
	Final []float32 // where the state after the last fed token goes; nil for nowhere
}

// Mark is a place in the prompt whose state is asked for.
type Mark struct {
	At    int       // tokens of the prompt that the state has seen, at least one
	State []float32 // where it goes
}

// Token is a drawn token.
type Token struct {
	ID           int
	Logprob      float32
	Alternatives []sample.Candidate // valid during the call
}

// check says what is wrong with a request.
func (r *Request) check() error {
	switch {
	case len(r.Prompt) == 0:
		return errors.New("schedule: prompt: want at least one token, got none")
	case r.Max < 0:
		return fmt.Errorf("schedule: want 0 or more tokens, got %d", r.Max)
	case r.Max > 0 && r.Token == nil:
		return errors.New("schedule: want a function that takes tokens, got none")
	case (r.Max > 0 || r.Penal) && r.Sampler == nil:
		return errors.New("schedule: want a sampler, got none")
	}
	before := 0
	for i, m := range r.Marks {
		if m.At <= before || m.At > len(r.Prompt) {
			return fmt.Errorf("schedule: mark %d: want a place from %d to %d, got %d", i, before+1, len(r.Prompt), m.At)
		}
		before = m.At
	}
	return nil
}

// Job is a request under way.
type Job struct {
	Request
	s        *Scheduler
	ctx      context.Context
	unwatch  func() bool
	canceled atomic.Bool
	done     chan struct{}
	err      error // once done

	// Of the scheduler's goroutine.
	seq   *engine.Seq // nil without a slot
	state []float32   // that is parked
	begun bool        // had a slot
	c     engine.Continuation
	at    progress
}

// progress is how far a job has come.
type progress struct {
	fed     int // tokens of the prompt
	drawn   int
	counted int // drawn tokens that Stats knows
	turn    int // tokens, fed or drawn, since it got its slot
	marked  int // of Marks
	served  int // round in which it had its turn last
}

// Cancel ends the request soon, with ErrCanceled.
func (j *Job) Cancel() {
	j.canceled.Store(true)
	j.s.poke()
}

// Done is closed when the request has ended: nothing of it is used any more, and the states it asked for are there.
func (j *Job) Done() <-chan struct{} { return j.done }

// Err returns what the request ended by before its time, once it is done: ErrCanceled, its context's error, ErrClosed, what is
// wrong with it, or the device's trouble. nil says that it came to its end.
func (j *Job) Err() error {
	<-j.done
	return j.err
}

// Marked returns how many of the Marks' states are there, once the request is done.
func (j *Job) Marked() int {
	<-j.done
	return j.at.marked
}

// over returns why the request is to end, if it is.
func (j *Job) over() error {
	if j.canceled.Load() {
		return ErrCanceled
	}
	return j.ctx.Err()
}

// reading reports whether there is more of the prompt.
func (j *Job) reading() bool { return j.at.fed < len(j.Prompt) }

// piece returns how many tokens of the prompt may be fed at once, most at most: a mark ends a piece, and where logits of the
// prompt are asked for, the last token is a piece of its own.
func (j *Job) piece(most int) int {
	n := min(len(j.Prompt)-j.at.fed, most)
	if j.telling() {
		n = min(n, len(j.Prompt)-1-j.at.fed)
	}
	if j.at.marked < len(j.Marks) {
		n = min(n, j.Marks[j.at.marked].At-j.at.fed)
	}
	return n
}

// telling reports whether the logits after the next token of the prompt are asked for.
func (j *Job) telling() bool { return j.Prompted != nil && j.at.fed < len(j.Prompt)-1 }

// row returns the row of a pass that feeds the next n tokens of the prompt.
func (j *Job) row(n int) engine.Row {
	r := engine.Row{Seq: j.seq, Tokens: j.Prompt[j.at.fed : j.at.fed+n], Sampler: j.Sampler, Prompt: j.Penal,
		Logprobs: j.Logprobs, Top: j.Top, Alternatives: j.c.Alternatives}
	switch from := j.at.fed; {
	case j.telling():
		r.Want, r.Last = engine.WantLogits, n
		r.Each = func(pos int, logits []float32) error { return j.Prompted(from+pos, logits) }
	case from+n == len(j.Prompt) && j.Max > 0:
		r.Want = engine.WantDraw
	}
	return r
}

// tell tells of a drawn token and reports whether there shall be another.
func (j *Job) tell(t Token) (more bool) {
	j.at.drawn++
	j.at.turn++
	more = j.Token(t)
	return more && j.at.drawn < j.Max && !slices.Contains(j.Ends, t.ID) && j.over() == nil
}
