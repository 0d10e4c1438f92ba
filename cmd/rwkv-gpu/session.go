package main

import (
	"context"
	"errors"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/model"
)

// session is a model that runs on a device, with one sequence.
type session struct {
	*engine.Engine
	device *device.Device
	seq    *engine.Seq
}

// start loads m to the device of --device. chunk is the most tokens of one pass; 0 leaves it to the engine.
func (a *app) start(ctx context.Context, m *model.Model, chunk int) (*session, error) {
	d, err := a.openDevice(a.common.device)
	if err != nil {
		return nil, err
	}
	progress, clearBar := a.progress(ctx)
	e, err := engine.New(m, d, engine.Options{Slots: a.slots(1), Chunk: chunk, Exact: a.common.exact, Half: a.accuracy().Half, Progress: progress})
	clearBar()
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	s := &session{Engine: e, device: d}
	if s.seq, err = e.NewSeq(nil); err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	a.notice("running on %s", e.Device())
	return s, nil
}

// openDevice opens the device that spec names, tuned as the flags say.
func (a *app) openDevice(spec string) (*device.Device, error) {
	return a.openBy(a.common.open, spec, func(line string) { a.notice("%s", line) })
}

// openBy is openDevice with another way to open, which tells notice what the user should know.
func (a *app) openBy(open func(string, func(string)) (*device.Device, error), spec string, notice func(string)) (*device.Device, error) {
	d, err := open(spec, notice)
	if err != nil {
		return nil, err
	}
	if d.Threads = a.common.threads; d.Threads != 0 && !d.IsCPU() && a.common.split == "" {
		a.notice("--threads %d is for the CPU: a Vulkan device runs, which has none to set", d.Threads)
	}
	if a.common.tuning != "off" {
		d.Tune(a.common.retune, notice)
	}
	return d, nil
}

// Close releases the model's memory and the device.
func (s *session) Close() error { return errors.Join(s.Engine.Close(), s.device.Close()) }

// progress returns two functions. draw draws a bar while weights load, if somebody would see it, and ends the load when
// ctx is done. clear removes the bar.
func (a *app) progress(ctx context.Context) (draw func(done, all int64) error, clear func()) {
	return a.progressOf(ctx, "loading")
}

// progressOf is progress with other words before the bar.
func (a *app) progressOf(ctx context.Context, what string) (draw func(done, all int64) error, clear func()) {
	if a.common.quiet || !isTerminal(a.stderr) {
		return func(int64, int64) error { return ctx.Err() }, func() {}
	}
	var bar *progressbar.ProgressBar
	begin := time.Now()
	draw = func(done, all int64) error {
		if bar == nil {
			if time.Since(begin) < 200*time.Millisecond {
				return ctx.Err() // what is over at once needs no bar
			}
			bar = newBar(a.stderr, what, all, true)
		}
		_ = bar.Set64(done) // a bar that cannot be drawn is no reason to stop
		return ctx.Err()
	}
	return draw, func() { clearBar(bar) }
}
