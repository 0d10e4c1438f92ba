package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// Transfer is a copy of states that has started. Any goroutine may wait for it.
type Transfer struct {
	dev *device.Device
	t   op.Transfer
}

// Wait returns when the copy is done. It may be called any number of times.
func (t *Transfer) Wait() error { return t.dev.Fault(t.t.Wait()) }

// Save begins to copy the states of sequences to dst, which has float32[Program.StateLen()] for each, laid out as
// Model.Fields says. The states are those after all calls before this one. dst holds them when the transfer is done.
// Passes go on beside it.
func (e *Engine) Save(seqs []*Seq, dst [][]float32) (*Transfer, error) {
	if err := e.begin(context.Background()); err != nil {
		return nil, err
	}
	defer e.end()
	if err := e.keeper.checkStates(seqs, dst, false); err != nil {
		return nil, err
	}
	if err := e.keeper.revive(context.Background(), seqs); err != nil {
		return nil, err
	}
	t, err := e.host.exec.StartRead(e.keeper.slotsOf(seqs), dst)
	if err != nil {
		return nil, e.host.dev.Fault(err)
	}
	return &Transfer{e.host.dev, t}, nil
}

// Restore begins to set the states of sequences to src; nil is the model's initial state. The caller may use src for
// something else when Restore returns. Calls after it find the new states, so nobody has to wait for the transfer.
func (e *Engine) Restore(seqs []*Seq, src [][]float32) (*Transfer, error) {
	if err := e.begin(context.Background()); err != nil {
		return nil, err
	}
	defer e.end()
	if err := e.keeper.checkStates(seqs, src, true); err != nil {
		return nil, err
	}
	t := new(Transfer)
	return t, e.keeper.restore(seqs, src, t)
}

// restore sets states, and t to the transfer that does.
func (k *keeper) restore(seqs []*Seq, src [][]float32, t *Transfer) error {
	if slices.ContainsFunc(src, func(s []float32) bool { return s == nil }) {
		src = slices.Clone(src)
		for i := range src {
			if src[i] == nil {
				src[i] = k.h.initial
			}
		}
	}
	for i, state := range src {
		if len(state) != len(k.h.initial) {
			return fmt.Errorf("engine: state %d: want %d elements, got %d", i, len(k.h.initial), len(state))
		}
	}
	started, err := k.h.exec.StartWrite(k.slotsOf(seqs), src)
	if err != nil {
		for _, s := range seqs { // some of them may have been written
			s.lose(err)
		}
		return k.h.dev.Fault(err)
	}
	for i, s := range seqs {
		s.stale = false
		if k.keeps() {
			state := src[i]
			if len(state) > 0 && &state[0] == &k.h.initial[0] {
				state = nil
			}
			s.kept.begin(state)
		}
	}
	t.dev, t.t = k.h.dev, started
	return nil
}

// checkStates returns an error unless the sequences are in use, each once, and there are as many states of the right
// length. A state may be nil if mayBeNil is set.
func (k *keeper) checkStates(seqs []*Seq, states [][]float32, mayBeNil bool) error {
	if len(seqs) != len(states) {
		return fmt.Errorf("engine: want %d states for as many sequences, got %d", len(seqs), len(states))
	}
	k.t.mark++
	for i, s := range seqs {
		if err := k.t.check(s); err != nil {
			return err
		}
		if s.mark == k.t.mark {
			return errTwice
		}
		s.mark = k.t.mark
		if states[i] == nil && mayBeNil {
			continue
		}
		if len(states[i]) != len(k.h.initial) {
			return fmt.Errorf("engine: state %d: want %d elements, got %d", i, len(k.h.initial), len(states[i]))
		}
	}
	return nil
}
