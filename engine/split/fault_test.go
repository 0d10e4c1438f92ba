package split

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

var errBroken = errors.New("broken")

// broken is an executor whose calls fail, if they are told to, before they run or behind.
type broken struct {
	op.Prober
	forward, state, write error
	calls                 int // of ForwardContext that do not fail
}

func (b *broken) ForwardContext(ctx context.Context, batch *op.Batch) error {
	if b.forward != nil {
		if b.calls == 0 {
			return b.forward
		}
		b.calls--
	}
	return b.Prober.ForwardContext(ctx, batch)
}

func (b *broken) Write(o *op.Operand, data []float32) error {
	return errors.Join(b.write, b.Prober.Write(o, data))
}

func (b *broken) CopyState(dst, src int) error {
	if b.state != nil {
		return b.state
	}
	return b.Prober.CopyState(dst, src)
}

func (b *broken) StartWrite(slots []int, src [][]float32) (op.Transfer, error) {
	if b.state != nil {
		return nil, b.state
	}
	return b.Prober.StartWrite(slots, src)
}

func (b *broken) StartRead(slots []int, dst [][]float32) (op.Transfer, error) {
	if b.state != nil {
		return nil, b.state
	}
	return b.Prober.StartRead(slots, dst)
}

// A call says that it changed no state only if no part's state has changed. The error is that of the part that failed,
// in the words of its device, and the executor works when the fault is over.
func TestFaults(t *testing.T) {
	m := golden.Tiny(t)
	notRun, late := op.BeforeRun(errBroken), errBroken
	state := make([]float32, m.Program.StateLen())
	forward := func(e *Exec) error { return e.Forward(some(m.Vocab, 1)) }
	states := func(b *broken) { b.state = notRun }
	fork := func(e *Exec) error { return e.CopyState(1, 0) }
	write := func(e *Exec) error { return e.WriteState(0, state) }
	for _, c := range []struct {
		name   string
		part   int
		set    func(*broken)
		call   func(*Exec) error
		notRun bool
	}{
		{"first part before it runs", 0, func(b *broken) { b.forward = notRun }, forward, true},
		{"first part's second piece before it runs", 0, func(b *broken) { b.forward, b.calls = notRun, 1 }, forward, false},
		{"first part", 0, func(b *broken) { b.forward = late }, forward, false},
		{"second part before it runs", 1, func(b *broken) { b.forward = notRun }, forward, false},
		{"second part's input", 1, func(b *broken) { b.write = errBroken }, forward, false},
		{"first part's copy", 0, states, fork, true},
		{"second part's copy", 1, states, fork, false},
		{"first part's states", 0, states, write, true},
		{"second part's states", 1, states, write, false},
		{"second part's reading", 1, states, func(e *Exec) error { return e.ReadState(0, state) }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var list [2]*broken
			e := onCPU(t, m.Program, someSizes, 2, 2, func(i int, x op.Prober) op.Prober {
				list[i] = &broken{Prober: x}
				return list[i]
			})
			for i, s := range e.stages {
				s.Fault = func(err error) error {
					if err == nil {
						return nil
					}
					return fmt.Errorf("device %d: %w", i, err)
				}
			}
			if err := forward(e); err != nil {
				t.Fatal(err)
			}
			c.set(list[c.part])
			err := c.call(e)
			if !errors.Is(err, errBroken) || op.IsNotRun(err) != c.notRun {
				t.Errorf("want an error that says of states unchanged: %v; got %v (%v)", c.notRun, err, op.IsNotRun(err))
			}
			if want := fmt.Sprintf("device %d: broken", c.part); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("want an error with %q, got %v", want, err)
			}
			*list[c.part] = broken{Prober: list[c.part].Prober}
			if err := c.call(e); err != nil {
				t.Errorf("when the fault is over: %v", err)
			}
		})
	}
}

// meeting is an executor that notes how many parts run at once.
type meeting struct {
	op.Prober
	first bool
	begun chan struct{} // the first part has begun so many pieces
	met   *atomic.Int32
	piece int
}

func (m *meeting) ForwardContext(ctx context.Context, b *op.Batch) error {
	m.piece++
	if m.first {
		m.begun <- struct{}{}
	} else if m.piece < 3 {
		if m.piece == 1 {
			<-m.begun // its first piece, which is over
		}
		select { // the next one, which it runs while this part runs the one before
		case <-m.begun:
			m.met.Add(1)
		case <-time.After(time.Minute):
			return errors.New("the first part waits for this one")
		}
	}
	return m.Prober.ForwardContext(ctx, b)
}

// The first part runs a piece of a pass while the second part runs the one before.
func TestSideBySide(t *testing.T) {
	m := golden.Tiny(t)
	begun, met := make(chan struct{}, 9), new(atomic.Int32)
	e := onCPU(t, m.Program, someSizes, 2, 3, func(i int, x op.Prober) op.Prober {
		return &meeting{Prober: x, first: i == 0, begun: begun, met: met}
	})
	if err := e.Forward(some(m.Vocab, 1)); err != nil {
		t.Fatal(err)
	}
	if met.Load() != 2 {
		t.Errorf("want 2 pieces beside another, got %d", met.Load())
	}
}

// A pass whose context is done ends, whatever part it has come to.
func TestCancel(t *testing.T) {
	m := golden.Tiny(t)
	ctx, cancel := context.WithCancel(t.Context())
	e := onCPU(t, m.Program, someSizes, 2, 4, func(i int, x op.Prober) op.Prober {
		if i == 1 {
			return &canceler{x, cancel}
		}
		return x
	})
	if err := e.ForwardContext(ctx, some(m.Vocab, 1)); !errors.Is(err, context.Canceled) || op.IsNotRun(err) {
		t.Errorf("want an error of the context and states that changed, got %v", err)
	}
	if err := e.ForwardContext(ctx, some(m.Vocab, 1)); !errors.Is(err, context.Canceled) || !op.IsNotRun(err) {
		t.Errorf("want an error of the context and states as they were, got %v", err)
	}
	if err := e.Forward(some(m.Vocab, 1)); err != nil {
		t.Error(err)
	}
}

type canceler struct {
	op.Prober
	cancel func()
}

func (c *canceler) ForwardContext(ctx context.Context, b *op.Batch) error {
	c.cancel()
	return c.Prober.ForwardContext(ctx, b)
}

// Pieces are tried some times each way, and then those passes are divided for which that was faster. Passes of few rows
// are never divided.
func TestRhythm(t *testing.T) {
	for _, c := range []struct {
		whole, divided time.Duration
		want           int
	}{{4 * time.Second, 3 * time.Second, 4}, {3 * time.Second, 4 * time.Second, 1}} {
		r := rhythm{most: 4}
		tried := map[int]int{}
		for range 2 * tries {
			n := r.pieces(256)
			tried[n]++
			took := c.whole
			if n > 1 {
				took = c.divided
			}
			r.took(256, n, took)
			r.took(8, 1, time.Hour) // which says nothing of others
		}
		if tried[1] != tries || tried[4] != tries {
			t.Errorf("want %d passes each way, got %v", tries, tried)
		}
		if got := r.pieces(256); got != c.want {
			t.Errorf("whole %v, divided %v: want %d pieces, got %d", c.whole, c.divided, c.want, got)
		}
		if got := r.pieces(2*leastRows - 1); got != 1 {
			t.Errorf("few rows: want 1 piece, got %d", got)
		}
	}
}
