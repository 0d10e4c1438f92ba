package engine

import (
	"errors"
	"slices"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/hostdraw"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// onHost takes one step of the live sequences. The samplers draw their tokens.
func (b *bursts) onHost(c []Continuation, each func(i, id int) bool) error {
	b.batch.Reset()
	for _, i := range b.live {
		b.fed = append(b.fed[:0], c[i].Token)
		b.batch.Add(c[i].Seq.slot, b.fed, 1)
		b.masks.Add(c[i].Sampler)
	}
	b.masks.Begin()
	err := b.h.exec.Forward(&b.batch)
	b.masks.Wait()
	if err != nil {
		b.lose(c, err)
		return b.h.dev.Fault(err)
	}
	b.t.count(b.h.exec, func(s *Stats) { s.Work.count(&b.batch) })
	for j, i := range b.live {
		b.addDraw(&c[i], b.h.exec.Logits(j))
	}
	b.drawAll()
	for j, i := range b.live {
		b.takeDrawn(&c[i], i, &b.host.List[j], each)
	}
	return nil
}

// addDraw adds a draw to those on the host.
func (b *bursts) addDraw(x *Continuation, logits []float32) {
	b.host.List = append(b.host.List, hostdraw.Draw{Sampler: x.Sampler, Logits: logits, Logprobs: x.Logprobs, Top: x.Top,
		Alternatives: x.Alternatives})
}

// drawAll draws on the host what was added.
func (b *bursts) drawAll() {
	if len(b.host.List) == 0 {
		return
	}
	start := time.Now()
	b.host.Run()
	b.t.drew(len(b.host.List), time.Since(start))
}

// takeDrawn continues the i-th continuation by the token that the host drew for it.
func (b *bursts) takeDrawn(x *Continuation, i int, d *hostdraw.Draw, each func(i, id int) bool) {
	x.Logprob, x.Alternatives = d.Logprob, d.Alternatives
	if d.Err != nil {
		x.fail(b.k, d.Err)
		return
	}
	x.take(b.k, i, d.ID, each)
}

// lose is that of the live sequences.
func (b *bursts) lose(c []Continuation, err error) {
	for _, i := range b.live {
		c[i].Seq.lose(err)
	}
}

// onDevice takes some steps of the live sequences in one submission and returns how many.
func (b *bursts) onDevice(dev drawer, c []Continuation, most int, each func(i, id int) bool) (steps int, err error) {
	ids, steps, err := b.decode(dev, c, most)
	if err != nil {
		b.lose(c, err)
		return 0, b.h.dev.Fault(err)
	}
	b.t.count(b.h.exec, func(s *Stats) { s.Work.countDecode(b.draws, steps) })
	for j, i := range b.live {
		if b.draws[j].OnHost {
			b.addDraw(&c[i], b.h.exec.Logits(j))
		}
	}
	b.drawAll()
	hosted := 0
	for step := range steps {
		for j, i := range b.live {
			x := &c[i]
			switch {
			case x.Over || b.stopped[j] || step > 0 && b.draws[j].Once:
			case b.draws[j].OnHost:
				b.takeDrawn(x, i, &b.host.List[hosted], each)
				hosted++
			default:
				id := ids[step*len(b.live)+j]
				stop := b.takeID(x, i, id, each)
				if b.stopped[j] = stop; stop && vulkan.DrawError(id) == nil {
					err = errors.Join(err, b.rewind(dev, x, j, step, steps, ids))
				}
			}
		}
	}
	return steps, err
}

// decode runs some steps of the live sequences on the device. Missing masks are made while the first step runs.
func (b *bursts) decode(dev drawer, c []Continuation, most int) (ids []uint32, steps int, err error) {
	b.draws, b.stopped = b.draws[:0], b.stopped[:0]
	alone, late := true, false
	for _, i := range b.live {
		x := &c[i]
		b.draws = append(b.draws, vulkan.Draw{Slot: x.Seq.slot, Token: x.Token, Sampler: x.Sampler, Ends: x.Ends,
			Once: x.alone(), OnHost: x.onHost()})
		b.stopped = append(b.stopped, false)
		alone = alone && x.alone()
		late = b.masks.Add(x.Sampler) || late
	}
	if alone {
		most = 1
	}
	if b.steps != nil {
		steps = b.steps(len(b.draws), most)
	} else {
		steps = dev.DecodeSteps(len(b.draws), most)
	}
	var beside func()
	if late {
		beside = b.masks.Make
	}
	ids, err = dev.DecodeBeside(b.draws, steps, beside)
	if steps > 1 && op.IsNotRun(err) && errors.Is(err, ErrOutOfMemory) { // for copies of the states: one step needs none
		steps = 1
		ids, err = dev.DecodeBeside(b.draws, steps, beside)
	}
	return ids, steps, err
}

// takeID continues the i-th continuation by the id that the device drew for it. stop reports whether later ids of the
// device for it do not count: it is over, or its constraint's mask lasted until now and is another one.
func (b *bursts) takeID(x *Continuation, i int, id uint32, each func(i, id int) bool) (stop bool) {
	err := x.Sampler.Prepare() // the error of a mask that was made beside the device
	lasts := !x.Sampler.Limited()
	if err == nil {
		err = vulkan.DrawError(id)
	}
	if err == nil {
		err = x.Sampler.Accept(int(id))
	}
	if err != nil {
		x.fail(b.k, err)
		return true
	}
	if x.take(b.k, i, int(id), each); x.Over {
		return true
	}
	// A constraint whose mask lasts is asked at once, since that costs little. Its error comes again with the next draw.
	return lasts && x.Sampler.Unprepared() && (x.Sampler.Prepare() != nil || !x.Sampler.Same())
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
	// One by one, as they were fed, though not beside the others. With Options.Exact the state is the same to the last
	// bit.
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
