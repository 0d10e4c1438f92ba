package engine

import "context"

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
	return e.newSeq(func(s *Seq) error {
		if state == nil {
			state = e.host.initial
		}
		return e.keeper.restore([]*Seq{s}, [][]float32{state}, new(Transfer))
	})
}

// Fork takes a free slot and gives it the state of s.
func (e *Engine) Fork(s *Seq) (*Seq, error) {
	return e.newSeq(func(child *Seq) error {
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

// newSeq takes a free slot. begin gives it its state.
func (e *Engine) newSeq(begin func(*Seq) error) (*Seq, error) {
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
