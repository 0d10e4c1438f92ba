package engine

import (
	"context"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// tunable is an executor that measures which of its kernels are the fastest.
type tunable interface {
	drawer
	Prepare(ctx context.Context, b *op.Batch) error
	Settled() bool
}

var _ tunable = (*vulkan.Exec)(nil)

// Prepare makes ready for a prompt of so many tokens and, if drawn is set, for the tokens drawn after it. It measures
// kernels now, which takes some seconds on a device's first use, so that the text need not wait for that. When ctx is
// done it stops, which is no error. No sequence's state changes.
func (e *Engine) Prepare(ctx context.Context, prompt int, drawn bool) error {
	if err := e.begin(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	defer e.end()
	exec, ok := e.host.exec.(tunable)
	if !ok || e.host.dev.Tuner == nil {
		return nil
	}
	type shape struct{ tokens, outs int }
	var passes []shape
	rows := e.host.passRows()
	rest := prompt % rows
	if prompt >= rows { // all whole passes are alike
		passes = append(passes, shape{rows, 1 - min(rest, 1)})
	}
	if rest > 0 {
		passes = append(passes, shape{rest, 1})
	}
	if drawn {
		passes = append(passes, shape{1, 1})
		if _, err := exec.DrawsOnDevice(1); err != nil {
			return e.host.dev.Fault(err)
		}
	}
	for _, p := range passes {
		e.passes.batch.Reset()
		e.passes.batch.Add(0, make([]int, p.tokens), p.outs)
		if err := exec.Prepare(ctx, &e.passes.batch); err != nil {
			return e.host.dev.Fault(err)
		}
	}
	return nil
}

// Stopwatch starts a clock and returns its time, without the time spent on measuring kernels.
func (e *Engine) Stopwatch() (elapsed func() time.Duration) {
	spent := func() time.Duration {
		if e.host.dev.Tuner == nil {
			return 0
		}
		return e.host.dev.Tuner.Spent()
	}
	start, before := time.Now(), spent()
	return func() time.Duration { return time.Since(start) - (spent() - before) }
}

// Quiet keeps back the tuner's notices until end is called, once, for example while a text is written.
func (e *Engine) Quiet() (end func()) { return e.host.dev.Tuner.Quiet() }

// Settled reports whether the passes run so far are as fast as measuring can make them.
func (e *Engine) Settled() bool {
	if e.begin(context.Background()) != nil {
		return true
	}
	defer e.end()
	exec, ok := e.host.exec.(interface{ Settled() bool })
	return !ok || exec.Settled()
}
