package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// A sequence's state may be lost: with the device, or by a pass that was interrupted between submissions. It is made
// again from a state on the host and the tokens fed since. When these are many, the state is read anew, behind a pass
// and beside the next ones. Tokens are noted when a pass or a burst is over and its caller was told, so nothing is fed
// twice or left out. If no state can be read, the tokens grow to a bound. Then they are given up until a state can be
// read.

// kept is what a sequence is made from again.
type kept struct {
	state   []float32 // nil for the initial state
	shared  bool      // with a fork: its memory is not to be used again
	tokens  []int32   // fed since
	givenUp bool      // the sequence is not made again: no state could be read for too long

	spare  []float32 // where the next state is being read
	upTo   int       // of tokens that it has seen
	moving bool      // it is on its way
}

// keeper keeps what sequences are made from again. Only the holder of the turn may use it.
type keeper struct {
	h *host
	t *table

	batch    op.Batch    // of tokens that are fed again
	transfer op.Transfer // the reading of states that is under way; nil: none
	seqs     []*Seq      // of it
	dst      [][]float32
	slots    []int
}

// keeps reports whether sequences are made again.
func (k *keeper) keeps() bool { return k.h.options.Keep > 0 }

// mostKept returns the most tokens that are kept of a sequence when no reading of its state is under way.
func (k *keeper) mostKept() int { return 4 * (k.h.options.Keep + k.h.sizes.Rows) }

// note adds tokens to those fed.
func (k *keeper) note(s *Seq, tokens ...int) {
	x := &s.kept
	if !k.keeps() || x.givenUp && !x.moving {
		return
	}
	for _, t := range tokens {
		x.tokens = append(x.tokens, int32(t))
	}
}

// giveUp forgets what a sequence is made from, if that is too much, and the tokens noted for a reading that failed.
func (k *keeper) giveUp(x *kept) {
	if x.givenUp || len(x.tokens) > k.mostKept() {
		*x = kept{givenUp: true}
	}
}

// begin makes a sequence begin with a copy of a state; nil is the initial one.
func (k *kept) begin(state []float32) {
	*k = kept{tokens: k.tokens[:0]}
	if state != nil {
		k.state = slices.Clone(state)
	}
}

// fork returns what a copy of the sequence is made from.
func (k *kept) fork() kept {
	k.shared = true
	return kept{state: k.state, shared: true, tokens: slices.Clone(k.tokens), givenUp: k.givenUp}
}

// keep starts to read the states of sequences that were fed many tokens since the last reading. States that were read
// before count from now on. If a reading cannot start, what is kept only gets older.
func (k *keeper) keep() {
	if !k.keeps() {
		return
	}
	k.settle()
	k.seqs, k.dst, k.slots = k.seqs[:0], k.dst[:0], k.slots[:0]
	k.t.mu.Lock()
	for _, s := range k.t.seqs {
		if s != nil && !s.released && !s.stale && (s.kept.givenUp || len(s.kept.tokens) >= k.h.options.Keep) {
			k.seqs, k.slots = append(k.seqs, s), append(k.slots, s.slot)
		}
	}
	k.t.mu.Unlock()
	if len(k.seqs) == 0 {
		return
	}
	for _, s := range k.seqs {
		x := &s.kept
		if x.spare == nil {
			x.spare = make([]float32, len(k.h.initial))
		}
		x.upTo, x.moving = len(x.tokens), true
		k.dst = append(k.dst, x.spare)
	}
	var err error
	if k.transfer, err = k.h.exec.StartRead(k.slots, k.dst); err != nil {
		k.drop()
	}
}

// settle takes over the states that were read. It follows a pass, so the reading is over too.
func (k *keeper) settle() {
	if k.transfer == nil {
		return
	}
	if k.transfer.Wait() != nil { // what was kept before stays, and the device says more at the next pass
		k.drop()
		return
	}
	for _, s := range k.seqs {
		x := &s.kept
		if !x.moving { // the sequence began anew
			continue
		}
		x.state, x.spare = x.spare, x.state
		if x.shared {
			x.spare, x.shared = nil, false
		}
		x.tokens = append(x.tokens[:0], x.tokens[x.upTo:]...)
		x.moving, x.givenUp = false, false
	}
	k.transfer = nil
}

// drop gives up the reading under way.
func (k *keeper) drop() {
	for _, s := range k.seqs {
		s.kept.moving, s.kept.spare = false, nil // the copy may still go on into it
		k.giveUp(&s.kept)
	}
	k.transfer = nil
}

// lose notes that the state is not the one that was fed, unless the executor's error says that it left the states as
// they were.
func (s *Seq) lose(err error) { s.stale = s.stale || err != nil && !op.IsNotRun(err) }

// checkState returns an error unless a sequence's state is right or can be made again.
func (k *keeper) checkState(s *Seq) error {
	if s.stale && s.kept.givenUp {
		k.settle() // a reading under way may bring it back
	}
	if s.stale && (!k.keeps() || s.kept.givenUp) {
		return fmt.Errorf("engine: %w", ErrStateLost)
	}
	return nil
}

// revive makes the lost states of some sequences again, from the kept states and the tokens since.
func (k *keeper) revive(ctx context.Context, seqs []*Seq) error {
	var stale []*Seq
	var states [][]float32
	for _, s := range seqs {
		if !s.stale {
			continue
		}
		if err := k.checkState(s); err != nil {
			return err
		}
		state := s.kept.state
		if state == nil {
			state = k.h.initial
		}
		stale, states = append(stale, s), append(states, state)
	}
	if len(stale) == 0 {
		return nil
	}
	t, err := k.h.exec.StartWrite(k.slotsOf(stale), states)
	if err == nil {
		err = t.Wait()
	}
	if err == nil {
		err = k.replay(ctx, stale)
	}
	if err != nil {
		return k.h.dev.Fault(err)
	}
	for _, s := range stale {
		s.stale = false
	}
	return nil
}

// replay feeds the tokens that sequences were fed since their states were kept, in as few passes as possible.
func (k *keeper) replay(ctx context.Context, seqs []*Seq) error {
	fed := make([]int, len(seqs))
	var tokens []int
	for {
		k.batch.Reset()
		left := k.h.passRows()
		for i, s := range seqs {
			rest := s.kept.tokens[fed[i]:]
			n := min(len(rest), left)
			if n == 0 || len(k.batch.Seqs) == k.h.sizes.Seqs {
				continue
			}
			tokens = tokens[:0]
			for _, t := range rest[:n] {
				tokens = append(tokens, int(t))
			}
			k.batch.Add(s.slot, tokens, 0)
			fed[i], left = fed[i]+n, left-n
		}
		if len(k.batch.Tokens) == 0 {
			return nil
		}
		if err := k.h.exec.ForwardContext(ctx, &k.batch); err != nil {
			return err
		}
		k.t.count(k.h.exec, func(s *Stats) { s.Work.count(&k.batch) })
	}
}

// slotsOf returns the slots of some sequences, valid until the next call.
func (k *keeper) slotsOf(seqs []*Seq) []int {
	k.slots = k.slots[:0]
	for _, s := range seqs {
		k.slots = append(k.slots, s.slot)
	}
	return k.slots
}
