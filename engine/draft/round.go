package draft

import (
	"context"
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/hostdraw"
)

// mostUnfed is how many tokens of the text may be fed again and again, beside proposals, before a pass of their own.
const mostUnfed = 8

// round is the sequence that a Burst continues, and a round of it. Its memory is used again.
type round struct {
	c    []engine.Continuation // one
	of   *engine.Continuation  // that one
	each func(i, id int) bool
	text []int // all ids, with of.Token as the last
	// unfed is how many of the last ids of text the sequence has not seen. of.Token is always one of them.
	unfed int

	proposed []int
	ahead    *engine.Seq // of the draft; it has seen the text and all that is proposed but for the last id; nil: none
	foresee  func(i, id int) bool

	tokens []int // of the pass
	drawn  int   // tokens in this round
	right  int   // proposals that were drawn too
	over   bool  // no more is drawn in this round
	draw   hostdraw.Draw

	rows [1]engine.Row
	next [1]engine.Continuation
}

// begin takes a sequence on.
func (r *round) begin(c []engine.Continuation, text []int, each func(i, id int) bool) {
	r.c, r.of, r.each, r.unfed = c, &c[0], each, 1
	r.text = append(append(r.text[:0], text...), r.of.Token)
	if r.foresee == nil {
		r.foresee = func(_, id int) bool {
			r.proposed = append(r.proposed, id)
			return true
		}
	}
}

// forget drops what belongs to the caller.
func (r *round) forget() {
	r.c, r.of, r.each, r.draw = nil, nil, nil, hostdraw.Draw{}
	r.rows, r.next = [1]engine.Row{}, [1]engine.Continuation{}
}

// drop gives back the draft's second sequence.
func (r *round) drop() {
	if r.ahead != nil {
		r.ahead.Release()
		r.ahead = nil
	}
}

// speculate draws the tokens of one round with at most k proposals.
func (d *Drafter) speculate(ctx context.Context, k int) (drawn int, err error) {
	r := &d.round
	clock := d.clock()
	if err := d.propose(ctx, k); err != nil {
		return 0, err
	}
	defer r.drop()
	if len(r.proposed) == 0 {
		return d.plain(ctx, 1)
	}
	if r.unfed > mostUnfed {
		if err := d.settle(ctx); err != nil {
			return 0, err
		}
	}
	d.spare.Release()
	spare, err := d.main.Fork(r.of.Seq)
	if err != nil {
		return 0, err
	}
	d.spare = spare
	if err := d.verify(ctx); err != nil {
		return r.drawn, err
	}
	d.advance()
	d.stats.Rounds++
	d.stats.Proposed += len(r.proposed)
	d.stats.Accepted += r.right
	d.stats.Drawn += r.drawn
	if line := d.gauge.round(len(r.proposed), r.right, len(r.tokens), clock()); line != "" {
		d.notice(line)
	}
	return r.drawn, nil
}

// verify feeds the proposals to the spare sequence and draws by the logits.
func (d *Drafter) verify(ctx context.Context) error {
	r := &d.round
	before := len(r.text)
	r.tokens = append(append(r.tokens[:0], r.text[before-r.unfed:]...), r.proposed...)
	r.drawn, r.right, r.over = 0, 0, false
	first := r.unfed - 1 // the place of the first logits
	r.rows[0] = engine.Row{Seq: d.spare, Tokens: r.tokens, Want: engine.WantLogits, Last: len(r.proposed) + 1,
		Each: func(pos int, logits []float32) error { return r.judge(pos-first, logits) }}
	err := d.main.Feed(ctx, r.rows[:])
	r.unfed += r.drawn
	if err != nil {
		return err
	}
	if r.of.Err = r.rows[0].Err; r.of.Err != nil {
		r.of.Over = true
		return nil
	}
	if r.drawn == len(r.proposed)+1 { // all that was fed belongs to the text
		if err := d.main.Swap(r.of.Seq, d.spare); err != nil {
			return err
		}
		r.unfed = 1
	}
	return nil
}

// judge draws the round's i-th token. If it is the i-th proposal, the next logits are those behind it.
func (r *round) judge(i int, logits []float32) error {
	if r.over {
		return nil
	}
	c := r.of
	r.draw = hostdraw.Draw{Sampler: c.Sampler, Logits: logits, Logprobs: c.Logprobs, Top: c.Top, Alternatives: c.Alternatives}
	r.draw.Run()
	if r.draw.Err != nil {
		return r.draw.Err
	}
	id := r.draw.ID
	c.Token, c.Logprob, c.Alternatives = id, r.draw.Logprob, r.draw.Alternatives
	r.text = append(r.text, id)
	r.drawn++
	same := i < len(r.proposed) && id == r.proposed[i]
	if same {
		r.right++
	}
	c.Over = !r.each(0, id) || slices.Contains(c.Ends, id) || c.Sampler.Done()
	r.over = c.Over || !same
	return nil
}

// advance moves the draft on behind what was right.
func (d *Drafter) advance() {
	r := &d.round
	if n := len(r.proposed) - 1; r.ahead != nil && r.right >= n {
		d.seq.Release()
		d.seq, r.ahead = r.ahead, nil
		d.seen = append(d.seen, r.proposed[:n]...)
	}
}
