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

// Prepare makes ready for a prompt of so many tokens in a slot, and for the tokens drawn after it, if any are: what a device
// is measured for at first is measured now, which takes some seconds, and not while the text appears. When ctx is done it
// stops, which is no error. The slot's state stays as it is.
func (e *Engine) Prepare(ctx context.Context, slot Slot, prompt int, drawn bool) error {
	exec, ok := e.exec.(tunable)
	if !ok || e.dev.tuner == nil {
		return nil
	}
	rows := e.passRows()
	lengths := []int{min(prompt, rows+prompt%rows)} // one whole pass stands for all
	if drawn {
		lengths = append(lengths, 1)
		if _, err := exec.DrawsOnDevice(1); err != nil {
			return e.dev.fault(err)
		}
	}
	for _, n := range lengths {
		in := []Input{{Slot: slot, Tokens: make([]int, n), Wanted: min(n, 1)}}
		if err := e.checkInputs(in); err != nil {
			return err
		}
		e.taken = append(e.taken[:0], 0)
		for e.fill(in, rows) {
			if err := exec.Prepare(ctx, &e.batch); err != nil {
				return e.dev.fault(err)
			}
		}
	}
	return nil
}

// Stopwatch returns what tells the time since, less what was spent on measuring kernels.
func (e *Engine) Stopwatch() (elapsed func() time.Duration) {
	spent := func() time.Duration {
		if e.dev.tuner == nil {
			return 0
		}
		return e.dev.tuner.Spent()
	}
	start, before := time.Now(), spent()
	return func() time.Duration { return time.Since(start) - (spent() - before) }
}

// Settled tells whether the passes run so far are as fast as measuring makes them.
func (e *Engine) Settled() bool {
	exec, ok := e.exec.(tunable)
	return !ok || exec.Settled()
}
