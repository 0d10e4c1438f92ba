package vulkan

import (
	"fmt"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// Timings runs the whole program over b, as Forward does, and returns each step's time on the device. Timestamps stand
// between the steps. If a device runs neighbouring steps side by side, the time of both counts for the later one. The
// error matches gpu.ErrNoTimestamps on a device that has none.
func (e *Exec) Timings(b *op.Batch) ([]time.Duration, error) {
	if err := e.stage(b); err != nil {
		return nil, op.BeforeRun(err)
	}
	if !e.dev.Info().Features.Timestamps {
		return nil, op.BeforeRun(fmt.Errorf("vulkan: %s: %w", e.Device(), gpu.ErrNoTimestamps))
	}
	times := make([]time.Duration, 0, len(e.prog.Steps))
	steps := len(e.prog.Steps)
	each := min(max(steps/e.pace.submissions(len(b.Tokens), steps), 1), gpu.MaxTimestamps-1) // in one submission
	for from := 0; from < steps; from += each {
		part, ran, err := timed(e, b, from, min(from+each, steps))
		if err != nil && !ran && from == 0 {
			err = op.BeforeRun(err)
		}
		if err != nil {
			return nil, err
		}
		times = append(times, part...)
	}
	return times, nil
}

// timed runs the steps [from, to) with a timestamp before and after each. ran reports whether they were submitted.
func timed(e *Exec, b *op.Batch, from, to int) (times []time.Duration, ran bool, err error) {
	c, err := e.recordSteps(shapeOf(b), from, to, false, true)
	if err != nil {
		return nil, false, err
	}
	defer c.Release()
	if err := c.Submit(); err != nil {
		return nil, false, err
	}
	if err := c.Wait(); err != nil {
		return nil, true, err
	}
	stamps, err := c.Timestamps()
	if err != nil {
		return nil, true, err
	}
	times = make([]time.Duration, to-from)
	for i := range times {
		times[i] = max(stamps[i+1]-stamps[i], 0)
	}
	return times, true, nil
}
