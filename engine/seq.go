package engine

import (
	"context"
	"errors"
	"fmt"
)

// Seq is a sequence: a slot of the engine that holds its state. After its Release every call that is given it fails with
// ErrNotInUse, also when the slot has gone to another sequence.
type Seq struct {
	e        *Engine
	slot     int
	released bool // guarded by Engine.mu

	// Of whoever has the turn.
	mark  uint64 // of the call that has the sequence among its rows
	stale bool   // the state on the device is not what was fed
	kept  kept
}

// NewSeq takes a free slot and gives it a state, float32[Program.StateLen()], or with nil the model's initial state. Where no
// slot is free the error matches ErrNoSlot.
func (e *Engine) NewSeq(state []float32) (*Seq, error) {
	return e.newSeq(func(s *Seq) error {
		if state == nil {
			state = e.initial
		}
		return e.restore([]*Seq{s}, [][]float32{state}, new(Transfer))
	})
}

// Fork takes a free slot and gives it the state of s.
func (e *Engine) Fork(s *Seq) (*Seq, error) {
	return e.newSeq(func(child *Seq) error {
		if err := e.checkSeq(s); err != nil {
			return err
		}
		if err := e.revive(context.Background(), []*Seq{s}); err != nil {
			return err
		}
		if err := e.exec.CopyState(child.slot, s.slot); err != nil {
			return e.dev.fault(err)
		}
		child.kept = s.kept.fork()
		return nil
	})
}

// newSeq takes a free slot, which begin gives its state.
func (e *Engine) newSeq(begin func(*Seq) error) (*Seq, error) {
	if err := e.begin(context.Background()); err != nil {
		return nil, err
	}
	defer e.end()
	s := &Seq{e: e, slot: -1}
	e.mu.Lock()
	for slot, used := range e.seqs {
		if used == nil {
			s.slot, e.seqs[slot] = slot, s
			break
		}
	}
	e.mu.Unlock()
	if s.slot < 0 {
		return nil, fmt.Errorf("engine: %w: all %d slots are in use", ErrNoSlot, len(e.seqs))
	}
	if err := begin(s); err != nil {
		s.Release()
		return nil, err
	}
	return s, nil
}

// Release gives the slot back. It waits for nothing: a call under way that has the sequence ends as it would, and then the
// slot is free. A sequence that was released stays so.
func (s *Seq) Release() {
	e := s.e
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case s.released:
		return
	case e.held:
		e.leaving = append(e.leaving, s.slot)
	default:
		e.seqs[s.slot] = nil
	}
	s.released = true
}

// checkSeq wants a sequence of this engine that is in use.
func (e *Engine) checkSeq(s *Seq) error {
	if s == nil {
		return fmt.Errorf("engine: want a sequence, got none: %w", ErrNotInUse)
	}
	if s.e != e {
		return errors.New("engine: want a sequence of this engine, got another's")
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if s.released {
		return fmt.Errorf("engine: the sequence is %w: it was released", ErrNotInUse)
	}
	return nil
}

// live returns the sequences that are in use.
func (e *Engine) live() (list []*Seq) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.seqs {
		if s != nil && !s.released {
			list = append(list, s)
		}
	}
	return list
}
