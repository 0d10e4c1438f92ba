package split

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// Stage is a part with the executor that runs it.
type Stage struct {
	*Part
	Exec  op.Prober         // of Part.Program; Sizes says with which sizes
	Fault func(error) error // gives an error of Exec its device's name; nil: errors stay as they are
}

// Exec runs the parts of a program, each on an executor. It implements op.Executor.
type Exec struct {
	prog   *op.Program
	sizes  op.Sizes
	stages []*stage
	closed bool

	rhythm rhythm
	pieces []div     // of the present pass
	logits []float32 // of a pass of several pieces: [outs][vocab]
	own    []float32 // memory of logits
	cut    atomic.Int64
}

var _ op.Executor = (*Exec)(nil)

// Sizes returns the sizes of the executor of the i-th of so many parts, for an Exec of sizes s.
func Sizes(s op.Sizes, i, parts int) op.Sizes {
	if i < parts-1 {
		s.Outs = 1 // it has no logits
	}
	return s
}

// New returns an executor for a program that is cut into the stages' parts. The executor owns those of the stages.
// pieces is into how many pieces a pass of many rows is divided, so that stages work side by side; 0 is the number that
// measures as the faster one of none and enough.
func New(prog *op.Program, s op.Sizes, stages []Stage, pieces int) *Exec {
	e := &Exec{prog: prog, sizes: s, rhythm: rhythm{fixed: pieces, most: 2 * len(stages)}}
	for _, x := range stages {
		e.stages = append(e.stages, &stage{Stage: x})
	}
	return e
}

// Device returns the names of the stages' devices with their layers.
func (e *Exec) Device() string {
	names := make([]string, len(e.stages))
	for i, s := range e.stages {
		names[i] = fmt.Sprintf("%s (layers %d to %d)", s.Exec.Device(), s.From, s.To-1)
	}
	return strings.Join(names, " + ")
}

// Close closes the executors of all stages.
func (e *Exec) Close() (err error) {
	e.closed = true
	for _, s := range e.stages {
		err = errors.Join(err, s.fault(s.Exec.Close()))
	}
	return err
}

// Forward runs the whole program over b.
func (e *Exec) Forward(b *op.Batch) error { return e.ForwardContext(context.Background(), b) }

// ForwardContext is Forward that ends when ctx is done.
func (e *Exec) ForwardContext(ctx context.Context, b *op.Batch) error {
	if err := e.check(b); err != nil {
		return op.BeforeRun(err)
	}
	rows, most := len(b.Tokens), e.mostRows()
	n := max(e.rhythm.pieces(rows), (rows+most-1)/most)
	start := time.Now()
	var changed atomic.Bool
	err := e.pass(ctx, b, n, &changed)
	switch {
	case err != nil && !changed.Load():
		return op.BeforeRun(err)
	case err != nil:
		return ran(err)
	}
	e.rhythm.took(rows, n, time.Since(start))
	return nil
}

// check returns an error unless b is a batch that the executor can run.
func (e *Exec) check(b *op.Batch) error {
	if e.closed {
		return fmt.Errorf("split: %w", op.ErrClosed)
	}
	return b.Check(e.prog, e.sizes)
}

// mostRows returns the most rows of a piece, so that no stage's device is busy for too long.
func (e *Exec) mostRows() int {
	most := e.sizes.Rows
	for _, s := range e.stages {
		if d, ok := s.Exec.(interface{ MostRows() int }); ok {
			most = min(most, d.MostRows())
		}
	}
	return most
}

// pass runs b in n pieces. changed is set as soon as a state may have changed.
func (e *Exec) pass(ctx context.Context, b *op.Batch, n int, changed *atomic.Bool) error {
	e.pieces = cutBatch(e.pieces, b, n)
	e.logits = nil
	if n > 1 {
		width := e.prog.Logits.Width
		e.own = slices.Grow(e.own[:0], len(b.Outs)*width)[:len(b.Outs)*width]
		e.logits = e.own
	}
	return e.flow(ctx, changed)
}

// Logits returns the logits of the last batch's i-th out.
func (e *Exec) Logits(i int) []float32 {
	if e.logits == nil {
		return e.last().Exec.Logits(i)
	}
	width := e.prog.Logits.Width
	return e.logits[i*width : (i+1)*width : (i+1)*width]
}

func (e *Exec) last() *stage { return e.stages[len(e.stages)-1] }

// Timings runs the whole program over b and returns each step's time. A step that several parts have is the sum of
// theirs.
func (e *Exec) Timings(b *op.Batch) ([]time.Duration, error) {
	if err := e.check(b); err != nil {
		return nil, op.BeforeRun(err)
	}
	times := make([]time.Duration, len(e.prog.Steps))
	at := carried{}
	e.pieces, e.logits = cutBatch(e.pieces, b, 1), nil
	for i, s := range e.stages {
		var part []time.Duration
		err := s.run(&e.pieces[0], i == len(e.stages)-1, at, &e.cut, func(b *op.Batch) (err error) {
			part, err = s.Exec.(interface {
				Timings(*op.Batch) ([]time.Duration, error)
			}).Timings(b)
			return err
		})
		if err != nil && (i > 0 || !op.IsNotRun(err)) {
			return nil, ran(err)
		}
		if err != nil {
			return nil, err
		}
		for j, took := range part {
			times[s.Steps[j]] += took
		}
	}
	return times, nil
}

// Settled reports whether more measuring of kernels would leave every pass that ran as it is.
func (e *Exec) Settled() bool {
	return !slices.ContainsFunc(e.stages, func(s *stage) bool {
		d, ok := s.Exec.(interface{ Settled() bool })
		return ok && !d.Settled()
	})
}

// CutTime returns how long all passes so far have moved rows between the host and executors.
func (e *Exec) CutTime() time.Duration { return time.Duration(e.cut.Load()) }

// Waited returns how long all passes so far have waited for devices. Stages that worked side by side count each.
func (e *Exec) Waited() (sum time.Duration) {
	for _, s := range e.stages {
		if d, ok := s.Exec.(interface{ Waited() time.Duration }); ok {
			sum += d.Waited()
		}
	}
	return sum
}

// LongestSubmission returns the longest time that a device took for one submission since the last call.
func (e *Exec) LongestSubmission() (longest time.Duration) {
	for _, s := range e.stages {
		if d, ok := s.Exec.(interface{ LongestSubmission() time.Duration }); ok {
			longest = max(longest, d.LongestSubmission())
		}
	}
	return longest
}
