package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// table says which sequence is in which slot, and who has the turn on the device.
type table struct {
	turn chan struct{} // full while somebody has it
	mark uint64        // of the holder of the turn: see Seq.mark

	mu      sync.Mutex // guards what follows, and the sequences' handles
	seqs    []*Seq     // by slot; nil where it is free
	held    bool       // the turn is
	leaving []int      // slots released in this turn, free at its end
	closed  bool
	broken  error // error of a Reopen that failed; nil if there is an executor
	stats   Stats
	before  Work // by executors before this one: Waited and Cut
}

func newTable(slots int) table {
	return table{turn: make(chan struct{}, 1), seqs: make([]*Seq, slots), leaving: make([]int, 0, slots), stats: Stats{Slots: slots}}
}

// begin takes the turn on the device, unless ctx is done first. end gives it back.
func (t *table) begin(ctx context.Context) error {
	err := t.beginAnyhow(ctx)
	if err == nil && t.broken != nil { // only whoever has the turn changes it
		err = t.broken
		t.end()
	}
	return err
}

// beginAnyhow takes the turn even if there is no executor.
func (t *table) beginAnyhow(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		<-t.turn
		return fmt.Errorf("engine: %w", ErrClosed)
	}
	t.held = true
	return nil
}

// end gives the turn back. Slots released meanwhile are free from now on.
func (t *table) end() {
	t.mu.Lock()
	t.held = false
	for _, slot := range t.leaving {
		t.seqs[slot] = nil
	}
	t.leaving = t.leaving[:0]
	t.mu.Unlock()
	<-t.turn
}

// close waits for the turn and ends all other waits. It reports whether it is the first close.
func (t *table) close() bool {
	t.turn <- struct{}{}
	defer func() { <-t.turn }()
	t.mu.Lock()
	defer t.mu.Unlock()
	closed := t.closed
	t.closed = true
	return !closed
}

// take gives a sequence a free slot.
func (t *table) take() (*Seq, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for slot, used := range t.seqs {
		if used == nil {
			t.seqs[slot] = &Seq{t: t, slot: slot}
			return t.seqs[slot], nil
		}
	}
	return nil, fmt.Errorf("engine: %w: all %d slots are in use", ErrNoSlot, len(t.seqs))
}

// check returns an error unless a sequence is one of this engine and in use.
func (t *table) check(s *Seq) error {
	if s == nil {
		return fmt.Errorf("engine: want a sequence, got none: %w", ErrNotInUse)
	}
	if s.t != t {
		return errors.New("engine: want a sequence of this engine, got another's")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.released {
		return fmt.Errorf("engine: the sequence is %w: it was released", ErrNotInUse)
	}
	return nil
}

// live returns the sequences that are in use.
func (t *table) live() (list []*Seq) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.seqs {
		if s != nil && !s.released {
			list = append(list, s)
		}
	}
	return list
}

// replaced notes that there is another executor or, if broken is not nil, none.
func (t *table) replaced(broken error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.broken = broken; broken == nil {
		t.before = t.stats.Work
		t.stats.Reopened++
	}
}

// count adds what an executor did.
func (t *table) count(exec op.Executor, add func(*Stats)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	add(&t.stats)
	if d, ok := exec.(interface{ Waited() time.Duration }); ok {
		t.stats.Waited = t.before.Waited + d.Waited()
	}
	if d, ok := exec.(interface{ CutTime() time.Duration }); ok {
		t.stats.Cut = t.before.Cut + d.CutTime()
	}
}

// drew notes that the host drew so many tokens in some time.
func (t *table) drew(n int, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stats.Drawing += took
	t.stats.HostDraws += n
}

// snapshot returns the stats.
func (t *table) snapshot() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.stats
	for _, seq := range t.seqs {
		if seq != nil {
			s.InUse++
		}
	}
	return s
}
