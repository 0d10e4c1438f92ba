package compare

import (
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// states returns what all slots hold, by operand.
func (c *comparer) states(e op.Prober) (list [][]float32, err error) {
	for _, o := range c.prog.Of(op.State) {
		data, err := e.Read(o)
		if err != nil {
			return nil, err
		}
		list = append(list, data)
	}
	return list, nil
}

func (c *comparer) setStates(e op.Prober, list [][]float32) error {
	for i, o := range c.prog.Of(op.State) {
		if err := e.Write(o, list[i]); err != nil {
			return err
		}
	}
	return nil
}

// read returns those parts of states that ops read. Padding lies between a slot's vectors, and is not compared.
func (c *comparer) read(states [][]float32) (list [][]float32) {
	all := c.prog.Of(op.State)
	for _, s := range c.prog.Steps {
		s.Op.Operands(func(_ string, v op.View, a op.Access) {
			if a&op.Read != 0 && v.Of.Kind == op.State {
				list = append(list, vectors(v, states[slices.Index(all, v.Of)]))
			}
		})
	}
	return list
}

// vectors returns the elements of a view in all vectors of its operand, one vector after the other.
func vectors(v op.View, data []float32) (list []float32) {
	for at := 0; at < len(data); at += v.Of.Width {
		list = append(list, data[at+v.Off:][:v.Len]...)
	}
	return list
}

// differ reports whether some results differ by more than the rounding of many ops.
func differ(got, want [][]float32) bool {
	for i := range want {
		if _, nmse := difference(got[i], want[i]); !(nmse <= logitTolerance) {
			return true
		}
	}
	return false
}

// whole compares what a pass left that the device ran at once: logits, and the states of all slots. It finds errors
// that no single op shows, for example an op that does not wait for another.
func (c *comparer) whole(b *op.Batch, before [][]float32, logits []float32, states [][]float32) error {
	if c.report.FirstBad != nil {
		return nil // it is the reason, if there is a difference
	}
	want, err := c.ref.Read(c.prog.Logits)
	if err != nil {
		return err
	}
	wanted, err := c.states(c.ref)
	if err != nil {
		return err
	}
	if !differ(append(c.read(states), logits), append(c.read(wanted), want)) {
		return nil
	}
	return c.find(b, before)
}

// find names the first op of a batch with results out of tolerance when the device runs all steps up to it at once,
// from the given states. If there is none, the logits are wrong, and find names the op that makes them.
func (c *comparer) find(b *op.Batch, before [][]float32) error {
	if err := c.setStates(c.ref, before); err != nil {
		return err
	}
	for _, e := range []op.Prober{c.ref, c.dev} {
		if err := e.Stage(b); err != nil {
			return err
		}
	}
	steps := c.prog.Steps
	want := make([][][]float32, len(steps))
	for i := range steps {
		if err := c.ref.RunStep(i); err != nil {
			return err
		}
		var err error
		if want[i], err = c.results(c.ref, steps[i].Op); err != nil {
			return err
		}
	}
	at := head(c.prog)
	for i := range steps { // one by one: a difference may not show in later ops
		if err := c.setStates(c.dev, before); err != nil {
			return err
		}
		if err := c.dev.RunSteps(0, i+1); err != nil {
			return err
		}
		got, err := c.results(c.dev, steps[i].Op)
		if err != nil {
			return err
		}
		if differ(got, want[i]) {
			at = i
			break
		}
	}
	c.blame(at)
	c.report.Ops[at].OK = false
	return nil
}

// head returns the step that makes a program's logits.
func head(prog *op.Program) (at int) {
	for i := range prog.Steps {
		prog.Steps[i].Op.Operands(func(_ string, v op.View, a op.Access) {
			if a&op.Write != 0 && v.Of == prog.Logits {
				at = i
			}
		})
	}
	return at
}

// results returns what an op wrote, without a shift's last vector, since a device may keep that in the state.
func (c *comparer) results(e op.Prober, o op.Op) (list [][]float32, err error) {
	mix, _ := o.(*op.ShiftMix)
	changed := false
	o.Operands(func(_ string, v op.View, a op.Access) {
		if a&op.Write == 0 || err != nil || mix != nil && v.Of == mix.Last {
			return
		}
		if changed = changed || v.Of.Kind == op.State; v.Of.Kind == op.State {
			return
		}
		var data []float32
		if data, err = e.Read(v.Of); err == nil {
			list = append(list, vectors(v, data))
		}
	})
	if changed && err == nil {
		var states [][]float32
		if states, err = c.states(e); err == nil {
			list = append(list, c.read(states)...)
		}
	}
	return list, err
}
