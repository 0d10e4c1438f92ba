package draft

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
)

// Options set how a Drafter works. The zero value is good.
type Options struct {
	Most   int               // most ids that the draft draws ahead; 0 is DefaultMost
	Notice func(line string) // is told, once each, that the draft was turned off, and that it failed; may be nil
}

// DefaultMost is the value that 0 stands for in Options.Most.
const DefaultMost = 6

// Slots is how many of the main engine's slots a Drafter has for itself.
const Slots = 1

// SmallSlots is how many slots the draft's engine needs.
const SmallSlots = 2

// plainPiece is the most tokens that are drawn at once without the draft, since their times are measured.
const plainPiece = 16

// Stats counts what a Drafter did.
type Stats struct {
	Rounds   int
	Proposed int // ids that the draft drew ahead
	Accepted int // of them, that the main model drew too
	Drawn    int // tokens of the rounds
	Plain    int // tokens drawn without the draft
	Off      bool
}

// Drafter continues one sequence at a time, with a draft. It belongs to one goroutine at a time.
type Drafter struct {
	main, small *engine.Engine
	options     Options
	gauge       gauge
	stats       Stats
	broken      bool // the draft's engine failed

	spare *engine.Seq // of main, on which passes run that may have to be taken back
	seq   *engine.Seq // of small
	seen  []int       // what seq has seen

	round round
}

// New returns a drafter for sequences of an engine. small runs the draft. It needs SmallSlots slots, and main Slots more
// than its sequences. Both must outlive the drafter. The ids of both models must mean the same; New can only see that
// there are as many.
func New(main, small *engine.Engine, o Options) (*Drafter, error) {
	if m, s := main.Model, small.Model; m.Vocab != s.Vocab {
		return nil, fmt.Errorf("draft: %s: want the vocabulary of %s, of %d ids, got one of %d", s.File.Path, m.File.Path, m.Vocab, s.Vocab)
	}
	if o.Most <= 0 {
		o.Most = DefaultMost
	}
	o.Most = min(o.Most, mostProposals)
	d := &Drafter{main: main, small: small, options: o, gauge: newGauge(o.Most)}
	var err error
	if d.spare, err = main.NewSeq(nil); err != nil {
		return nil, err
	}
	if d.seq, err = small.NewSeq(nil); err != nil {
		d.spare.Release()
		return nil, err
	}
	return d, nil
}

// Close gives back the slots. The engines stay open.
func (d *Drafter) Close() {
	d.spare.Release()
	d.seq.Release()
}

// Stats returns the counts so far.
func (d *Drafter) Stats() Stats {
	s := d.stats
	s.Off = d.gauge.off() || d.broken
	return s
}

// Burst does what the main engine's Burst does. With one continuation it draws most tokens, fewer if the sequence is
// over. text has all ids before c[0].Token that led to the sequence's state, as far as they are known; the draft reads
// what it has not seen of them. With several continuations the draft does nothing. After an error the sequence may not
// have seen all ids that were told: Unfed says how many.
func (d *Drafter) Burst(ctx context.Context, c []engine.Continuation, text []int, most int, each func(i, id int) (more bool)) (steps int, err error) {
	r := &d.round
	if len(c) != 1 || c[0].Over {
		r.unfed = 1
		return d.main.Burst(ctx, c, most, each)
	}
	r.begin(c, text, each)
	defer r.forget()
	for steps < most && !r.of.Over && err == nil {
		var n int
		if k := min(d.gauge.proposals(), most-steps-1); k > 0 && !d.broken {
			n, err = d.speculate(ctx, k)
		} else {
			n, err = d.plain(ctx, min(most-steps, plainPiece))
		}
		steps += n
	}
	if r.of.Err == nil && (err == nil || ctx.Err() != nil) {
		err = errors.Join(err, d.settle(context.WithoutCancel(ctx)))
	}
	return steps, err
}

// Unfed returns how many of the last ids before the continuation's Token the sequence has not seen, if the last Burst
// failed. They are to be fed before it goes on.
func (d *Drafter) Unfed() int { return d.round.unfed - 1 }

// plain draws tokens without the draft.
func (d *Drafter) plain(ctx context.Context, most int) (steps int, err error) {
	r := &d.round
	if err := d.settle(ctx); err != nil {
		return 0, err
	}
	clock := d.clock()
	steps, err = d.main.Burst(ctx, r.c, most, func(_, id int) bool {
		r.text = append(r.text, id)
		return r.each(0, id)
	})
	d.stats.Plain += steps
	if err == nil && steps > 0 {
		d.gauge.plain(steps, clock())
	}
	return steps, err
}

// settle feeds the sequence all that it has not seen, but for the last token.
func (d *Drafter) settle(ctx context.Context) error {
	r := &d.round
	n := len(r.text)
	if r.unfed <= 1 {
		return nil
	}
	r.rows[0] = engine.Row{Seq: r.of.Seq, Tokens: r.text[n-r.unfed : n-1]}
	err := errors.Join(d.main.Feed(ctx, r.rows[:]), r.rows[0].Err)
	if err == nil {
		r.unfed = 1
	}
	return err
}

// propose has the draft draw ids behind the text, as many as k. It returns none if that fails, and an error only if ctx
// is done.
func (d *Drafter) propose(ctx context.Context, k int) error {
	r := &d.round
	r.proposed = r.proposed[:0]
	err := d.follow()
	smp := r.of.Sampler.Clone()
	if err == nil {
		r.rows[0] = engine.Row{Seq: d.seq, Tokens: r.text[len(d.seen):], Want: engine.WantDraw, Sampler: smp}
		err = d.small.Feed(ctx, r.rows[:])
	}
	if err != nil {
		return d.fail(ctx, err)
	}
	if r.rows[0].Err != nil { // of a constraint, which the main model meets too, or of the draft's logits
		return d.restart()
	}
	d.seen = append(d.seen, r.text[len(d.seen):]...)
	r.proposed = append(r.proposed, r.rows[0].ID)
	if k == 1 || smp.Done() || slices.Contains(r.of.Ends, r.proposed[0]) {
		return nil
	}
	if r.ahead, err = d.small.Fork(d.seq); err != nil {
		return d.fail(ctx, err)
	}
	r.next[0] = engine.Continuation{Seq: r.ahead, Token: r.proposed[0], Sampler: smp, Ends: r.of.Ends}
	for len(r.proposed) < k && !r.next[0].Over {
		if _, err := d.small.Burst(ctx, r.next[:], k-len(r.proposed), r.foresee); err != nil {
			return d.fail(ctx, err)
		}
	}
	return nil
}

// follow makes sure that the draft's sequence has seen a part of the text and nothing else, and not the last token.
func (d *Drafter) follow() error {
	if n, text := len(d.seen), d.round.text; n < len(text) && slices.Equal(d.seen, text[:n]) {
		return nil
	}
	d.seen = d.seen[:0]
	t, err := d.small.Restore([]*engine.Seq{d.seq}, [][]float32{nil})
	if err == nil {
		err = t.Wait()
	}
	return err
}

// restart makes the draft read the text anew the next time.
func (d *Drafter) restart() error {
	d.seen = append(d.seen[:0], -1) // no text begins so
	return nil
}

// fail gives the draft up, unless ctx is done: then it returns ctx's error.
func (d *Drafter) fail(ctx context.Context, err error) error {
	d.round.proposed = d.round.proposed[:0]
	d.round.drop()
	if e := ctx.Err(); e != nil {
		_ = d.restart()
		return e
	}
	if errors.Is(err, engine.ErrDeviceLost) && d.small.Reopen(ctx) == nil {
		return d.restart()
	}
	d.broken = true
	d.notice("the draft failed, so decoding goes on without it: " + err.Error())
	return nil
}

func (d *Drafter) notice(line string) {
	if d.options.Notice != nil {
		d.options.Notice(line)
	}
}

// clock starts a clock that does not run while kernels are measured.
func (d *Drafter) clock() (elapsed func() time.Duration) {
	if d.gauge.clock != nil {
		return d.gauge.clock()
	}
	return d.main.Stopwatch()
}
