package tune

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/internal/files"
)

// Tuner chooses the forms of work by measuring them, once for a device, a driver and a shape.
//
// A choice that nobody has measured is measured before its first use, for as long as Budget allows for its kind. Then
// measuring goes on in slices between passes. So nobody waits long, and a process that lives for some seconds ends with
// the forms that a later process begins with.
//
// Several goroutines may use a tuner; their measurements take turns.
type Tuner struct {
	Budget time.Duration    // for each kind before slices begin; 0: nothing is measured
	Now    func() time.Time // time.Now but in tests

	kept    keeping
	notices notices
	spent   [kinds]atomic.Int64 // nanoseconds

	turn  sync.Mutex // held while measuring; guards what follows
	began bool
	rest  time.Time // before it no slice begins
}

// notices are the notices for the user.
type notices struct {
	tell func(string) // may be nil

	mu    sync.Mutex
	quiet int // calls of Quiet that are not released
	held  []string
}

// A first start waits for the budget. Later slices are too short for a reader to notice, and take a fifth of the time.
const (
	budget  = 2500 * time.Millisecond
	slice   = 100 * time.Millisecond
	resting = 4 // times as long as the slice was
)

// New returns a tuner that goes on from the file of an earlier one, or from nothing if fresh is set. A file that cannot
// be read, or that is of other kernels, costs only the time to measure again. notice may be nil. The tuner tells it
// once that measuring begins, and tells it of a form that is wrong or needs memory.
func New(path string, fresh bool, notice func(string)) *Tuner {
	t := &Tuner{Budget: budget, notices: notices{tell: notice}, Now: time.Now}
	if err := t.kept.open(path, fresh); err != nil {
		t.tell(fmt.Sprintf("tuning file ignored: %v", err))
	}
	return t
}

func (t *Tuner) tell(s string) {
	n := &t.notices
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.tell == nil:
	case n.quiet > 0:
		n.held = append(n.held, s)
	default:
		n.tell(s)
	}
}

// Quiet keeps notices back until release is called, once, for example while a text is written. If several callers keep
// them back, the last to release lets them go.
func (t *Tuner) Quiet() (release func()) {
	if t == nil {
		return func() {}
	}
	n := &t.notices
	n.mu.Lock()
	defer n.mu.Unlock()
	n.quiet++
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.quiet--; n.quiet > 0 {
			return
		}
		for _, s := range n.held {
			n.tell(s)
		}
		n.held = nil
	}
}

// Known returns the best forms found so far, by key.
func (t *Tuner) Known() map[string]Form {
	known := map[string]Form{}
	t.kept.mu.Lock()
	defer t.kept.mu.Unlock()
	for key, f := range t.kept.found {
		known[key] = f.Form
	}
	return known
}

// Suspects returns the forms that are not tried, since processes ended in their trials, in order.
func (t *Tuner) Suspects() []string { return slices.Sorted(maps.Keys(t.kept.lethal)) }

// Spent returns how long the tuner has measured.
func (t *Tuner) Spent() time.Duration {
	return time.Duration(t.spent[Few].Load() + t.spent[Many].Load())
}

// grant returns how long the tuner may measure now for work of a kind.
func (t *Tuner) grant(k Kind) time.Duration {
	switch left := t.Budget - time.Duration(t.spent[k].Load()); {
	case t.Budget <= 0:
		return 0
	case left > 0:
		return left
	case t.Now().Before(t.rest):
		return 0
	}
	return slice
}

// measured runs measure for work of a kind, if the kind is granted any time. It reports whether it ran measure.
func (t *Tuner) measured(device string, k Kind, measure func(until time.Time) error) (bool, error) {
	time := t.grant(k)
	if time <= 0 {
		return false, nil
	}
	if !t.began {
		t.began = true
		t.tell(fmt.Sprintf("measuring the fastest kernels for %s, once, for some seconds", device))
	}
	start := t.Now()
	err := measure(start.Add(time))
	end := t.Now()
	t.spent[k].Add(int64(end.Sub(start)))
	t.rest = end.Add(resting * end.Sub(start))
	return true, err
}

// take keeps what was found under a key.
func (t *Tuner) take(key string, f found) {
	t.kept.take(key, f)
	t.keep()
}

// tries writes to the file that a form is tried now. If the trial loses the device, hangs or ends the process, the next
// process reads it and does not try the form again. Writing to the disk takes long, so nothing is written of a form
// that was tried before without harm.
func (t *Tuner) tries(form string) {
	if t.kept.tries(form) {
		t.keep()
	}
}

// keep saves what was found. A failure costs only the time to measure again, and the user is told once. If other
// processes keep the tuner from saving, a later save has it all, so the user is not told.
func (t *Tuner) keep() {
	if err := t.kept.save(false); err != nil && !errors.Is(err, files.ErrBusy) {
		t.unkept(err)
	}
}

// Flush saves what could not be saved while other processes wrote the file. A device that closes calls it. It does
// nothing if somebody is measuring.
func (t *Tuner) Flush() {
	if t == nil || !t.turn.TryLock() {
		return
	}
	defer t.turn.Unlock()
	if !t.kept.owed {
		return
	}
	if err := t.kept.save(true); err != nil {
		t.unkept(err)
	}
}

func (t *Tuner) unkept(err error) {
	if !t.kept.told {
		t.kept.told = true
		t.tell(fmt.Sprintf("tuning is not kept: %v", err))
	}
}
