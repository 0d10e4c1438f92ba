package reference

import (
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// done is a transfer that is over when it starts.
type done struct{}

func (done) Wait() error { return nil }

// StartRead copies the states of slots to dst.
func (e *Exec) StartRead(slots []int, dst [][]float32) (op.Transfer, error) {
	return e.transfer(slots, dst, e.ReadState)
}

// StartWrite sets the states of slots to src.
func (e *Exec) StartWrite(slots []int, src [][]float32) (op.Transfer, error) {
	return e.transfer(slots, src, e.WriteState)
}

func (e *Exec) transfer(slots []int, host [][]float32, one func(int, []float32) error) (op.Transfer, error) {
	if err := e.checkOpen(); err != nil {
		return nil, op.BeforeRun(err)
	}
	if len(slots) != len(host) {
		return nil, op.BeforeRun(fmt.Errorf("reference: state: want %d states for as many slots, got %d", len(slots), len(host)))
	}
	for i, slot := range slots { // before anything is copied
		if err := e.check(slot, len(host[i])); err != nil {
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
func (e *Exec) ReadState(slot int, dst []float32) error {
	return e.eachState(slot, len(dst), func(_ *op.Operand, part []float32, at int) { copy(dst[at:], part) })
}

// WriteState sets slot's state to src.
func (e *Exec) WriteState(slot int, src []float32) error {
	return e.eachState(slot, len(src), func(_ *op.Operand, part []float32, at int) { copy(part, src[at:]) })
}

// ResetState gives slot the initial state.
func (e *Exec) ResetState(slot int) error {
	return e.eachState(slot, len(e.initial), func(_ *op.Operand, part []float32, at int) { copy(part, e.initial[at:]) })
}

// CopyState copies the state of slot src to slot dst.
func (e *Exec) CopyState(dst, src int) error {
	if err := e.check(src, len(e.initial)); err != nil {
		return err
	}
	return e.eachState(dst, len(e.initial), func(o *op.Operand, part []float32, _ int) { copy(part, e.run.vec(o.All(), src)) })
}

// check returns an error unless slot exists and its state has n elements.
func (e *Exec) check(slot, n int) error {
	if err := e.checkOpen(); err != nil {
		return err
	}
	if want := e.prog.StateLen(); n != want {
		return fmt.Errorf("reference: state: want %d elements, got %d", want, n)
	}
	if slots := e.run.plan.Sizes.Slots; slot < 0 || slot >= slots {
		return fmt.Errorf("reference: state: want a slot below %d, got %d", slots, slot)
	}
	return nil
}

// eachState calls do for each state operand with slot's vector, and the vector's place in a slot's state. The state
// must have n elements.
func (e *Exec) eachState(slot, n int, do func(o *op.Operand, part []float32, at int)) error {
	if err := e.check(slot, n); err != nil {
		return err
	}
	at := 0
	for _, o := range e.prog.Of(op.State) {
		do(o, e.run.vec(o.All(), slot), at)
		at += o.Width
	}
	return nil
}
