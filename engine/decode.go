package engine

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan"
)

// Continuation is one sequence's share of a Decode.
type Continuation struct {
	Slot    Slot
	Token   int // drawn last and not yet fed; Decode moves it on
	Sampler *sample.Sampler
	Ends    []int // tokens after which the sequence draws no more
}

// drawer is an executor that draws tokens itself, many in one submission: see vulkan.Exec.
type drawer interface {
	Decode(draws []vulkan.Draw, n int) ([]uint32, error)
	RestoreState(i, slot int) error
	DrawsOnDevice(seqs int) (bool, error)
}

var _ drawer = (*vulkan.Exec)(nil)

// decoding is what Decode keeps between calls, so that it allocates nothing for a token.
type decoding struct {
	live   []int // inputs that go on
	inputs []Input
	tokens []int // one for each of inputs
	draws  []vulkan.Draw
	pace   map[int]pace // by number of sequences
	more   []bool       // of live
}

// pace is how many steps a submission takes.
type pace struct {
	steps int
	step  time.Duration // of the last
}

// burst is the longest that a submission should take, so that text appears smoothly and other work has its turn.
const burst = 45 * time.Millisecond

// next returns how many steps to take of n: as many as fit a burst, but at most double those of the time before.
func (p pace) next(n int) int {
	steps := 1
	for 2*steps <= min(n, vulkan.MaxDecodeSteps) && steps <= p.steps && time.Duration(2*steps)*p.step <= burst {
		steps *= 2
	}
	return steps
}

// Decode continues sequences: it feeds each its Token, draws the next by its Sampler, which accepts it, and so on, up to
// n times. For every token drawn it calls each, with the input's index, which tells whether the sequence shall go on.
// A sequence that is not to go on, or drew one of its Ends, holds the state before that token was fed. Tokens are drawn
// on the device where it can and that is faster: many in one submission, if no sampler has a mask, which may change with
// each token.
//
// On an error from each the input's state is the one before its last token was fed; on any error the states of the other
// inputs are undefined.
func (e *Engine) Decode(in []Continuation, n int, each func(input, id int) (more bool, err error)) error {
	d := &e.decode
	d.live = d.live[:0]
	for i := range in {
		if err := e.checkContinuation(in, i); err != nil {
			return err
		}
		d.live = append(d.live, i)
	}
	dev, canDraw := e.exec.(drawer)
	for n > 0 && len(d.live) > 0 {
		seqs := min(len(d.live), e.sizes.Seqs, e.sizes.Outs, e.sizes.Rows)
		if seqs < len(d.live) {
			return fmt.Errorf("engine: decode: want at most %d sequences, got %d", seqs, len(d.live))
		}
		var steps int
		var err error
		onDevice := false
		if canDraw {
			if onDevice, err = dev.DrawsOnDevice(seqs); err != nil {
				return e.dev.fault(err)
			}
		}
		if onDevice {
			steps, err = e.drawOnDevice(dev, in, n, each)
		} else {
			steps, err = 1, e.drawOnHost(in, each)
		}
		if err != nil {
			return err
		}
		n -= steps
		kept := d.live[:0]
		for j, i := range d.live {
			if d.more[j] {
				kept = append(kept, i)
			}
		}
		d.live = kept
	}
	return nil
}

func (e *Engine) checkContinuation(in []Continuation, i int) error {
	c := &in[i]
	if err := e.checkSlot(c.Slot); err != nil {
		return err
	}
	for j := range i {
		if in[j].Slot == c.Slot {
			return fmt.Errorf("engine: inputs %d and %d: both in slot %d", j, i, c.Slot)
		}
	}
	if c.Token < 0 || c.Token >= e.Model.Vocab {
		return fmt.Errorf("engine: input %d: want an id below %d, got %d", i, e.Model.Vocab, c.Token)
	}
	if c.Sampler == nil || c.Sampler.Vocabulary() != e.Model.Vocab {
		return fmt.Errorf("engine: input %d: want a sampler of %d ids", i, e.Model.Vocab)
	}
	return nil
}

// take has a sequence accept a drawn token and asks each whether it goes on.
func (c *Continuation) take(i, id int, each func(input, id int) (bool, error)) (more bool, err error) {
	if err := c.Sampler.Accept(id); err != nil {
		return false, err
	}
	c.Token = id
	more, err = each(i, id)
	return more && !slices.Contains(c.Ends, id), err
}

// drawOnHost takes one step of the live sequences, whose tokens the samplers draw.
func (e *Engine) drawOnHost(in []Continuation, each func(input, id int) (bool, error)) error {
	d := &e.decode
	d.inputs, d.tokens, d.more = d.inputs[:0], d.tokens[:0], d.more[:0]
	for _, i := range d.live {
		d.tokens = append(d.tokens, in[i].Token)
	}
	for j, i := range d.live {
		d.inputs = append(d.inputs, Input{in[i].Slot, d.tokens[j : j+1], 1})
		d.more = append(d.more, false)
	}
	return e.Step(d.inputs, func(j, _ int, logits []float32) error {
		i := d.live[j]
		start := time.Now()
		id, err := in[i].Sampler.Sample(logits)
		e.work.Drawing += time.Since(start)
		e.work.HostDraws++
		if err == nil {
			d.more[j], err = in[i].take(i, id, each)
		}
		return err
	})
}

// drawOnDevice takes some steps of the live sequences in one submission and returns how many.
func (e *Engine) drawOnDevice(dev drawer, in []Continuation, n int, each func(input, id int) (bool, error)) (steps int, err error) {
	d := &e.decode
	d.draws, d.more = d.draws[:0], d.more[:0]
	for _, i := range d.live {
		c := &in[i]
		d.draws = append(d.draws, vulkan.Draw{Slot: int(c.Slot), Token: c.Token, Sampler: c.Sampler, Ends: c.Ends})
		d.more = append(d.more, true)
		if c.Sampler.HasMask() {
			n = 1
		}
	}
	steps = d.pace[len(d.draws)].next(n)
	start := time.Now()
	ids, err := dev.Decode(d.draws, steps)
	if err != nil {
		return 0, e.dev.fault(err)
	}
	if d.pace == nil {
		d.pace = map[int]pace{}
	}
	d.pace[len(d.draws)] = pace{steps, time.Since(start) / time.Duration(steps)}
	e.work.countDecode(len(d.draws), steps)
	for step := range steps {
		for j, i := range d.live {
			if !d.more[j] {
				continue
			}
			id := ids[step*len(d.live)+j]
			if err := vulkan.DrawError(id); err != nil {
				return 0, err
			}
			d.more[j], err = in[i].take(i, int(id), each)
			if !d.more[j] || err != nil {
				err = errors.Join(err, e.rewind(dev, j, step, steps, ids))
			}
			if err != nil {
				return 0, err
			}
		}
	}
	return steps, nil
}

// rewind gives the j-th live sequence, which took the ids up to that of a step, the state from before that id was fed.
func (e *Engine) rewind(dev drawer, j, step, steps int, ids []uint32) error {
	d := &e.decode
	draw := &d.draws[j]
	id := int(ids[step*len(d.draws)+j])
	if step == steps-1 || slices.Contains(draw.Ends[:min(len(draw.Ends), vulkan.MaxEnds)], id) {
		return nil // the device went no further
	}
	if err := dev.RestoreState(j, draw.Slot); err != nil {
		return e.dev.fault(err)
	}
	// One by one, which is what they were fed by: the state shall be the same to the last bit.
	d.tokens = append(d.tokens[:0], draw.Token)
	for s := range step {
		d.tokens = append(d.tokens, int(ids[s*len(d.draws)+j]))
	}
	for i := range d.tokens {
		e.batch.Reset()
		e.batch.Add(draw.Slot, d.tokens[i:i+1], 0)
		if err := e.exec.Forward(&e.batch); err != nil {
			return e.dev.fault(err)
		}
	}
	return nil
}
