package arena

import (
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// done is a transfer that is over when it starts.
type done struct{}

func (done) Wait() error { return nil }

// StartRead copies the states of slots to dst.
func (a *Arena) StartRead(slots []int, dst [][]float32) (op.Transfer, error) {
	return a.transfer(slots, dst, a.ReadState)
}

// StartWrite sets the states of slots to src.
func (a *Arena) StartWrite(slots []int, src [][]float32) (op.Transfer, error) {
	return a.transfer(slots, src, a.WriteState)
}

func (a *Arena) transfer(slots []int, host [][]float32, one func(int, []float32) error) (op.Transfer, error) {
	if err := a.CheckOpen(); err != nil {
		return nil, op.BeforeRun(err)
	}
	if len(slots) != len(host) {
		return nil, op.BeforeRun(fmt.Errorf("executor: state: want %d states for as many slots, got %d", len(slots), len(host)))
	}
	for i, slot := range slots { // before anything is copied
		if err := a.check(slot, len(host[i])); err != nil {
			return nil, op.BeforeRun(err)
		}
	}
	for i, slot := range slots {
		if err := one(slot, host[i]); err != nil {
			return nil, err
		}
	}
	return done{}, nil
}

// ReadState copies slot's state to dst.
func (a *Arena) ReadState(slot int, dst []float32) error {
	return a.eachState(slot, len(dst), func(_ *op.Operand, part []float32, at int) { copy(dst[at:], part) })
}

// WriteState sets slot's state to src.
func (a *Arena) WriteState(slot int, src []float32) error {
	return a.eachState(slot, len(src), func(_ *op.Operand, part []float32, at int) { copy(part, src[at:]) })
}

// ResetState gives slot the initial state.
func (a *Arena) ResetState(slot int) error {
	return a.eachState(slot, len(a.initial), func(_ *op.Operand, part []float32, at int) { copy(part, a.initial[at:]) })
}

// CopyState copies the state of slot src to slot dst.
func (a *Arena) CopyState(dst, src int) error {
	if err := a.check(src, len(a.initial)); err != nil {
		return err
	}
	return a.eachState(dst, len(a.initial), func(o *op.Operand, part []float32, _ int) { copy(part, a.Vec(o.All(), src)) })
}

// check returns an error unless slot exists and its state has n elements.
func (a *Arena) check(slot, n int) error {
	if err := a.CheckOpen(); err != nil {
		return err
	}
	if want := a.prog.StateLen(); n != want {
		return fmt.Errorf("executor: state: want %d elements, got %d", want, n)
	}
	if slots := a.plan.Sizes.Slots; slot < 0 || slot >= slots {
		return fmt.Errorf("executor: state: want a slot below %d, got %d", slots, slot)
	}
	return nil
}

// eachState calls do for each state operand with slot's vector, and the vector's place in a slot's state. The state
// must have n elements.
func (a *Arena) eachState(slot, n int, do func(o *op.Operand, part []float32, at int)) error {
	if err := a.check(slot, n); err != nil {
		return err
	}
	at := 0
	for _, o := range a.prog.Of(op.State) {
		do(o, a.Vec(o.All(), slot), at)
		at += o.Width
	}
	return nil
}
