package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// Continuation is one sequence's share of a Burst.
type Continuation struct {
	Seq      *Seq
	Token    int // drawn last and not yet fed; Burst moves it on
	Sampler  *sample.Sampler
	Ends     []int // tokens after which the sequence draws no more
	Logprobs bool  // Logprob is asked for
	Top      int   // how many Alternatives are asked for

	// What became of it.
	Logprob      float32            // of Token, by the model's own distribution
	Alternatives []sample.Candidate // the Top likeliest ids; its memory is used again
	Over         bool               // the sequence ended, and takes no part in further bursts
	Err          error              // what it ended by, if that is a mistake of its own
}

// alone reports whether the sequence takes part in one step of a burst only: its mask may change with each token, or the
// host has to draw.
func (c *Continuation) alone() bool { return c.Sampler.Limited() || c.onHost() }

// onHost reports whether only the host can draw.
func (c *Continuation) onHost() bool { return c.Logprobs || c.Top > 0 || c.Sampler.Biased() }

// drawer is an executor that draws tokens itself, many in one submission: see vulkan.Exec.
type drawer interface {
	Decode(draws []vulkan.Draw, n int) ([]uint32, error)
	RestoreState(i, slot int) error
	DrawsOnDevice(seqs int) (bool, error)
	DecodeSteps(seqs, most int) int
}

var _ drawer = (*vulkan.Exec)(nil)

// bursts makes bursts of continuations. Whoever has the turn may use it. What it keeps between calls is there so that a token
// costs no allocation.
type bursts struct {
	h *host
	t *table
	k *keeper

	batch op.Batch
	live  []int // continuations that go on
	seqs  []*Seq
	draws []vulkan.Draw
	fed   []int
	steps func(seqs, most int) int // instead of the executor's, in tests
}

// Burst continues sequences by one submission: it feeds each its Token, draws the next by its Sampler, which accepts it,
// and so on, most steps at most and fewer where they would take long. It returns how many steps were taken; 0 if all
// sequences are over. For every token drawn it calls each, with the continuation's index, which tells whether the
// sequence shall go on. A sequence that is not to go on, or drew one of its Ends, is Over, and holds the state before that
// token was fed. Tokens are drawn on the device where it can and that is faster. Of a sequence whose sampler has a mask, or
// that asks for log-probabilities or has a bias, only the first step counts; the others go on.
//
// What is wrong with a sequence is its Err, by which it is Over; it concerns no other. The error returned is of the device
// or of ctx, which is looked at before the submission; what was drawn and told counts nevertheless. For the sequences'
// states after an error see Pass.
func (e *Engine) Burst(ctx context.Context, c []Continuation, most int, each func(i, id int) (more bool)) (steps int, err error) {
	if most < 1 {
		return 0, nil
	}
	if err := e.begin(ctx); err != nil {
		return 0, err
	}
	defer e.end()
	return e.bursts.run(ctx, c, most, each)
}

// run is Burst of whoever has the turn.
func (b *bursts) run(ctx context.Context, c []Continuation, most int, each func(i, id int) bool) (steps int, err error) {
	if err := b.gather(c); err != nil || len(b.live) == 0 {
		return 0, err
	}
	b.seqs = b.seqs[:0]
	for _, i := range b.live {
		b.seqs = append(b.seqs, c[i].Seq)
	}
	if err := b.k.revive(ctx, b.seqs); err != nil {
		return 0, err
	}
	dev, canDraw := b.h.exec.(drawer)
	if canDraw {
		if canDraw, err = dev.DrawsOnDevice(len(b.live)); err != nil {
			return 0, b.h.dev.Fault(err)
		}
	}
	if canDraw {
		steps, err = b.onDevice(dev, c, most, each)
	} else {
		steps, err = 1, b.onHost(c, each)
	}
	if err == nil {
		b.k.keep()
	}
	return steps, err
}

// gather notes the continuations that go on.
func (b *bursts) gather(c []Continuation) error {
	b.live = b.live[:0]
	b.t.mark++
	for i := range c {
		if c[i].Over {
			continue
		}
		if c[i].Err = b.check(&c[i]); c[i].Err != nil {
			c[i].Over = true
			continue
		}
		b.live = append(b.live, i)
	}
	if most := min(b.h.sizes.Seqs, b.h.sizes.Outs, b.h.sizes.Rows); len(b.live) > most {
		return fmt.Errorf("engine: burst: want at most %d sequences, got %d", most, len(b.live))
	}
	return nil
}

func (b *bursts) check(c *Continuation) error {
	if err := b.t.check(c.Seq); err != nil {
		return err
	}
	if c.Seq.mark == b.t.mark {
		return errTwice
	}
	c.Seq.mark = b.t.mark
	switch {
	case c.Token < 0 || c.Token >= b.h.model.Vocab:
		return fmt.Errorf("engine: continuation: want an id below %d, got %d", b.h.model.Vocab, c.Token)
	case c.Top < 0:
		return fmt.Errorf("engine: continuation: want 0 or more alternatives, got %d", c.Top)
	}
	if err := b.h.checkSampler(c.Sampler); err != nil {
		return err
	}
	if err := b.k.checkState(c.Seq); err != nil {
		return err
	}
	return c.Sampler.Prepare()
}

// take goes on with a sequence by a token that its sampler has accepted: the one before it was fed.
func (c *Continuation) take(k *keeper, i, id int, each func(i, id int) bool) {
	k.note(c.Seq, c.Token)
	c.Token = id
	c.Over = !each(i, id) || slices.Contains(c.Ends, id)
}

// fail ends a sequence of whose logits nothing can be drawn. The token before was fed.
func (c *Continuation) fail(k *keeper, err error) {
	k.note(c.Seq, c.Token)
	c.Err, c.Over = err, true
}

// drawLogits draws a sequence's token on the host.
func (b *bursts) drawLogits(c *Continuation, i int, logits []float32, each func(i, id int) bool) {
	id, logprob, alternatives, err := b.t.draw(c.Sampler, logits, c.Logprobs, c.Top, c.Alternatives)
	if err != nil {
		c.fail(b.k, err)
		return
	}
	c.Logprob, c.Alternatives = logprob, alternatives
	c.take(b.k, i, id, each)
}

// onHost takes one step of the live sequences, whose tokens the samplers draw.
func (b *bursts) onHost(c []Continuation, each func(i, id int) bool) error {
	b.batch.Reset()
	for _, i := range b.live {
		b.fed = append(b.fed[:0], c[i].Token)
		b.batch.Add(c[i].Seq.slot, b.fed, 1)
	}
	if err := b.h.exec.Forward(&b.batch); err != nil {
		b.lose(c)
		return b.h.dev.Fault(err)
	}
	b.t.count(b.h.exec, func(s *Stats) { s.Work.count(&b.batch) })
	for j, i := range b.live {
		b.drawLogits(&c[i], i, b.h.exec.Logits(j), each)
	}
	return nil
}

// lose notes that the states of the live sequences are not what was fed.
func (b *bursts) lose(c []Continuation) {
	for _, i := range b.live {
		c[i].Seq.stale = true
	}
}

// onDevice takes some steps of the live sequences in one submission and returns how many.
func (b *bursts) onDevice(dev drawer, c []Continuation, most int, each func(i, id int) bool) (steps int, err error) {
	b.draws = b.draws[:0]
	alone := true
	for _, i := range b.live {
		x := &c[i]
		b.draws = append(b.draws, vulkan.Draw{Slot: x.Seq.slot, Token: x.Token, Sampler: x.Sampler, Ends: x.Ends, Once: x.alone(), OnHost: x.onHost()})
		alone = alone && x.alone()
	}
	if alone {
		most = 1
	}
	if b.steps != nil {
		steps = b.steps(len(b.draws), most)
	} else {
		steps = dev.DecodeSteps(len(b.draws), most)
	}
	ids, err := dev.Decode(b.draws, steps)
	if err != nil {
		b.lose(c)
		return 0, b.h.dev.Fault(err)
	}
	b.t.count(b.h.exec, func(s *Stats) { s.Work.countDecode(b.draws, steps) })
	for step := range steps {
		for j, i := range b.live {
			x := &c[i]
			if x.Over || step > 0 && b.draws[j].Once {
				continue
			}
			if b.draws[j].OnHost {
				b.drawLogits(x, i, b.h.exec.Logits(j), each)
				continue // the device went no further
			}
			id := ids[step*len(b.live)+j]
			bad := vulkan.DrawError(id)
			if bad == nil {
				bad = x.Sampler.Accept(int(id))
			}
			if bad != nil {
				x.fail(b.k, bad)
				continue
			}
			if x.take(b.k, i, int(id), each); x.Over {
				err = errors.Join(err, b.rewind(dev, x, j, step, steps, ids))
			}
		}
	}
	return steps, err
}

// rewind gives the j-th live sequence, which took the ids up to that of a step, the state from before that id was fed.
func (b *bursts) rewind(dev drawer, c *Continuation, j, step, steps int, ids []uint32) error {
	draw := &b.draws[j]
	id := int(ids[step*len(b.draws)+j])
	if step == steps-1 || draw.Once || slices.Contains(draw.Ends[:min(len(draw.Ends), vulkan.MaxEnds)], id) {
		return nil // the device went no further
	}
	if err := dev.RestoreState(j, draw.Slot); err != nil {
		c.Seq.stale = true
		return b.h.dev.Fault(err)
	}
	// One by one, as they were fed, though not beside the others: with Options.Exact the state is the same to the last bit.
	b.fed = append(b.fed[:0], draw.Token)
	for s := range step {
		b.fed = append(b.fed, int(ids[s*len(b.draws)+j]))
	}
	for i := range b.fed {
		b.batch.Reset()
		b.batch.Add(draw.Slot, b.fed[i:i+1], 0)
		if err := b.h.exec.Forward(&b.batch); err != nil {
			c.Seq.stale = true
			return b.h.dev.Fault(err)
		}
	}
	return nil
}
