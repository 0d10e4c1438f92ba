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
	User    string           // whose turn it is is counted by this
	State   []float32        // to begin with, read before the first token is fed; nil: the initial one
	Begin   func() Beginning // takes the place of State; nil for none. See Beginning
	Prompt  []int            // at least one token
	Sampler *sample.Sampler  // may have a constraint: what it forces is fed in one piece, without a draw
	Penal   bool             // the sampler accepts the prompt, for its penalties
	Standing
	Max  int // most tokens to draw; 0 for a prompt alone
	Ends []int

	Probabilities

	// Token is told of each drawn token, and returns whether to draw another. It must not wait.
	Token func(t Token) (more bool)

	// Keep is asked where to put the state that has seen so many tokens, of the prompt and drawn ones. It is asked at each
	// of Marks, and at the end of a request that had a slot, canceled or not. It is asked once for a state: at the end if a
	// mark lies there, and not at the end if the request ends before it has come further. It returns nil for nowhere. The state is copied beside the passes. Then kept, unless it is nil, is
	// told that the state is there, or the error by which it is not. That is before the request is done. Keep must be
	// quick. kept may take its time: it is not called by the scheduler's goroutine. The kept functions of a request may run
	// at once, and in any order.
	Keep  func(tokens int) (to []float32, kept func(err error))
	Marks []int // in ascending order, numbers of tokens of the prompt, from 1 on
	Every int   // drawn tokens after which Keep is asked again: so many, and those of the burst under way; 0 for never

	// Within, if not nil, is asked in Keep's place after Every drawn tokens, as long as the request goes on.
	Within func(tokens int) (to []float32, kept func(err error))
}

// Standing is what a request is among others.
type Standing struct {
	Follows bool // reports whether it is the rest of one that has ended, so a full queue takes it too

	// Background reports whether nobody waits for the request, as for an item of a batch. It gets a slot when no other
	// request waits for one, and gives the slot back when one does. Such requests wait in a queue of the same bound for
	// themselves.
	Background bool
}

// Probabilities says which probabilities a request asks for.
type Probabilities struct {
	Logprobs bool // Token.Logprob is asked for
	Top      int  // how many Token.Alternatives are

	// Prompted, if not nil, is told of the logits after each token of the prompt but the last, in order. at is the place
	// of the token, and logits, float32[vocab] and valid during the call, give the probability of the prompt's next token.
	// It must not wait. Its error ends the request. It is not told of tokens that the state the request begins with has seen.
	Prompted func(at int, logits []float32) error
}

// Beginning is where a request begins: at a state that has seen the first tokens of its prompt, which are not fed.
// Begin is called when the request may get its first slot, and again if it got none. It must be quick.
type Beginning struct {
	State  []float32 // nil for the initial state
	Tokens int       // that it has seen; fewer than the prompt has
	Done   func()    // is called when State is no longer used; nil for nothing to call
}

// Token is a drawn token.
type Token struct {
	ID           int
	Logprob      float32
	Alternatives []sample.Candidate // valid during the call
}

// check returns what is wrong with a request.
func (r *Request) check() error {
	switch {
	case len(r.Prompt) == 0:
		return errors.New("schedule: prompt: want at least one token, got none")
	case r.Max < 0:
		return fmt.Errorf("schedule: want 0 or more tokens, got %d", r.Max)
	case r.Max > 0 && r.Token == nil:
		return errors.New("schedule: want a function that takes tokens, got none")
	case r.Every < 0:
		return fmt.Errorf("schedule: every: want 0 or more tokens, got %d", r.Every)
	case (r.Max > 0 || r.Penal) && r.Sampler == nil:
		return errors.New("schedule: want a sampler, got none")
	}
	before := 0
	for i, at := range r.Marks {
		if at <= before || at > len(r.Prompt) {
			return fmt.Errorf("schedule: mark %d: want a place from %d to %d, got %d", i, before+1, len(r.Prompt), at)
		}
		before = at
	}
	if r.Keep == nil && r.Every > 0 {
		return errors.New("schedule: every: want a function that keeps the states, got none")
	}
	if r.Keep == nil && len(r.Marks) > 0 {
		return errors.New("schedule: marks: want a function that keeps the states, got none")
	}
	return nil
}

// Job is a request that was submitted.
type Job struct {
	Request
	s        *Scheduler
	ctx      context.Context
	unwatch  func() bool
	canceled atomic.Bool
	done     chan struct{}
	err      error // once done

	// These belong to the scheduler's goroutine.
	seq   *engine.Seq // nil without a slot
	state []float32   // that is parked
	begun bool        // had a slot
	fork  *fork       // nil for a prompt that no other job has
	c     engine.Continuation
	at    progress

	holds  atomic.Int32 // by what the job is not done: itself, and copies of states at marks
	forced forced
}

// progress says how far a job has come.
type progress struct {
	cached  int // tokens of the prompt that were not to be fed
	fed     int // tokens of the prompt, with those
	drawn   int
	counted int   // drawn tokens that Stats knows
	turn    int   // tokens, fed or drawn, since it got its slot
	marked  int   // of Marks, that lie behind
	kept    int   // tokens that the last state has seen of which Request.Keep was asked
	served  int   // round in which it had its turn last
	told    []int // all tokens drawn or forced, if there is a draft
}

// Cancel makes the request end soon, with ErrCanceled.
func (j *Job) Cancel() {
	j.canceled.Store(true)
	j.s.door.poke()
}

// Done returns a channel that is closed when the request has ended. Then nothing of the request is used any more, and
// the states that it asked for are there.
func (j *Job) Done() <-chan struct{} { return j.done }

// Err returns why a request that is done ended before its time: ErrCanceled, its context's error, ErrClosed, its own
// mistake, or the device's error. nil says that it came to its end.
func (j *Job) Err() error {
	<-j.done
	return j.err
}

// Usage counts the tokens of a request.
type Usage struct {
	Cached int // of the prompt, not fed, since the request began with a state that has seen them
	Fed    int // of the prompt
	Drawn  int
}

// Usage returns the counts once the request is done.
func (j *Job) Usage() Usage {
	<-j.done
	return Usage{j.at.cached, j.at.fed - j.at.cached, j.at.drawn}
}

// let takes one hold off the job. The last hold ends a job that is done.
func (j *Job) let() {
	if j.holds.Add(-1) == 0 {
		close(j.done)
	}
}

// over returns why the request has to end, or nil.
func (j *Job) over() error {
	if j.canceled.Load() {
		return ErrCanceled
	}
	return j.ctx.Err()
}

// reading reports whether tokens are left to feed: of the prompt, or forced ones.
func (j *Job) reading() bool { return j.prompting() || len(j.forced.left()) > 0 }

// prompting reports whether tokens of the prompt are left to feed.
func (j *Job) prompting() bool { return j.at.fed < len(j.Prompt) }

// piece returns how many tokens may be fed at once. It is at most most. Within the prompt a piece ends at a mark. If
// logits of the prompt are asked for, or others begin with the state before it, its last token is a piece of its own.
func (j *Job) piece(most int) int {
	if !j.prompting() {
		return min(len(j.forced.left()), most)
	}
	n := min(len(j.Prompt)-j.at.fed, most)
	if j.telling() {
		n = min(n, len(j.Prompt)-1-j.at.fed)
	}
	if j.at.marked < len(j.Marks) {
		n = min(n, j.Marks[j.at.marked]-j.at.fed)
	}
	if before := j.forks(); before > 0 {
		n = min(n, before)
	}
	return n
}

// telling reports whether the request asks for the logits after the next token of the prompt.
func (j *Job) telling() bool { return j.Prompted != nil && j.at.fed < len(j.Prompt)-1 }

// row returns the row of a pass that feeds the next n tokens.
func (j *Job) row(n int) engine.Row {
	r := engine.Row{Seq: j.seq, Sampler: j.Sampler, Logprobs: j.Logprobs, Top: j.Top, Alternatives: j.c.Alternatives}
	if !j.prompting() {
		left := j.forced.left()
		if r.Tokens = left[:n]; n == len(left) && !j.forced.last {
			r.Want = engine.WantDraw
		}
		return r
	}
	r.Tokens, r.Prompt = j.Prompt[j.at.fed:j.at.fed+n], j.Penal
	switch from := j.at.fed; {
	case j.telling():
		r.Want, r.Last = engine.WantLogits, n
		r.Each = func(pos int, logits []float32) error { return j.Prompted(from+pos, logits) }
	case from+n == len(j.Prompt) && j.Max > 0 && !j.forces():
		r.Want = engine.WantDraw
	}
	return r
}

// seen returns how many tokens the state has seen. The last drawn one was not fed, nor were the forced ones that are
// left.
func (j *Job) seen() int {
	return j.at.fed + j.at.drawn - max(j.forced.unfed(), min(j.at.drawn, 1))
}

// tell tells the request of a drawn token, and returns whether to draw another.
func (j *Job) tell(t Token) (more bool) {
	j.at.drawn++
	j.at.turn++
	if j.s.draft != nil {
		j.at.told = append(j.at.told, t.ID)
	}
	more = j.Token(t)
	return more && j.at.drawn < j.Max && !j.Sampler.Done() && !slices.Contains(j.Ends, t.ID) && j.over() == nil
}
