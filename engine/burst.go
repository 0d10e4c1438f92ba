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

	// The outcome.
	Logprob      float32            // of Token, by the model's own distribution
	Alternatives []sample.Candidate // the Top likeliest ids; its memory is used again
	Over         bool               // the sequence ended, and takes no part in further bursts
	Err          error              // what it ended by, if that is a mistake of its own
}

// alone reports whether the sequence takes part in one step of a burst only: its mask may change with each token, or
// the host has to draw.
func (c *Continuation) alone() bool { return c.Sampler.Limited() || c.onHost() }

// onHost reports whether only the host can draw.
func (c *Continuation) onHost() bool { return c.Logprobs || c.Top > 0 }

// drawer is an executor that draws tokens itself, many in one submission: see vulkan.Exec.
type drawer interface {
	DecodeBeside(draws []vulkan.Draw, n int, beside func()) ([]uint32, error)
	RestoreState(i, slot int) error
	DrawsOnDevice(seqs int) (bool, error)
	DecodeSteps(seqs, most int) int
}

var _ drawer = (*vulkan.Exec)(nil)

// bursts makes bursts of continuations. Only the holder of the turn may use it. It keeps memory between calls, so that
// a token costs no allocation.
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

// Burst continues sequences by one submission. It feeds each sequence its Token and draws the next one by its Sampler,
// which accepts it, and so on: most steps at most, fewer if they would take long or memory is short. It returns how
// many steps it took, 0 if all sequences are over. It calls each for every token drawn, with the continuation's index;
// each returns whether the sequence shall go on. A sequence that shall not go on, or that drew one of its Ends, is
// Over, and has the state before that token was fed. The device draws if it can and is faster. A sequence takes the
// first step only if its sampler is Limited, or if it asks for log-probabilities; the others take all steps. A
// constraint makes its mask while the device works. An id that a constraint forces is drawn like any other. To feed
// several forced ids at once, have the sampler Accept what it has Forced, and Feed it. A sequence whose constraint is
// Done is Over.
//
// If a sequence fails, its Err says why, and it is Over. That concerns no other sequence. The error returned is the
// device's or ctx's. Burst looks at ctx before the submission. Tokens that each was told count in any case. Pass says
// what an error means for the sequences' states.
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

// run is Burst for the holder of the turn.
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

// forget drops the samplers and continuations of a burst.
func (b *bursts) forget() {
	b.masks.Clear()
	b.host.Clear()
}

// gather notes the continuations that are not over.
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

// take continues a sequence by a token that its sampler has accepted. The token before it was fed.
func (c *Continuation) take(k *keeper, i, id int, each func(i, id int) bool) {
	k.note(c.Seq, c.Token)
	c.Token = id
	c.Over = !each(i, id) || slices.Contains(c.Ends, id) || c.Sampler.Done()
}

// fail ends a sequence from whose logits nothing can be drawn. The token before was fed.
func (c *Continuation) fail(k *keeper, err error) {
	k.note(c.Seq, c.Token)
	c.Err, c.Over = err, true
}
