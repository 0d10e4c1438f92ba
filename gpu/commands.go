package gpu

// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
	"unsafe"

	vk "github.com/vulkan-go/vulkan"
)

// Commands is a finished recording. It can be submitted any number of times, one after the
// other; different Commands may be in flight at once and run in the order of their Submits.
// Submit, Wait and Run do not allocate. It is for one goroutine at a time.
type Commands struct {
	r        *recorded
	c        *C.rg_dev
	pending  bool
	unsure   bool // Wait failed, and the device may still be at it
	released bool
	limit    time.Duration // of the submission
	longest  time.Duration // wait so far
	ran      bool          // once or more
	wait     wait
}

// Kernels returns the names of the kernels that the commands dispatch, in alphabetical order.
func (c *Commands) Kernels() []string {
	names := make([]string, 0, len(c.r.kernels))
	for k := range c.r.kernels {
		names = append(names, k.name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

var (
	errPending  = errors.New("vulkan: commands submitted again before Wait")
	errReleased = fmt.Errorf("vulkan: commands used after Release or Device.Close: %w", ErrClosed)
)

// Submit starts the commands. They see what the host wrote to mapped memory before. If the last Wait failed, Submit
// waits again first.
func (c *Commands) Submit() error {
	d := c.r.dev
	if c.unsure {
		if err := c.Wait(); err != nil {
			return err
		}
	}
	if c.pending && !d.gone.Load() {
		return errPending
	}
	if err := d.failure(); err != nil {
		return err
	}
	d.queueMu.Lock()
	if c.released || d.gone.Load() {
		d.queueMu.Unlock()
		return errReleased
	}
	r := C.rg_submit(c.c, c.r.cmd, c.r.fence)
	d.queueMu.Unlock()
	if r != 0 {
		return d.noted("vkQueueSubmit", int32(r), c.r)
	}
	c.limit = d.limit(max(c.r.expected, c.longest), c.r.fresh)
	d.health.underWay.Add(int64(c.limit))
	c.pending = true
	return nil
}

// Wait returns when the submitted commands are done, at once if none are under way. If they take far longer than they
// did before and than Recording.Expect said, the error is a HangError, and the commands count as under way for ever. If
// the driver has no memory for the wait, they count as under way until a later Wait succeeds.
func (c *Commands) Wait() error {
	d := c.r.dev
	if d.gone.Load() { // Close has waited
		c.pending, c.unsure = false, false
	}
	if !c.pending {
		return nil
	}
	start := time.Now()
	err := d.await(&c.wait, c.r.fence, c.r)
	c.unsure = !d.ended(err)
	if !c.unsure {
		d.health.underWay.Add(-int64(c.limit))
		c.pending, c.longest, c.ran = false, max(c.longest, time.Since(start)), c.ran || err == nil
	}
	return err
}

// Run is Submit and Wait.
func (c *Commands) Run() error {
	if err := c.Submit(); err != nil {
		return err
	}
	return c.Wait()
}

// Timestamps returns the time of every slot up to the highest recorded, in the last run and relative to slot 0. Slots
// that were not recorded are -1. Call it after Wait. The error matches ErrNoTimestamps if the device has none, or its
// driver wrote none.
func (c *Commands) Timestamps() ([]time.Duration, error) {
	r := c.r
	if c.released || c.pending || r.dev.gone.Load() {
		return nil, fmt.Errorf("vulkan: %s: timestamps asked for before Wait or after Release", r.describe())
	}
	if !r.dev.info.Features.Timestamps {
		return nil, fmt.Errorf("vulkan: %s: %w", r.describe(), ErrNoTimestamps)
	}
	if r.slots == 0 {
		return nil, nil
	}
	if !c.ran || !r.zero {
		return nil, fmt.Errorf("vulkan: %s: timestamps: want commands that ran and have slot 0, got ran %t, slot 0 %t", r.describe(), c.ran, r.zero)
	}
	raw := make([]uint64, 2*r.slots) // ticks, available
	const flags = 0x1 | 0x4          // 64 bit, with availability
	res := vk.GetQueryPoolResults(r.dev.vk, r.queries, 0, uint32(r.slots), uint(16*r.slots), unsafe.Pointer(&raw[0]), 16, flags)
	if res != 0 && res != 1 { // 1: not ready, some slots are not recorded
		return nil, r.dev.noted("vkGetQueryPoolResults", int32(res), r)
	}
	if raw[1] == 0 {
		return nil, fmt.Errorf("vulkan: %s: %w: the driver offers them, and wrote none", r.describe(), ErrNoTimestamps)
	}
	mask := uint64(math.MaxUint64) >> (64 - min(r.dev.info.Limits.TimestampBits, 64))
	times := make([]time.Duration, r.slots)
	for i := range times {
		times[i] = -1
		if raw[2*i+1] != 0 {
			times[i] = time.Duration(float64((raw[2*i]-raw[0])&mask) * r.dev.info.Limits.TimestampPeriod)
		}
	}
	return times, nil
}

// Stats counts what was recorded.
func (c *Commands) Stats() Stats { return c.r.stats }

// Release waits for the commands if they are under way, and gives everything back. If the driver cannot wait, they are
// given back at the end of the device.
func (c *Commands) Release() {
	if c == nil || c.released {
		return
	}
	if c.Wait() != nil { // a lost device has nothing under way, and one that hangs keeps what it has
		_ = c.Wait()
	}
	c.released = true
	d := c.r.dev
	d.mu.Lock()
	defer d.mu.Unlock()
	c.r.released = true
	if !c.pending || d.hung() {
		c.r.destroy()
	}
}
