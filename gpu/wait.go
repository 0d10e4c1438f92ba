package gpu

// #include "shim.h"
import "C"

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// These limit how long a wait may take before the device counts as hanging. Many drivers give up a dispatch that takes
// seconds and report the device as lost. The limits are for the other drivers, and must never take a slow device for
// one that hangs.
const (
	leastWait    = 30 * time.Second       // DeviceOptions.WaitLimit
	shortestWait = 100 * time.Millisecond // the shortest limit: a slice of it is long for the system's clock
	firstKernels = 6                      // so many kernels that never ran add one least limit: they may be compiled only now
	waitFactor   = 20                     // times the time that the same commands took before, or should take
	waitLimit    = 24 * time.Hour         // of all that together
	waitSlices   = 4                      // slices of a wait at least
	longestSlice = time.Second
)

// waitLimitEnv is DeviceOptions.WaitLimit in seconds.
const waitLimitEnv = "RWKV_WAIT_LIMIT"

// HangError says that a wait was given up. It matches ErrTimeout. The device is of no more use: every later call fails
// with the same error. Nothing that the device has is given back, since that might wait too.
type HangError struct {
	What  string // that was waited for
	After time.Duration
}

func (e *HangError) Error() string {
	return fmt.Sprintf("%s: the device hangs: no answer for %s", e.What, e.After.Round(100*time.Millisecond))
}

// Is reports whether target is ErrTimeout.
func (e *HangError) Is(target error) bool { return target == ErrTimeout }

// health is the known state of a device.
type health struct {
	least    time.Duration
	underWay atomic.Int64 // sum of the limits of all that was submitted and not waited for yet
	hung     atomic.Bool
	stopped  chan struct{}         // closed when the device is found hanging
	failed   atomic.Pointer[error] // lost or hung; nothing works any more

	mu       sync.Mutex
	waits    []*wait       // waits that are in the driver now
	watching chan struct{} // closed to end watch; nil before the first wait
}

// wait is a wait that is in the driver. It is reused, and does not move in memory.
type wait struct {
	what       described
	limit, age time.Duration
}

// leastWaitOf returns the limit that the options or the environment set.
func leastWaitOf(o DeviceOptions) (time.Duration, error) {
	if o.WaitLimit != 0 {
		if o.WaitLimit < shortestWait || o.WaitLimit > waitLimit {
			return 0, fmt.Errorf("vulkan: DeviceOptions.WaitLimit: want %s to %s, got %s", shortestWait, waitLimit, o.WaitLimit)
		}
		return o.WaitLimit, nil
	}
	text := os.Getenv(waitLimitEnv)
	if text == "" {
		return leastWait, nil
	}
	s, err := strconv.ParseFloat(text, 64)
	if err != nil || !(s >= shortestWait.Seconds() && s <= waitLimit.Seconds()) {
		return 0, fmt.Errorf("%s: want seconds from %g to %.0f, got %q", waitLimitEnv, shortestWait.Seconds(), waitLimit.Seconds(), text)
	}
	return time.Duration(s * float64(time.Second)), nil
}

// WaitLimit returns the least limit of a wait on devices that are opened without another one.
func WaitLimit() (time.Duration, error) { return leastWaitOf(DeviceOptions{}) }

// described is something that can be waited for.
type described interface{ describe() string }

// await waits for a fence as long as all that is under way may take. If the process is stopped, at most a slice of that
// time counts.
func (d *Device) await(w *wait, fence C.uint64_t, what described) error {
	if d.hung() {
		return d.failure()
	}
	limit := max(time.Duration(d.health.underWay.Load()), d.health.least)
	d.enter(w, limit, what)
	r, slice := int32(resultTimeout), min(limit/waitSlices+1, longestSlice)
	for left := limit; left > 0 && r == resultTimeout; left -= slice {
		r = int32(C.rg_wait(d.c, fence, C.uint64_t(slice)))
	}
	d.leave(w)
	if r == resultTimeout {
		return d.hang(what, limit)
	}
	return d.noted("vkWaitForFences", r, what)
}

// awaitAll waits for all that is under way. A lost device cannot be waited for, which is no error. If a driver has no
// memory for the wait, awaitAll tries once more.
func (d *Device) awaitAll() error {
	if d.hung() {
		return nil
	}
	var w wait
	d.enter(&w, max(time.Duration(d.health.underWay.Load()), d.health.least), d)
	r := int32(C.rg_idle(d.c))
	if r != 0 && r != resultDeviceLost {
		C.rg_idle(d.c)
	}
	d.leave(&w)
	if r == resultDeviceLost {
		return nil
	}
	return d.noted("vkDeviceWaitIdle", r, d)
}

// enter and leave stand around a call that waits in the driver, and that may never return.
func (d *Device) enter(w *wait, limit time.Duration, what described) {
	h := &d.health
	h.mu.Lock()
	defer h.mu.Unlock()
	w.what, w.limit, w.age = what, limit, 0
	h.waits = append(h.waits, w)
	if h.watching == nil {
		h.watching = make(chan struct{})
		go d.watch(h.watching)
	}
}

func (d *Device) leave(w *wait) {
	h := &d.health
	h.mu.Lock()
	defer h.mu.Unlock()
	i := slices.Index(h.waits, w)
	h.waits = slices.Delete(h.waits, i, i+1)
}

// watch looks for waits that are far overdue. Their calls do not return, and their goroutines are lost. watch tells
// whoever opened the instance, who can only end the process. The time of a stopped process does not count.
func (d *Device) watch(done <-chan struct{}) {
	h := &d.health
	tick := min(h.least/waitSlices+1, longestSlice)
	for {
		C.rg_sleep(C.uint32_t(tick / time.Millisecond)) // with Go's timers every call of C would cost a switch of threads
		select {
		case <-done:
			return
		default:
		}
		h.mu.Lock()
		i := slices.IndexFunc(h.waits, func(w *wait) bool {
			w.age += tick
			return w.age > w.limit+w.limit/waitSlices+2*tick
		})
		var stuck wait
		if i >= 0 {
			stuck = *h.waits[i]
		}
		h.mu.Unlock()
		if i >= 0 {
			err := d.hang(stuck.what, stuck.age)
			if d.in.opts.OnHang != nil {
				d.in.opts.OnHang(err)
			}
			return
		}
	}
}

// unwatch ends the goroutine that enter started.
func (d *Device) unwatch() {
	d.health.mu.Lock()
	defer d.health.mu.Unlock()
	if d.health.watching != nil {
		close(d.health.watching)
		d.health.watching = nil
	}
}

// hang notes that the device hangs, and returns the error.
func (d *Device) hang(what described, after time.Duration) error {
	first := d.health.hung.CompareAndSwap(false, true)
	err := d.fail(&HangError{What: "vulkan: " + what.describe(), After: after})
	if first {
		close(d.health.stopped)
	}
	return err
}

// noted returns the error for a result, and notes it if the device is lost.
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

// fail keeps the first error after which nothing works any more, and returns it.
func (d *Device) fail(err error) error {
	d.health.failed.CompareAndSwap(nil, &err)
	return d.failure()
}

// failure returns the error by which the device was lost or found to hang, nil while it works.
func (d *Device) failure() error {
	if err := d.health.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// Err returns the error by which the device was lost or found to hang. Then the device does nothing any more. nil means
// that it works, as far as its driver has said.
func (d *Device) Err() error { return d.failure() }

// ended reports whether the work that a wait was for is over, by the wait's error. A driver without memory for the wait
// leaves that open.
func (d *Device) ended(err error) bool { return !d.hung() && (err == nil || d.failure() != nil) }

// hung reports whether the device hangs. Nothing is given back to a device that hangs.
func (d *Device) hung() bool { return d.health.hung.Load() }

// limit returns how long a wait may take for work that should take a known time and has so many kernels that never ran.
func (d *Device) limit(expected time.Duration, kernels int) time.Duration {
	return min(d.health.least+waitFactor*min(expected, waitLimit/waitFactor)+time.Duration(kernels)*d.health.least/firstKernels, waitLimit)
}
