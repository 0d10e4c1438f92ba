package engine

import (
	"context"
	"errors"
	"fmt"
)

// Seq is a sequence: a handle for a slot of the engine with its state. After its Release every call with it fails with
// ErrNotInUse, even if another sequence has the slot by then.
type Seq struct {
	t        *table
	slot     int
	released bool // guarded by table.mu

	// These belong to the holder of the turn.
	mark  uint64 // the call with a row of the sequence
	stale bool   // reports whether the state on the device is not the one that was fed
	kept  kept
}

// NewSeq takes a free slot and gives it a state, float32[Program.StateLen()]; nil is the model's initial state. If no
// slot is free the error matches ErrNoSlot.
func (e *Engine) NewSeq(state []float32) (*Seq, error) {
	return takeSeq(e, func(s *Seq) error {
		if state == nil {
			state = e.host.initial
		}
		return e.keeper.restore([]*Seq{s}, [][]float32{state}, new(Transfer))
	})
}

// Fork takes a free slot and gives it the state of s.
func (e *Engine) Fork(s *Seq) (*Seq, error) {
	return takeSeq(e, func(child *Seq) error {
		if err := e.table.check(s); err != nil {
			return err
		}
		if err := e.keeper.revive(context.Background(), []*Seq{s}); err != nil {
			return err
		}
		if err := e.host.exec.CopyState(child.slot, s.slot); err != nil {
			return e.host.dev.Fault(err)
		}
		child.kept = s.kept.fork()
		return nil
	})
}

// Swap exchanges the states of two sequences, and copies nothing.
func (e *Engine) Swap(a, b *Seq) error {
	if err := e.begin(context.Background()); err != nil {
		return err
	}
	defer e.end()
	if err := errors.Join(e.table.check(a), e.table.check(b)); err != nil {
		return err
	}
	e.keeper.settle() // it knows the sequences whose states are being read
	e.table.mu.Lock()
	defer e.table.mu.Unlock()
	if a.released || b.released { // meanwhile, so its slot is about to be free
		return fmt.Errorf("engine: the sequence is %w: it was released", ErrNotInUse)
	}
	seqs := e.table.seqs
	seqs[a.slot], seqs[b.slot] = b, a
	a.slot, b.slot = b.slot, a.slot
	a.stale, b.stale = b.stale, a.stale
	a.kept, b.kept = b.kept, a.kept
	return nil
}

// takeSeq takes a free slot. begin gives it its state.
func takeSeq(e *Engine, begin func(*Seq) error) (*Seq, error) {
	if err := e.begin(context.Background()); err != nil {
		return nil, err
	}
	defer e.end()
	s, err := e.table.take()
	if err != nil {
		return nil, err
	}
	if err := begin(s); err != nil {
		s.Release()
		return nil, err
	}
	return s, nil
}

// Release gives the slot back. It waits for nothing. A call under way that has the sequence ends as it would; then the
// slot is free. A released sequence cannot be used again.
func (s *Seq) Release() {
	t := s.t
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case s.released:
		return
	case t.held:
		t.leaving = append(t.leaving, s.slot)
	default:
		t.seqs[s.slot] = nil
	}
	s.released = true
}
