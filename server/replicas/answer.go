package replicas

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/server/api"
)

// mostHeld is how many bytes of an answer a front holds for a client that reads more slowly than they come.
const mostHeld = 1 << 20

// answer is an answer whose runs are elsewhere.
type answer struct {
	traced bool // reports whether the caller asks for what runs need
	began  time.Time
	cancel context.CancelFunc
	wentOn func(after time.Duration) // is told when another run draws its first token
	ready  chan struct{}             // full when there is something to look at

	mu     sync.Mutex
	pieces []api.Piece
	held   int // bytes of them
	err    error
	result api.Result
	ended  bool // reports whether no run goes on

	prompt []int       // ids, once a run has told of them
	drawn  []api.Token // that runs have told of
	bytes  int         // of text, likewise
	tokens int         // of Piece.Tokens, likewise
	first  time.Time   // when the first token came
	last   time.Time
	broken bool                               // reports whether a run was lost since then
	skip   struct{ bytes, tokens, drawn int } // what the run tells that an earlier one has told
}

// again notes that another run tells all from the start.
func (a *answer) again() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.skip.bytes, a.skip.tokens, a.skip.drawn = a.bytes, a.tokens, len(a.drawn)
	a.broken = true
}

// take takes what a run tells. It reports whether more is wanted.
func (a *answer) take(f *frame) (more bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended {
		return false
	}
	p := api.Piece{Text: f.Text, Tokens: tokensFrom(f.Tokens), Drawn: tokensFrom(f.Drawn)}
	n := min(a.skip.bytes, len(p.Text))
	p.Text, a.skip.bytes = p.Text[n:], a.skip.bytes-n
	n = min(a.skip.tokens, len(p.Tokens))
	p.Tokens, a.skip.tokens = p.Tokens[n:], a.skip.tokens-n
	n = min(a.skip.drawn, len(p.Drawn))
	p.Drawn, a.skip.drawn = p.Drawn[n:], a.skip.drawn-n
	if a.prompt == nil && f.Prompt != nil {
		a.prompt, p.Prompt = f.Prompt, f.Prompt
	}
	a.drawn, a.bytes, a.tokens = append(a.drawn, p.Drawn...), a.bytes+len(p.Text), a.tokens+len(p.Tokens)
	if len(p.Drawn) > 0 {
		now, before := time.Now(), a.last
		if a.first.IsZero() {
			a.first, before = now, a.began
		}
		if a.broken {
			a.broken = false
			a.wentOn(now.Sub(before))
		}
		a.last = now
	}
	if !a.traced {
		p.Prompt, p.Drawn = nil, nil
	}
	if p.Text != "" || len(p.Tokens) > 0 || len(p.Prompt) > 0 || len(p.Drawn) > 0 {
		a.pieces = append(a.pieces, p)
		a.held += len(p.Text) + 64*len(p.Tokens)
	}
	switch {
	case f.Result != nil:
		a.result = *f.Result
		a.result.Reading, a.result.Drawing = time.Since(a.began), a.last.Sub(a.first)
		if !a.first.IsZero() {
			a.result.Reading = a.first.Sub(a.began)
		}
		a.end(io.EOF)
	case f.Fault != nil:
		a.end(f.Fault.err())
	case a.held > mostHeld:
		a.end(api.ErrSlow)
	}
	a.poke()
	return !a.ended
}

// fail ends the answer.
func (a *answer) fail(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.end(err)
	a.poke()
}

// end ends the answer, if it has not ended. The lock is held.
func (a *answer) end(err error) {
	if a.ended {
		return
	}
	a.ended, a.err = true, err
	if !errors.Is(err, io.EOF) {
		a.result = api.Result{Prompt: len(a.prompt), Drawn: len(a.drawn)}
	}
}

func (a *answer) poke() {
	select {
	case a.ready <- struct{}{}:
	default:
	}
}

// over reports whether the answer has ended.
func (a *answer) over() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ended
}

// Next waits for more of the answer.
func (a *answer) Next() (api.Piece, error) {
	for {
		if p, err, there := a.next(); there {
			return p, err
		}
		<-a.ready
	}
}

func (a *answer) next() (api.Piece, error, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.pieces) > 0 {
		p := a.pieces[0]
		a.pieces = a.pieces[1:]
		a.held -= len(p.Text) + 64*len(p.Tokens)
		return p, nil, true
	}
	if a.ended {
		return api.Piece{}, a.err, true
	}
	return api.Piece{}, nil, false
}

// Result tells of the answer.
func (a *answer) Result() api.Result {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.ended { // it was closed before
		return api.Result{Prompt: len(a.prompt), Drawn: len(a.drawn)}
	}
	return a.result
}

// Close ends the request, and a Next under way.
func (a *answer) Close() {
	a.fail(context.Canceled)
	a.cancel()
}
