package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/hostdraw"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// Want says what a row asks for after its last token.
type Want uint8

// The wants.
const (
	WantNothing Want = iota // nothing: the tokens are only fed
	WantLogits              // logits go to Row.Each
	WantDraw                // a token is drawn by Row.Sampler, which accepts it
)

// Row is one sequence's share of a Pass: a piece of a prompt, a single token to go on from, or anything between.
type Row struct {
	Seq    *Seq
	Tokens []int // which continue the sequence; at least one
	Want   Want

	// For WantLogits. Each is called for the last tokens, as many as Last says; a Last of 0 is 1. It gets the token's
	// position among Tokens and the float32[vocab] logits after the token, valid during the call. Its error becomes the
	// row's.
	Last int
	Each func(pos int, logits []float32) error

	Sampler  *sample.Sampler // of WantDraw and Prompt
	Prompt   bool            // the sampler accepts the tokens that are taken, as a prompt's
	Logprobs bool            // for WantDraw: asks for Logprob
	Top      int             // for WantDraw: how many Alternatives are wanted

	// The outcome.
	Taken        int                // how many of Tokens were fed; fewer than all if the pass was full
	ID           int                // drawn; -1 for none
	Logprob      float32            // of ID, by the model's own distribution
	Alternatives []sample.Candidate // the Top likeliest ids; its memory is used again
	Err          error              // of this row alone; the others went on

	done bool // nothing more is to do
}

// passes makes passes of rows. Only the holder of the turn may use it.
type passes struct {
	h *host
	t *table
	k *keeper

	batch op.Batch
	ends  []outEnd
	order []int  // rows in the order of the batch
	seqs  []*Seq // theirs
	masks hostdraw.Masks
}

// outEnd says which row and token an out of a pass belongs to.
type outEnd struct{ row, pos int }

// Pass runs the model once over the tokens of rows, as many as fit. It takes rows in their order, each sequence at most
// once, until the tokens, sequences or logits of a pass are used up. A mistake in a row is its Err, and concerns no
// other row: a sequence that is not in use or given twice, a token out of range, logits from which nothing can be
// drawn.
//
// The error returned is the device's or ctx's; then no row was taken. If nothing of the pass was submitted, the
// sequences are as they were, for example because ctx was done or memory was refused before. Otherwise, with
// Options.Keep, the sequences of the pass are made again when they are used next. Without it their rows fail with
// ErrStateLost.
func (e *Engine) Pass(ctx context.Context, rows []Row) error {
	beginRows(rows)
	if err := e.begin(ctx); err != nil {
		return err
	}
	defer e.end()
	_, err := e.passes.run(ctx, rows)
	return err
}

// Feed runs passes until all tokens of rows are taken, and each row has what it asks for or its Err. Other calls may
// have their turns between the passes. Errors are those of Pass. The tokens that Taken counts were fed.
func (e *Engine) Feed(ctx context.Context, rows []Row) error {
	beginRows(rows)
	for more := true; more; {
		if err := e.begin(ctx); err != nil {
			return err
		}
		var err error
		more, err = e.passes.run(ctx, rows)
		e.end()
		if err != nil {
			return err
		}
	}
	return nil
}

// beginRows clears the outcome of rows.
func beginRows(rows []Row) {
	for i := range rows {
		r := &rows[i]
		r.Taken, r.ID, r.Logprob, r.Alternatives, r.Err, r.done = 0, -1, 0, r.Alternatives[:0], nil, false
	}
}

// run runs the model once over the tokens that rows have left. It reports whether more may be left.
func (p *passes) run(ctx context.Context, rows []Row) (more bool, err error) {
	p.fill(rows, p.h.passRows())
	if len(p.order) == 0 {
		return false, nil
	}
	if err := p.k.revive(ctx, p.seqs); err != nil {
		return false, err
	}
	p.masks.Begin()
	err = p.h.exec.ForwardContext(ctx, &p.batch)
	p.masks.Wait()
	if err != nil {
		for _, s := range p.seqs {
			s.lose(err)
		}
		return false, p.h.dev.Fault(err)
	}
	p.t.count(p.h.exec, func(s *Stats) { s.Work.count(&p.batch) })
	for q, i := range p.order {
		r := &rows[i]
		n := int(p.batch.Seqs[q].Len)
		p.k.note(r.Seq, r.Tokens[r.Taken:r.Taken+n]...)
		if r.Prompt {
			r.Err = r.Sampler.AcceptPrompt(r.Tokens[r.Taken : r.Taken+n])
		}
		r.Taken += n
		r.done = r.Err != nil || r.Taken == len(r.Tokens)
		more = more || !r.done
	}
	for out, end := range p.ends {
		p.take(&rows[end.row], end.pos, p.h.exec.Logits(out))
	}
	p.k.keep()
	return more || len(p.order) < len(rows), nil
}

// fill makes the next batch, of so many tokens at most. Rows that cannot be part of it get their Err.
func (p *passes) fill(rows []Row, tokens int) {
	p.batch.Reset()
	p.ends, p.order, p.seqs = p.ends[:0], p.order[:0], p.seqs[:0]
	p.masks.Clear()
	p.t.mark++
	outs, seqs := p.h.sizes.Outs, p.h.sizes.Seqs
	for i := range rows {
		r := &rows[i]
		if r.done {
			continue
		}
		if r.Err = p.check(r); r.Err != nil {
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
		p.batch.Add(r.Seq.slot, r.Tokens[from:from+n], wanted)
		for pos := from + n - wanted; pos < from+n; pos++ {
			p.ends = append(p.ends, outEnd{i, pos})
		}
		p.order, p.seqs = append(p.order, i), append(p.seqs, r.Seq)
		if r.Want == WantDraw && wanted > 0 {
			p.masks.Add(r.Sampler)
		}
		tokens, outs, seqs = tokens-n, outs-wanted, seqs-1
	}
}

// last returns for how many of the last tokens logits are needed.
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
func (p *passes) check(r *Row) error {
	if err := p.t.check(r.Seq); err != nil {
		return err
	}
	if r.Seq.mark == p.t.mark {
		return errTwice
	}
	r.Seq.mark = p.t.mark
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
			if t < 0 || t >= p.h.model.Vocab {
				return fmt.Errorf("engine: row: token %d: want an id below %d, got %d", i, p.h.model.Vocab, t)
			}
		}
	}
	if r.Want == WantDraw || r.Prompt {
		if err := p.h.checkSampler(r.Sampler); err != nil {
			return err
		}
	}
	return p.k.checkState(r.Seq)
}

var errTwice = errors.New("engine: the sequence is given twice")

func (h *host) checkSampler(s *sample.Sampler) error {
	if s == nil || s.Vocabulary() != h.model.Vocab {
		return fmt.Errorf("engine: want a sampler of %d ids", h.model.Vocab)
	}
	return nil
}

// take gives a row the logits after one of its tokens.
func (p *passes) take(r *Row, pos int, logits []float32) {
	switch {
	case r.Err != nil:
	case r.Want == WantLogits:
		r.Err = r.Each(pos, logits)
	default:
		start := time.Now()
		d := hostdraw.Draw{Sampler: r.Sampler, Logits: logits, Logprobs: r.Logprobs, Top: r.Top, Alternatives: r.Alternatives}
		d.Run()
		r.ID, r.Logprob, r.Alternatives, r.Err = d.ID, d.Logprob, d.Alternatives, d.Err
		p.t.drew(1, time.Since(start))
	}
	if r.Err != nil {
		r.done = true
	}
}
