package split

import (
	"errors"
	"fmt"
	"sync"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// transfers are copies of states on all stages.
type transfers struct {
	list []op.Transfer
	end  func() error
}

// Wait returns when all are done.
func (t *transfers) Wait() error { return t.end() }

// newTransfers returns a transfer that is done when all of list are and then, if none has failed, done has returned.
func newTransfers(list []op.Transfer, stages []*stage, done func()) *transfers {
	return &transfers{list, sync.OnceValue(func() (err error) {
		for i, t := range list {
			err = errors.Join(err, stages[i].fault(t.Wait()))
		}
		if err == nil && done != nil {
			done()
		}
		return err
	})}
}

// StartRead begins to copy the states of slots to dst.
func (e *Exec) StartRead(slots []int, dst [][]float32) (op.Transfer, error) {
	if err := e.checkStates(slots, dst); err != nil {
		return nil, op.BeforeRun(err)
	}
	parts := make([][][]float32, len(e.stages))
	var started []op.Transfer
	for i, s := range e.stages {
		parts[i] = s.memory(len(slots))
		t, err := s.Exec.StartRead(slots, parts[i])
		if err != nil {
			_ = newTransfers(started, e.stages, nil).Wait() // the error that counts is err
			return nil, s.fault(err)
		}
		started = append(started, t)
	}
	return newTransfers(started, e.stages, func() {
		for i, s := range e.stages {
			for j := range slots {
				for _, p := range s.states {
					copy(dst[j][p.whole:p.whole+p.n], parts[i][j][p.part:])
				}
			}
		}
	}), nil
}

// StartWrite begins to set the states of slots to src.
func (e *Exec) StartWrite(slots []int, src [][]float32) (op.Transfer, error) {
	if err := e.checkStates(slots, src); err != nil {
		return nil, op.BeforeRun(err)
	}
	var started []op.Transfer
	for _, s := range e.stages {
		part := s.memory(len(slots))
		for j := range slots {
			for _, p := range s.states {
				copy(part[j][p.part:p.part+p.n], src[j][p.whole:])
			}
		}
		t, err := s.Exec.StartWrite(slots, part)
		if err != nil && len(started) > 0 {
			_ = newTransfers(started, e.stages, nil).Wait() // the same
			err = ran(err)
		}
		if err != nil {
			return nil, s.fault(err)
		}
		started = append(started, t)
	}
	return newTransfers(started, e.stages, nil), nil
}

// memory returns memory for the stage's part of so many states.
func (s *stage) memory(n int) [][]float32 {
	width := s.Program.StateLen()
	all := make([]float32, n*width)
	list := make([][]float32, n)
	for i := range list {
		list[i] = all[i*width : (i+1)*width]
	}
	return list
}

// checkStates returns an error unless there is a state of the right length for each slot.
func (e *Exec) checkStates(slots []int, states [][]float32) error {
	if e.closed {
		return fmt.Errorf("split: %w", op.ErrClosed)
	}
	if len(slots) != len(states) {
		return fmt.Errorf("split: state: want %d states for as many slots, got %d", len(slots), len(states))
	}
	for i, slot := range slots {
		if want := e.prog.StateLen(); len(states[i]) != want {
			return fmt.Errorf("split: state: want %d elements, got %d", want, len(states[i]))
		}
		if err := e.checkSlots(slot); err != nil {
			return err
		}
	}
	return nil
}

func (e *Exec) checkSlots(slots ...int) error {
	if e.closed {
		return fmt.Errorf("split: %w", op.ErrClosed)
	}
	for _, slot := range slots {
		if slot < 0 || slot >= e.sizes.Slots {
			return fmt.Errorf("split: state: want a slot below %d, got %d", e.sizes.Slots, slot)
		}
	}
	return nil
}

// ReadState copies slot's state to dst.
func (e *Exec) ReadState(slot int, dst []float32) error {
	t, err := e.StartRead([]int{slot}, [][]float32{dst})
	if err != nil {
		return err
	}
	return t.Wait()
}

// WriteState sets slot's state to src.
func (e *Exec) WriteState(slot int, src []float32) error {
	t, err := e.StartWrite([]int{slot}, [][]float32{src})
	if err != nil {
		return err
	}
	return t.Wait()
}

// ResetState gives slot the initial state.
func (e *Exec) ResetState(slot int) error {
	return e.eachStage(func(x op.Prober) error { return x.ResetState(slot) }, slot)
}

// CopyState copies the state of slot src to slot dst.
func (e *Exec) CopyState(dst, src int) error {
	return e.eachStage(func(x op.Prober) error { return x.CopyState(dst, src) }, dst, src)
}

// eachStage does something to the states of some slots on each stage.
func (e *Exec) eachStage(do func(op.Prober) error, slots ...int) error {
	if err := e.checkSlots(slots...); err != nil {
		return op.BeforeRun(err)
	}
	for i, s := range e.stages {
		err := do(s.Exec)
		if err != nil && i > 0 {
			err = ran(err)
		}
		if err != nil {
			return s.fault(err)
		}
	}
	return nil
}
