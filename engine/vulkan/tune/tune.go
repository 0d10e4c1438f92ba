package tune

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Tuner chooses the forms of work by measuring them, once for a device, a driver and a shape.
//
// What is not known is measured before it is needed, for as long as Budget allows for the first work of its kind, and
// then in slices in between. So nobody waits long, and a process that lives for some seconds ends up with the forms
// that a later one begins with.
//
// Several goroutines may use it; what they measure takes turns.
type Tuner struct {
	Budget time.Duration    // that work of a kind waits in all before slices begin; 0: nothing is measured
	Now    func() time.Time // time.Now but in tests

	kept    keeping
	notices notices
	spent   [kinds]atomic.Int64 // nanoseconds

	turn  sync.Mutex // of what measures; guards what follows
	began bool
	rest  time.Time // until when no slice is due
}

// notices are what is to be told.
type notices struct {
	tell func(string) // may be nil

	mu      sync.Mutex
	holding int // calls of Hold that are not released
	held    []string
}

// What a first start waits for is short; later slices are shorter than what a reader would notice, and take a fifth of
// the time.
const (
	budget  = 2500 * time.Millisecond
	slice   = 100 * time.Millisecond
	resting = 4 // times as long as the slice was
)

// New returns a tuner that goes on from the file of an earlier one, or with fresh from nothing. A file that cannot be
// read, or that other kernels were measured for, costs only the time to measure again. notice, which may be nil, is
// told once when measuring begins, and of a form that is wrong or needs memory.
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
	case n.holding > 0:
		n.held = append(n.held, s)
	default:
		n.tell(s)
	}
}

// Hold keeps notices back, as while a text is written, until release is called, once. Of several that hold, the last
// one to release counts.
func (t *Tuner) Hold() (release func()) {
	if t == nil {
		return func() {}
	}
	n := &t.notices
	n.mu.Lock()
	defer n.mu.Unlock()
	n.holding++
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.holding--; n.holding > 0 {
			return
		}
		for _, s := range n.held {
			n.tell(s)
		}
		n.held = nil
	}
}

// Known returns the best forms found so far, by the keys of what they do.
func (t *Tuner) Known() map[string]Form {
	known := map[string]Form{}
	t.kept.mu.Lock()
	defer t.kept.mu.Unlock()
	for key, f := range t.kept.found {
		known[key] = f.Form
	}
	return known
}

// Spent returns how long has been measured.
func (t *Tuner) Spent() time.Duration {
	return time.Duration(t.spent[Few].Load() + t.spent[Many].Load())
}

// grant returns how long may now be measured for work of a kind.
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

// measured runs what measures for a kind of work until some time, if it is granted any, and tells whether it was.
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

// tries writes down that a form is tried now. Where that loses the device, hangs, or ends the process, the next one
// reads it and does not try again, which would end it in the same way. To wait for the disk takes long, so nothing is
// written of a form that was tried before and did no harm.
func (t *Tuner) tries(form string) {
	if t.kept.tries(form) {
		t.keep()
	}
}

// keep saves what was found. A failure costs no more than to measure again; it is told once.
func (t *Tuner) keep() {
	if err := t.kept.save(); err != nil && !t.kept.failed {
		t.kept.failed = true
		t.tell(fmt.Sprintf("tuning is not kept: %v", err))
	}
}
