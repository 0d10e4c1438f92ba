package schedule

import (
	"context"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
)

// runner is the part of an engine that a scheduler uses.
type runner interface {
	Pass(ctx context.Context, rows []engine.Row) error
	Burst(ctx context.Context, c []engine.Continuation, most int, each func(i, id int) bool) (int, error)
	NewSeq(state []float32) (*engine.Seq, error)
	Fork(s *engine.Seq) (*engine.Seq, error)
	Reopen(ctx context.Context) error

	save(s []*engine.Seq, dst [][]float32) (waiter, error)
	release(s *engine.Seq)
	stateLen() int
}

// waiter is a transfer under way.
type waiter interface{ Wait() error }

// engineRunner is an engine as a runner.
type engineRunner struct{ *engine.Engine }

func (r engineRunner) save(s []*engine.Seq, dst [][]float32) (waiter, error) { return r.Save(s, dst) }

func (r engineRunner) release(s *engine.Seq) { s.Release() }

func (r engineRunner) stateLen() int { return r.Model.Program.StateLen() }
