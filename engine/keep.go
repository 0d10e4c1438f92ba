package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// A sequence's state may be lost: with the device, or where a pass was interrupted between its parts. What it is made from
// again is a state on the host and the tokens fed since; once they are many, the state is read anew, behind a pass and beside
// the next ones. Tokens are noted when a pass or a burst is over and told, so nothing is fed twice or left out.

// kept is what a sequence is made from again.
type kept struct {
	state  []float32 // nil for the initial state
	shared bool      // with a fork: its memory is not to be used again
	tokens []int32   // fed since

	spare  []float32 // where the next state is being read
	upTo   int       // of tokens that it has seen
	moving bool      // it is on its way
}

// keeping is the reading of some sequences' states that is under way.
type keeping struct {
	transfer op.Transfer
	seqs     []*Seq
	dst      [][]float32
}

// keeps reports whether sequences are made again.
func (e *Engine) keeps() bool { return e.options.Keep > 0 }

// note adds tokens to those fed.
func (e *Engine) note(s *Seq, tokens ...int) {
	if !e.keeps() {
		return
	}
	for _, t := range tokens {
		s.kept.tokens = append(s.kept.tokens, int32(t))
	}
}

// begin has a sequence begin with a state, of which a copy is kept; nil for the initial one.
func (k *kept) begin(state []float32) {
	*k = kept{tokens: k.tokens[:0]}
	if state != nil {
		k.state = slices.Clone(state)
	}
}

// fork returns what a copy of the sequence is made from.
func (k *kept) fork() kept {
	k.shared = true
	return kept{state: k.state, shared: true, tokens: slices.Clone(k.tokens)}
}

// keep has the states read of sequences that were fed many tokens since, unless such a reading is under way. One that is over
// counts from now on. If it cannot be started, what is kept only gets older.
func (e *Engine) keep() {
	if !e.keeps() {
		return
	}
	e.settleKept()
	d := &e.due
	d.seqs, d.dst, e.slots = d.seqs[:0], d.dst[:0], e.slots[:0]
	e.mu.Lock()
	for _, s := range e.seqs {
		if s != nil && !s.released && !s.stale && len(s.kept.tokens) >= e.options.Keep {
			d.seqs, e.slots = append(d.seqs, s), append(e.slots, s.slot)
		}
	}
	e.mu.Unlock()
	if len(d.seqs) == 0 {
		return
	}
	for _, s := range d.seqs {
		k := &s.kept
		if k.spare == nil {
			k.spare = make([]float32, len(e.initial))
		}
		k.upTo, k.moving = len(k.tokens), true
		d.dst = append(d.dst, k.spare)
	}
	var err error
	if d.transfer, err = e.exec.StartRead(e.slots, d.dst); err != nil {
		e.dropKept()
	}
}

// settleKept takes over the states that were read. It follows a pass, behind which the reading is over too.
func (e *Engine) settleKept() {
	d := &e.due
	if d.transfer == nil {
		return
	}
	if d.transfer.Wait() != nil { // what was kept before stays, and the device says more at the next pass
		e.dropKept()
		return
	}
	for _, s := range d.seqs {
		k := &s.kept
		if !k.moving { // the sequence began anew
			continue
		}
		k.state, k.spare = k.spare, k.state
		if k.shared {
			k.spare, k.shared = nil, false
		}
		k.tokens = append(k.tokens[:0], k.tokens[k.upTo:]...)
		k.moving = false
	}
	e.due.transfer = nil
}

// dropKept gives up the reading under way.
func (e *Engine) dropKept() {
	for _, s := range e.due.seqs {
		s.kept.moving, s.kept.spare = false, nil // the copy may still go on into it
	}
	e.due.transfer = nil
}

// checkState wants a sequence whose state is right, or can be made again.
func (e *Engine) checkState(s *Seq) error {
	if s.stale && !e.keeps() {
		return fmt.Errorf("engine: %w", ErrStateLost)
	}
	return nil
}

func (e *Engine) reviveRows(ctx context.Context, rows []Row) error {
	for _, i := range e.order {
		if rows[i].Seq.stale {
			list := make([]*Seq, 0, len(e.order))
			for _, i := range e.order {
				list = append(list, rows[i].Seq)
			}
			if err := e.revive(ctx, list); err != nil {
				return err
			}
			e.fill(rows, e.passRows()) // the batch was used
			return nil
		}
	}
	return nil
}

func (e *Engine) reviveLive(ctx context.Context, c []Continuation) error {
	for _, i := range e.decode.live {
		if c[i].Seq.stale {
			list := make([]*Seq, 0, len(e.decode.live))
			for _, i := range e.decode.live {
				list = append(list, c[i].Seq)
			}
			return e.revive(ctx, list)
		}
	}
	return nil
}

// revive makes the states of those of some sequences that are stale again: from what is kept, and the tokens since.
func (e *Engine) revive(ctx context.Context, seqs []*Seq) error {
	var stale []*Seq
	var states [][]float32
	for _, s := range seqs {
		if !s.stale {
			continue
		}
		if err := e.checkState(s); err != nil {
			return err
		}
		state := s.kept.state
		if state == nil {
			state = e.initial
		}
		stale, states = append(stale, s), append(states, state)
	}
	if len(stale) == 0 {
		return nil
	}
	t, err := e.exec.StartWrite(e.slotsOf(stale), states)
	if err == nil {
		err = t.Wait()
	}
	if err == nil {
		err = e.replay(ctx, stale)
	}
	if err != nil {
		return e.dev.fault(err)
	}
	for _, s := range stale {
		s.stale = false
	}
	return nil
}

// replay feeds the tokens that sequences were fed since their state was kept, in as few passes as they fit.
func (e *Engine) replay(ctx context.Context, seqs []*Seq) error {
	fed := make([]int, len(seqs))
	var tokens []int
	for {
		e.batch.Reset()
		left := e.passRows()
		for i, s := range seqs {
			rest := s.kept.tokens[fed[i]:]
			n := min(len(rest), left)
			if n == 0 || len(e.batch.Seqs) == e.sizes.Seqs {
				continue
			}
			tokens = tokens[:0]
			for _, t := range rest[:n] {
				tokens = append(tokens, int(t))
			}
			e.batch.Add(s.slot, tokens, 0)
			fed[i], left = fed[i]+n, left-n
		}
		if len(e.batch.Tokens) == 0 {
			return nil
		}
		if err := e.exec.ForwardContext(ctx, &e.batch); err != nil {
			return err
		}
		e.count(func(s *Stats) { s.Work.count(&e.batch) })
	}
}

// slotsOf returns the slots of some sequences, valid until the next call.
func (e *Engine) slotsOf(seqs []*Seq) []int {
	e.slots = e.slots[:0]
	for _, s := range seqs {
		e.slots = append(e.slots, s.slot)
	}
	return e.slots
}
