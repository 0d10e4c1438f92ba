package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan"
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
func (c *Continuation) alone() bool { return c.Sampler.HasMask() || c.onHost() }

// onHost reports whether only the host can draw.
func (c *Continuation) onHost() bool { return c.Logprobs || c.Top > 0 || c.Sampler.Biased() }

// drawer is an executor that draws tokens itself, many in one submission: see vulkan.Exec.
type drawer interface {
	Decode(draws []vulkan.Draw, n int) ([]uint32, error)
	RestoreState(i, slot int) error
	DrawsOnDevice(seqs int) (bool, error)
}

var _ drawer = (*vulkan.Exec)(nil)

// decoding is what Burst keeps between calls, so that it allocates nothing for a token.
type decoding struct {
	live  []int // continuations that go on
	draws []vulkan.Draw
	fed   []int
	pace  map[int]pace // by number of sequences
}

// pace is how many steps a submission takes.
type pace struct {
	steps int
	step  time.Duration // of the last
}

// longestBurst is the longest that a submission should take, so that text appears smoothly and other work has its turn.
const longestBurst = 45 * time.Millisecond

// next returns how many steps to take of n: as many as fit a burst, but at most double those of the time before.
func (p pace) next(n int) int {
	steps := 1
	for 2*steps <= min(n, vulkan.MaxDecodeSteps) && steps <= p.steps && time.Duration(2*steps)*p.step <= longestBurst {
		steps *= 2
	}
	return steps
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
	d := &e.decode
	if err := e.gather(c); err != nil || len(d.live) == 0 {
		return 0, err
	}
	if err := e.reviveLive(ctx, c); err != nil {
		return 0, err
	}
	dev, canDraw := e.exec.(drawer)
	if canDraw {
		if canDraw, err = dev.DrawsOnDevice(len(d.live)); err != nil {
			return 0, e.dev.fault(err)
		}
	}
	if canDraw {
		steps, err = e.drawOnDevice(dev, c, most, each)
	} else {
		steps, err = 1, e.drawOnHost(c, each)
	}
	if err == nil {
		e.keep()
	}
	return steps, err
}

// gather notes the continuations that go on.
func (e *Engine) gather(c []Continuation) error {
	d := &e.decode
	d.live = d.live[:0]
	e.mark++
	for i := range c {
		if c[i].Over {
			continue
		}
		if c[i].Err = e.checkContinuation(&c[i]); c[i].Err != nil {
			c[i].Over = true
			continue
		}
		d.live = append(d.live, i)
	}
	if most := min(e.sizes.Seqs, e.sizes.Outs, e.sizes.Rows); len(d.live) > most {
		return fmt.Errorf("engine: burst: want at most %d sequences, got %d", most, len(d.live))
	}
	return nil
}

func (e *Engine) checkContinuation(c *Continuation) error {
	if err := e.checkSeq(c.Seq); err != nil {
		return err
	}
	if c.Seq.mark == e.mark {
		return errTwice
	}
	c.Seq.mark = e.mark
	switch {
	case c.Token < 0 || c.Token >= e.Model.Vocab:
		return fmt.Errorf("engine: continuation: want an id below %d, got %d", e.Model.Vocab, c.Token)
	case c.Top < 0:
		return fmt.Errorf("engine: continuation: want 0 or more alternatives, got %d", c.Top)
	}
	if err := e.checkSampler(c.Sampler); err != nil {
		return err
	}
	return e.checkState(c.Seq)
}

// take goes on with a sequence by a token that its sampler has accepted: the one before it was fed.
func (c *Continuation) take(e *Engine, i, id int, each func(i, id int) bool) {
	e.note(c.Seq, c.Token)
	c.Token = id
	c.Over = !each(i, id) || slices.Contains(c.Ends, id)
}

// fail ends a sequence of whose logits nothing can be drawn. The token before was fed.
func (c *Continuation) fail(e *Engine, err error) {
	e.note(c.Seq, c.Token)
	c.Err, c.Over = err, true
}

// drawLogits draws a sequence's token on the host.
func (e *Engine) drawLogits(c *Continuation, i int, logits []float32, each func(i, id int) bool) {
	id, logprob, alternatives, err := e.draw(c.Sampler, logits, c.Logprobs, c.Top, c.Alternatives)
	if err != nil {
		c.fail(e, err)
		return
	}
	c.Logprob, c.Alternatives = logprob, alternatives
	c.take(e, i, id, each)
}

// drawOnHost takes one step of the live sequences, whose tokens the samplers draw.
func (e *Engine) drawOnHost(c []Continuation, each func(i, id int) bool) error {
	d := &e.decode
	e.batch.Reset()
	for _, i := range d.live {
		d.fed = append(d.fed[:0], c[i].Token)
		e.batch.Add(c[i].Seq.slot, d.fed, 1)
	}
	if err := e.exec.Forward(&e.batch); err != nil {
		e.lose(c)
		return e.dev.fault(err)
	}
	e.count(func(s *Stats) { s.Work.count(&e.batch) })
	for j, i := range d.live {
		e.drawLogits(&c[i], i, e.exec.Logits(j), each)
	}
	return nil
}

// lose notes that the states of the live sequences are not what was fed.
func (e *Engine) lose(c []Continuation) {
	for _, i := range e.decode.live {
		c[i].Seq.stale = true
	}
}

// drawOnDevice takes some steps of the live sequences in one submission and returns how many.
func (e *Engine) drawOnDevice(dev drawer, c []Continuation, most int, each func(i, id int) bool) (steps int, err error) {
	d := &e.decode
	d.draws = d.draws[:0]
	alone := true
	for _, i := range d.live {
		x := &c[i]
		d.draws = append(d.draws, vulkan.Draw{Slot: x.Seq.slot, Token: x.Token, Sampler: x.Sampler, Ends: x.Ends, Once: x.alone(), OnHost: x.onHost()})
		alone = alone && x.alone()
	}
	if alone {
		most = 1
	}
	steps = d.pace[len(d.draws)].next(most)
	start := time.Now()
	ids, err := dev.Decode(d.draws, steps)
	if err != nil {
		e.lose(c)
		return 0, e.dev.fault(err)
	}
	if d.pace == nil {
		d.pace = map[int]pace{}
	}
	d.pace[len(d.draws)] = pace{steps, time.Since(start) / time.Duration(steps)}
	e.count(func(s *Stats) { s.Work.countDecode(d.draws, steps) })
	for step := range steps {
		for j, i := range d.live {
			x := &c[i]
			if x.Over || step > 0 && d.draws[j].Once {
				continue
			}
			if d.draws[j].OnHost {
				e.drawLogits(x, i, e.exec.Logits(j), each)
				continue // the device went no further
			}
			id := ids[step*len(d.live)+j]
			bad := vulkan.DrawError(id)
			if bad == nil {
				bad = x.Sampler.Accept(int(id))
			}
			if bad != nil {
				x.fail(e, bad)
				continue
			}
			if x.take(e, i, int(id), each); x.Over {
				err = errors.Join(err, e.rewind(dev, x, j, step, steps, ids))
			}
		}
	}
	return steps, err
}

// rewind gives the j-th live sequence, which took the ids up to that of a step, the state from before that id was fed.
func (e *Engine) rewind(dev drawer, c *Continuation, j, step, steps int, ids []uint32) error {
	d := &e.decode
	draw := &d.draws[j]
	id := int(ids[step*len(d.draws)+j])
	if step == steps-1 || draw.Once || slices.Contains(draw.Ends[:min(len(draw.Ends), vulkan.MaxEnds)], id) {
		return nil // the device went no further
	}
	if err := dev.RestoreState(j, draw.Slot); err != nil {
		c.Seq.stale = true
		return e.dev.fault(err)
	}
	// One by one, which is what they were fed by: the state shall be the same to the last bit.
	d.fed = append(d.fed[:0], draw.Token)
	for s := range step {
		d.fed = append(d.fed, int(ids[s*len(d.draws)+j]))
	}
	for i := range d.fed {
		e.batch.Reset()
		e.batch.Add(draw.Slot, d.fed[i:i+1], 0)
		if err := e.exec.Forward(&e.batch); err != nil {
			c.Seq.stale = true
			return e.dev.fault(err)
		}
	}
	return nil
}
