package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/engine/hostdraw"
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
	DecodeBeside(draws []vulkan.Draw, n int, beside func()) ([]uint32, error)
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
	fed   []int
	masks hostdraw.Masks
	host  hostdraw.Draws

	draws   []vulkan.Draw // of live
	stopped []bool        // by draw: what the device drew since does not count

	steps func(seqs, most int) int // instead of the executor's, in tests
}

// Burst continues sequences by one submission: it feeds each its Token, draws the next by its Sampler, which accepts it,
// and so on, most steps at most and fewer where they would take long or memory is short. It returns how many steps were taken; 0 if all
// sequences are over. For every token drawn it calls each, with the continuation's index, which tells whether the
// sequence shall go on. A sequence that is not to go on, or drew one of its Ends, is Over, and holds the state before that
// token was fed. Tokens are drawn on the device where it can and that is faster. Of a sequence whose sampler is Limited,
// or that asks for log-probabilities or has a bias, only the first step counts; the others go on. A constraint's mask is made
// while the device works. An id that a constraint forces is drawn like others; to feed several at once, have the sampler Accept
// what it has Forced, and Feed it. A sequence whose constraint is Done is Over.
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
	defer b.forget()
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

// forget drops what belongs to the samplers and continuations of a burst.
func (b *bursts) forget() {
	b.masks.Clear()
	b.host.Clear()
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
	return b.k.checkState(c.Seq)
}

// take goes on with a sequence by a token that its sampler has accepted: the one before it was fed.
func (c *Continuation) take(k *keeper, i, id int, each func(i, id int) bool) {
	k.note(c.Seq, c.Token)
	c.Token = id
	c.Over = !each(i, id) || slices.Contains(c.Ends, id) || c.Sampler.Done()
}

// fail ends a sequence of whose logits nothing can be drawn. The token before was fed.
func (c *Continuation) fail(k *keeper, err error) {
	k.note(c.Seq, c.Token)
	c.Err, c.Over = err, true
}
