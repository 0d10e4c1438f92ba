package compare

import (
	"context"
	"math"
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// A comparison op by op gives the device only what the op may read. All other scratch holds poison. So an element that
// the op fails to write shows, and so does one that it should not read. Both sides get the same state before a pass,
// not before a step, since a device may commit a shift at once.

// poison returns numbers that no op computes. They are finite, since kernels may read padding.
func poison(i int) float32 { return float32(1e6 + i%1013) }

// kernelNamer is an executor that knows which kernels its last RunStep ran.
type kernelNamer interface{ Kernels() []string }

// pass compares the ops of a batch. Then it compares what the device computes when it runs the whole batch at once.
func (c *comparer) pass(ctx context.Context, p *pass) error {
	b := c.batch(p)
	before, err := c.states(c.ref)
	if err != nil {
		return err
	}
	if err := c.setStates(c.dev, before); err != nil {
		return err
	}
	if err := c.dev.ForwardContext(ctx, b); err != nil { // chooses the kernels, too
		return err
	}
	var own []float32
	for i := range b.Outs {
		own = append(own, c.dev.Logits(i)...)
	}
	ownStates, err := c.states(c.dev)
	if err != nil {
		return err
	}
	if err := c.setStates(c.dev, before); err != nil {
		return err
	}
	for _, e := range []op.Prober{c.ref, c.dev} {
		if err := e.Stage(b); err != nil {
			return err
		}
	}
	if c.scratch, c.state, err = c.dev.Arenas(); err != nil {
		return err
	}
	for i := range c.prog.Steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := c.step(p, b, i); err != nil {
			return err
		}
	}
	return c.whole(b, before, own, ownStates)
}

// step compares an op.
func (c *comparer) step(p *pass, b *op.Batch, i int) error {
	o := c.prog.Steps[i].Op
	for j := range c.scratch {
		c.scratch[j] = poison(j)
	}
	if err := c.inputs(b, o); err != nil {
		return err
	}
	if err := c.dev.SetArenas(c.scratch, c.state); err != nil {
		return err
	}
	if err := c.ref.RunStep(i); err != nil {
		return err
	}
	if err := c.dev.RunSteps(i, i+1); err != nil {
		return err
	}
	scratch, state, err := c.dev.Arenas()
	if err != nil {
		return err
	}
	ok, maxAbs, nmse, err := c.outputs(b, o, scratch, state)
	if err != nil {
		return err
	}
	stray := !c.untouched(scratch, c.scratch, 0) || !c.untouched(state, c.state, len(c.scratch))
	c.state = state

	d := &c.report.Ops[i]
	if ok = ok && !stray; !ok {
		c.blame(i)
	}
	if d.Pass == "" || d.OK && (!ok || nmse > d.NMSE) {
		d.Pass = p.name
	}
	d.MaxAbs, d.NMSE, d.OK, d.Stray = max(d.MaxAbs, maxAbs), max(d.NMSE, nmse), d.OK && ok, d.Stray || stray
	if k, has := c.dev.(kernelNamer); has {
		for _, name := range k.Kernels() {
			if !slices.Contains(d.Kernels, name) {
				d.Kernels = append(d.Kernels, name)
			}
		}
	}
	return nil
}

// inputs copies the reference's values of all scratch that an op reads to the device's.
func (c *comparer) inputs(b *op.Batch, o op.Op) (err error) {
	o.Operands(func(_ string, v op.View, a op.Access) {
		if a&op.Read == 0 || v.Of.Kind == op.Weight || v.Of.Kind == op.State || err != nil {
			return
		}
		var data []float32
		if data, err = c.ref.Read(v.Of); err != nil {
			return
		}
		for i := range b.Count(v.Of.Kind) {
			copy(c.at(c.scratch, v, i), data[i*v.Of.Width+v.Off:])
		}
	})
	return err
}

// at returns the i-th vector of a view in one of the device's arenas.
func (c *comparer) at(arena []float32, v op.View, i int) []float32 {
	return arena[c.dev.Plan().Offset[v.Of.ID]+i*v.Of.Stride()+v.Off:][:v.Len]
}

// outputs measures each view that an op wrote, and notes the elements of all. It returns whether all are within their
// tolerances, and the largest figures.
func (c *comparer) outputs(b *op.Batch, o op.Op, scratch, state []float32) (ok bool, maxAbs, nmse float64, err error) {
	ok = true
	c.mayWrite = slices.Grow(c.mayWrite[:0], len(scratch)+len(state))[:len(scratch)+len(state)]
	clear(c.mayWrite)
	o.Operands(func(_ string, v op.View, a op.Access) {
		if a&op.Write == 0 || err != nil {
			return
		}
		var want []float32
		if want, err = c.ref.Read(v.Of); err != nil {
			return
		}
		var m measure
		t := toleranceOf(o, v.Of)
		arena, n, mix := scratch, b.Count(v.Of.Kind), (*op.ShiftMix)(nil)
		if v.Of.Kind == op.State {
			arena, n = state, len(b.Seqs)
		} else if mix, _ = o.(*op.ShiftMix); mix != nil && v.Of != mix.Last {
			mix = nil
		}
		for i := range n {
			slot := i
			if v.Of.Kind == op.State {
				slot = int(b.Seqs[i].Slot)
			}
			got, vec := c.at(arena, v, slot), want[slot*v.Of.Width+v.Off:][:v.Len]
			c.release(v, slot)
			if mix != nil {
				got = c.shifted(mix, state, got, c.at(c.scratch, v, i), vec, int(b.Seqs[i].Slot))
			}
			for _, part := range used(c.prog, v) {
				m.add(got[part.Off-v.Off:][:part.Len], vec[part.Off-v.Off:][:part.Len], t.element)
			}
		}
		ok, maxAbs, nmse = ok && m.within(t), max(maxAbs, m.maxAbs), max(nmse, m.nmse())
	})
	return ok, maxAbs, nmse, err
}

// used returns those parts of a view of a state that some op of a program reads. If no op reads any, it returns the
// view. Padding lies between the vectors of a slot, and a device may leave anything there.
func used(prog *op.Program, v op.View) []op.View {
	if v.Of.Kind != op.State {
		return []op.View{v}
	}
	var list []op.View
	for _, s := range prog.Steps {
		s.Op.Operands(func(_ string, r op.View, a op.Access) {
			if a&op.Read != 0 && r.Of == v.Of && r.Off >= v.Off && r.Off+r.Len <= v.Off+v.Len {
				list = append(list, r)
			}
		})
	}
	return list
}

// shifted returns what ShiftMix left of a sequence. It lies in Last or, if the device committed at once and left Last
// as it was, in the slot. In the slot the reference's values replace it, so that an error counts once.
func (c *comparer) shifted(o *op.ShiftMix, state, last, was, want []float32, slot int) []float32 {
	v := o.State.Slice(o.StateOff, o.X.Width)
	now, untouched := c.at(state, v, slot), slices.Equal(last, was)
	if !untouched && slices.Equal(now, c.at(c.state, v, slot)) {
		return last
	}
	if untouched {
		last = slices.Clone(now)
	}
	c.release(v, slot)
	copy(now, want)
	return last
}

// release notes that an op may write the i-th vector of a view.
func (c *comparer) release(v op.View, i int) {
	list := c.mayWrite
	if v.Of.Kind == op.State {
		list = list[len(c.scratch):]
	}
	at := c.dev.Plan().Offset[v.Of.ID] + i*v.Of.Stride() + v.Off
	for j := range v.Len {
		list[at+j] = true
	}
}

// untouched reports whether all elements of an arena that an op may not write have the bits that they had. Element 0 of
// the arena is element from of mayWrite.
func (c *comparer) untouched(after, before []float32, from int) bool {
	for i, v := range before {
		if math.Float32bits(after[i]) != math.Float32bits(v) && !c.mayWrite[from+i] {
			return false
		}
	}
	return true
}
