package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
)

// Want says what a row asks for after its last token.
type Want uint8

// The wants.
const (
	WantNothing Want = iota // the tokens are fed, and that is all
	WantLogits              // logits go to Row.Each
	WantDraw                // a token is drawn by Row.Sampler, which accepts it
)

// Row is one sequence's share of a Pass: a piece of a prompt, a single token to go on from, or anything between.
type Row struct {
	Seq    *Seq
	Tokens []int // which continue the sequence; at least one
	Want   Want

	// Of WantLogits. Each is called for the last tokens, as many as Last says, with the token's position among Tokens and
	// the float32[vocab] logits after it, valid during the call; Last of 0 is 1. Its error becomes the row's.
	Last int
	Each func(pos int, logits []float32) error

	Sampler  *sample.Sampler // of WantDraw and Prompt
	Prompt   bool            // the sampler accepts the tokens that are taken, as a prompt's
	Logprobs bool            // of WantDraw: Logprob is asked for
	Top      int             // of WantDraw: how many Alternatives are asked for

	// What became of it.
	Taken        int                // tokens fed, the first ones; fewer than all where the pass was full
	ID           int                // drawn; -1 for none
	Logprob      float32            // of ID, by the model's own distribution
	Alternatives []sample.Candidate // the Top likeliest ids; its memory is used again
	Err          error              // of this row alone; the others went on

	done bool // nothing more is to do
}

// Pass runs the model once over the tokens of rows, as many as fit: rows are taken in their order, each sequence at most
// once, until the tokens, sequences or logits of a pass are used up. What is wrong with a row is its Err, and concerns no
// other: a sequence not in use or given twice, a token out of range, logits from which nothing can be drawn.
//
// The error returned is of the device or of ctx; then no row was taken. The sequences that would have been are made again
// when they are used next, if Options.Keep is set; else their rows fail with ErrStateLost.
func (e *Engine) Pass(ctx context.Context, rows []Row) error {
	beginRows(rows)
	if err := e.begin(ctx); err != nil {
		return err
	}
	defer e.end()
	_, err := e.pass(ctx, rows)
	return err
}

// Feed runs passes until all tokens of rows are taken, and each row has what it asks for or its Err. Other calls may have
// their turns between the passes. An error is as of Pass; what the rows' Taken counts was fed.
func (e *Engine) Feed(ctx context.Context, rows []Row) error {
	beginRows(rows)
	for more := true; more; {
		if err := e.begin(ctx); err != nil {
			return err
		}
		var err error
		more, err = e.pass(ctx, rows)
		e.end()
		if err != nil {
			return err
		}
	}
	return nil
}

// beginRows clears what became of rows.
func beginRows(rows []Row) {
	for i := range rows {
		r := &rows[i]
		r.Taken, r.ID, r.Logprob, r.Alternatives, r.Err, r.done = 0, -1, 0, r.Alternatives[:0], nil, false
	}
}

// pass runs the model once over what rows have left. It reports whether they may have more.
func (e *Engine) pass(ctx context.Context, rows []Row) (more bool, err error) {
	e.fill(rows, e.passRows())
	if len(e.order) == 0 {
		return false, nil
	}
	if err := e.reviveRows(ctx, rows); err != nil {
		return false, err
	}
	if err := e.exec.ForwardContext(ctx, &e.batch); err != nil {
		for _, i := range e.order {
			rows[i].Seq.stale = true
		}
		return false, e.dev.fault(err)
	}
	e.count(func(s *Stats) { s.Work.count(&e.batch) })
	for q, i := range e.order {
		r := &rows[i]
		n := int(e.batch.Seqs[q].Len)
		e.note(r.Seq, r.Tokens[r.Taken:r.Taken+n]...)
		if r.Prompt {
			r.Err = r.Sampler.AcceptPrompt(r.Tokens[r.Taken : r.Taken+n])
		}
		r.Taken += n
		r.done = r.Err != nil || r.Taken == len(r.Tokens)
		more = more || !r.done
	}
	for out, end := range e.ends {
		e.take(&rows[end.row], end.pos, e.exec.Logits(out))
	}
	e.keep()
	return more || len(e.order) < len(rows), nil
}

// passRows returns the most rows of the next pass: fewer than fit, on a device that would be busy with all for too long.
func (e *Engine) passRows() int {
	if d, ok := e.exec.(interface{ MostRows() int }); ok {
		return min(e.sizes.Rows, d.MostRows())
	}
	return e.sizes.Rows
}

// fill makes the next batch, of so many tokens at most. Rows that cannot be part of it get their Err.
func (e *Engine) fill(rows []Row, tokens int) {
	e.batch.Reset()
	e.ends, e.order = e.ends[:0], e.order[:0]
	e.mark++
	outs, seqs := e.sizes.Outs, e.sizes.Seqs
	for i := range rows {
		r := &rows[i]
		if r.done {
			continue
		}
		if r.Err = e.checkRow(r); r.Err != nil {
			r.done = true
			continue
		}
		from, all := r.Taken, len(r.Tokens)
		n := min(all-from, tokens)
		// The wanted rows are the last: a run that reaches into them is cut to the outs that are left.
		firstWanted := max(all-r.last(), from)
		n = min(n, firstWanted+outs-from)
		if n <= 0 || seqs == 0 {
			continue
		}
		wanted := max(from+n-firstWanted, 0)
		e.batch.Add(r.Seq.slot, r.Tokens[from:from+n], wanted)
		for pos := from + n - wanted; pos < from+n; pos++ {
			e.ends = append(e.ends, outEnd{i, pos})
		}
		e.order = append(e.order, i)
		tokens, outs, seqs = tokens-n, outs-wanted, seqs-1
	}
}

// last returns after how many of the last tokens logits are needed.
func (r *Row) last() int {
	switch r.Want {
	case WantLogits:
		return max(r.Last, 1)
	case WantDraw:
		return 1
	}
	return 0
}

// checkRow says what is wrong with a row, and marks its sequence as one of this pass.
func (e *Engine) checkRow(r *Row) error {
	if err := e.checkSeq(r.Seq); err != nil {
		return err
	}
	if r.Seq.mark == e.mark {
		return errTwice
	}
	r.Seq.mark = e.mark
	switch {
	case len(r.Tokens) == 0:
		return errors.New("engine: row: want at least one token, got none")
	case r.Want > WantDraw:
		return fmt.Errorf("engine: row: want nothing, logits or a draw, got want %d", r.Want)
	case r.last() > len(r.Tokens) || r.Last < 0:
		return fmt.Errorf("engine: row: want logits after 1 to %d tokens, got %d", len(r.Tokens), r.Last)
	case r.Want == WantLogits && r.Each == nil:
		return errors.New("engine: row: want a function that takes the logits, got none")
	case r.Top < 0:
		return fmt.Errorf("engine: row: want 0 or more alternatives, got %d", r.Top)
	}
	if r.Taken == 0 { // else they were checked
		for i, t := range r.Tokens {
			if t < 0 || t >= e.Model.Vocab {
				return fmt.Errorf("engine: row: token %d: want an id below %d, got %d", i, e.Model.Vocab, t)
			}
		}
	}
	if r.Want == WantDraw || r.Prompt {
		if err := e.checkSampler(r.Sampler); err != nil {
			return err
		}
	}
	return e.checkState(r.Seq)
}

var errTwice = errors.New("engine: the sequence is given twice")

func (e *Engine) checkSampler(s *sample.Sampler) error {
	if s == nil || s.Vocabulary() != e.Model.Vocab {
		return fmt.Errorf("engine: want a sampler of %d ids", e.Model.Vocab)
	}
	return nil
}

// take gives a row the logits after one of its tokens.
func (e *Engine) take(r *Row, pos int, logits []float32) {
	switch {
	case r.Err != nil:
	case r.Want == WantLogits:
		r.Err = r.Each(pos, logits)
	default:
		r.ID, r.Logprob, r.Alternatives, r.Err = e.draw(r.Sampler, logits, r.Logprobs, r.Top, r.Alternatives)
	}
	if r.Err != nil {
		r.done = true
	}
}

// draw draws a token on the host and has the sampler accept it.
func (e *Engine) draw(s *sample.Sampler, logits []float32, logprobs bool, top int, into []sample.Candidate) (id int, logprob float32,
	alternatives []sample.Candidate, err error) {
	start := time.Now()
	if id, err = s.Sample(logits); err == nil {
		err = s.Accept(id)
	}
	alternatives = into[:0]
	if err == nil && (logprobs || top > 0) {
		logprob, alternatives, err = sample.Logprobs(logits, id, top, alternatives)
	}
	took := time.Since(start)
	e.mu.Lock()
	e.stats.Drawing += took
	e.stats.HostDraws++
	e.mu.Unlock()
	if err != nil {
		return -1, 0, alternatives, err
	}
	return id, logprob, alternatives, nil
}
