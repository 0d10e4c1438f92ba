package gpu

// #include "shim.h"
import "C"

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// How long a wait may take before it counts as one for a device that hangs. Drivers give up a dispatch that takes seconds
// and report the device as lost; this is for those that do not, and must never take a slow device for one.
const (
	leastWait    = 30 * time.Second // DeviceOptions.WaitLimit
	firstKernels = 6                // so many that never ran as much again: drivers may compile a kernel only then
	waitFactor   = 20               // times more than the same took before, or was said to take
	waitLimit    = 24 * time.Hour   // of all that together
	waitSlices   = 4                // at least, into which a wait is cut
	longestSlice = time.Second
)

// waitLimitEnv is DeviceOptions.WaitLimit in seconds.
const waitLimitEnv = "RWKV_WAIT_LIMIT"

// HangError is a wait that was given up. It matches ErrTimeout. The device is of no use any more: whatever is asked of it
// fails with the same error, and nothing that it held is given back, for that might wait too.
type HangError struct {
	What  string // that was waited for
	After time.Duration
}

func (e *HangError) Error() string {
	return fmt.Sprintf("%s: the device hangs: no answer for %s", e.What, e.After.Round(100*time.Millisecond))
}

// Is reports whether target is ErrTimeout.
func (e *HangError) Is(target error) bool { return target == ErrTimeout }

// health is what is known of a device's state.
type health struct {
	least    time.Duration
	underWay atomic.Int64 // sum of the limits of all that was submitted and not waited for yet
	hung     atomic.Bool
	failed   atomic.Pointer[error] // lost or hung; nothing works any more

	mu   sync.Mutex
	idle []*waiter
}

// waiter waits in the driver on a goroutine of its own, for a call that never returns cannot be left otherwise.
type waiter struct {
	ask    chan C.uint64_t // a fence, or 0 for all that is under way
	answer chan int32
	slice  *time.Timer
}

// leastWaitOf returns the limit that the options or the environment set.
func leastWaitOf(o DeviceOptions) (time.Duration, error) {
	if o.WaitLimit > 0 {
		return o.WaitLimit, nil
	}
	text := os.Getenv(waitLimitEnv)
	if text == "" {
		return leastWait, nil
	}
	s, err := strconv.ParseFloat(text, 64)
	if err != nil || !(s > 0 && s <= waitLimit.Seconds()) {
		return 0, fmt.Errorf("%s: want seconds from above 0 to %.0f, got %q", waitLimitEnv, waitLimit.Seconds(), text)
	}
	return time.Duration(s * float64(time.Second)), nil
}

func (d *Device) takeWaiter() *waiter {
	h := &d.health
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(h.idle); n > 0 {
		w := h.idle[n-1]
		h.idle = h.idle[:n-1]
		return w
	}
	w := &waiter{ask: make(chan C.uint64_t), answer: make(chan int32, 1), slice: time.NewTimer(longestSlice)}
	go w.serve(d.c)
	return w
}

func (d *Device) giveWaiter(w *waiter) {
	d.health.mu.Lock()
	d.health.idle = append(d.health.idle, w)
	d.health.mu.Unlock()
}

// releaseWaiters ends the goroutines; the device is not to be waited for any more.
func (d *Device) releaseWaiters() {
	d.health.mu.Lock()
	defer d.health.mu.Unlock()
	for _, w := range d.health.idle {
		close(w.ask)
	}
	d.health.idle = nil
}

func (w *waiter) serve(c *C.rg_dev) {
	for fence := range w.ask {
		if fence == 0 {
			w.answer <- int32(C.rg_idle(c))
			continue
		}
		w.answer <- int32(C.rg_wait(c, fence, math.MaxUint64))
	}
}

// described is what can be waited for.
type described interface{ describe() string }

// await waits for a fence, or with 0 for all that is under way, as long as all that is may take. Of the time that the process
// was stopped for no more than a slice counts.
func (d *Device) await(call string, fence C.uint64_t, what described) error {
	if d.hung() {
		return d.failure()
	}
	w := d.takeWaiter()
	w.ask <- fence
	limit := max(time.Duration(d.health.underWay.Load()), d.health.least)
	for left := limit; left > 0; {
		slice := min(left, limit/waitSlices+1, longestSlice)
		w.slice.Reset(slice)
		select {
		case r := <-w.answer:
			w.slice.Stop()
			d.giveWaiter(w)
			return d.noted(call, r, what)
		case <-w.slice.C:
			left -= slice
		}
	}
	d.health.hung.Store(true)
	return d.fail(&HangError{What: "vulkan: " + what.describe(), After: limit})
}

// noted returns the error for a result, and remembers a loss of the device.
func (d *Device) noted(call string, r int32, what described) error {
	err := check(call, r)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("vulkan: %s: %w", what.describe(), err)
	if r == resultDeviceLost {
		return d.fail(err)
	}
	return err
}

// fail remembers the first error after which nothing works any more, and returns it.
func (d *Device) fail(err error) error {
	d.health.failed.CompareAndSwap(nil, &err)
	return d.failure()
}

// failure returns the error by which the device was lost or found hanging, nil while it works.
func (d *Device) failure() error {
	if err := d.health.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// hung tells whether the device hangs. Then nothing is given back to it.
func (d *Device) hung() bool { return d.health.hung.Load() }

// limit returns how long a wait may take for what should take some time and has so many kernels that never ran before.
func (d *Device) limit(expected time.Duration, kernels int) time.Duration {
	return min(d.health.least+waitFactor*min(expected, waitLimit/waitFactor)+time.Duration(kernels)*d.health.least/firstKernels, waitLimit)
}
