package engine

import "fmt"

// Slot holds the state of one sequence.
type Slot int

// NewSlot takes a free slot and gives it the initial state.
func (e *Engine) NewSlot() (Slot, error) {
	for i, used := range e.used {
		if !used {
			if err := e.exec.ResetState(i); err != nil {
				return 0, e.dev.fault(err)
			}
			e.used[i] = true
			return Slot(i), nil
		}
	}
	return 0, fmt.Errorf("engine: %w: all %d slots are in use", ErrNoSlot, len(e.used))
}

// Fork takes a free slot and gives it the state of s.
func (e *Engine) Fork(s Slot) (Slot, error) {
	if err := e.checkSlot(s); err != nil {
		return 0, err
	}
	to, err := e.NewSlot()
	if err != nil {
		return 0, err
	}
	if err := e.exec.CopyState(int(to), int(s)); err != nil {
		e.used[to] = false
		return 0, e.dev.fault(err)
	}
	return to, nil
}

// Release gives a slot back.
func (e *Engine) Release(s Slot) error {
	if err := e.checkSlot(s); err != nil {
		return err
	}
	e.used[s] = false
	return nil
}

// Reset gives a slot the initial state.
func (e *Engine) Reset(s Slot) error {
	if err := e.checkSlot(s); err != nil {
		return err
	}
	return e.dev.fault(e.exec.ResetState(int(s)))
}

// State returns a copy of a slot's state, laid out as Model.Fields says.
func (e *Engine) State(s Slot) ([]float32, error) {
	if err := e.checkSlot(s); err != nil {
		return nil, err
	}
	state := make([]float32, e.Model.Program.StateLen())
	return state, e.dev.fault(e.exec.ReadState(int(s), state))
}

// SetState replaces a slot's state.
func (e *Engine) SetState(s Slot, state []float32) error {
	if err := e.checkSlot(s); err != nil {
		return err
	}
	return e.dev.fault(e.exec.WriteState(int(s), state))
}

func (e *Engine) checkSlot(s Slot) error {
	if s < 0 || int(s) >= len(e.used) || !e.used[s] {
		return fmt.Errorf("engine: slot %d is %w", s, ErrNotInUse)
	}
	return nil
}
