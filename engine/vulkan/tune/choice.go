package tune

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
)

// Form is one way to do a piece of work: a kernel and, if the kernel has several sizes, what it takes at once. The
// tuning file stores it as it is.
type Form struct {
	Kernel string `json:"kernel"`
	Rows   uint32 `json:"rows"`
	Tokens uint32 `json:"tokens"`
}

// String names the form.
func (f Form) String() string {
	if f.Rows == 0 && f.Tokens == 0 {
		return f.Kernel
	}
	return fmt.Sprintf("%s %dx%d", f.Kernel, f.Rows, f.Tokens)
}

// Kind is the kind of a piece of work. Each kind has its own time for measuring, so that one does not use up the
// other's.
type Kind int

// The kinds: for few tokens, as in decode, or for many, as in prefill.
const (
	Few Kind = iota
	Many
	kinds
)

// KindOf returns the kind of work for many tokens, or for few.
func KindOf(many bool) Kind {
	if many {
		return Many
	}
	return Few
}

// Choice is a piece of work and its forms.
type Choice struct {
	Device string // its name
	On     string // beginning of the key: device, driver, and all else that measurements depend on
	Key    string
	Kind   Kind
	Forms  []Form            // the usual one first
	Found  func(Form) string // a notice of the form that was found when all were tried, or ""; may be nil
}

// Trial runs forms of a piece of work, in memory of its own.
type Trial interface {
	fmt.Stringer // what is worked on
	// Prepare makes the memory, and Release frees it. Release may also come after a Prepare that failed.
	Prepare() error
	Release()
	// Probe returns about how long the form takes at most, from a small part of the work. It returns 0 if a part would
	// tell nothing.
	Probe(f Form) (time.Duration, error)
	Results(f Form) ([]float32, error)
	Before() []float32 // what lies where the results come, before a run
	Time(f Form, limit time.Duration) (time.Duration, error)
}

// sum returns a checksum of a list of forms.
func sum(list []Form) string {
	h := fnv.New64a()
	for _, f := range list {
		_, _ = fmt.Fprintln(h, f.Kernel, f.Rows, f.Tokens) // never fails
	}
	return fmt.Sprintf("%016x", h.Sum64())
}

// standing says how far the measurement of a list of forms has come: the best form so far, and the next to try.
type standing struct{ best, next int }

// standing returns how far the measurement of a choice has come, as it was kept. The best of another list of forms may
// not be the best of this one, so it does not count. A kept form that the list does not have does not count either:
// somebody changed the file.
func (t *Tuner) standing(c *Choice) standing {
	if have, ok := t.kept.known(c.Key); ok && have.Among == sum(c.Forms) {
		for i, f := range c.Forms {
			if f != have.Form {
				continue
			}
			if have.Next <= i || have.Next > len(c.Forms) {
				return standing{i, len(c.Forms)}
			}
			return standing{i, have.Next}
		}
	}
	return standing{0, 1}
}

// Chosen returns the fastest form found so far, or the usual one. settled reports whether all forms were tried. Without
// a tuner the form is the usual one, and settled.
func (t *Tuner) Chosen(c *Choice) (f Form, settled bool) {
	if t == nil {
		return c.Forms[0], true
	}
	at := t.standing(c)
	return c.Forms[at.best], at.next >= len(c.Forms)
}

// Keep keeps a form as the best of the choice.
func (t *Tuner) Keep(c *Choice, f Form, took time.Duration) {
	t.turn.Lock()
	defer t.turn.Unlock()
	t.take(c.Key, found{Form: f, Micros: int(took.Microseconds()), Among: sum(c.Forms)})
}

// Measure goes on measuring a choice, if there is time for its kind and nobody else is measuring. Once ctx is done it
// tries no more forms. An error that is Refused means only that the choice cannot be measured now.
func (t *Tuner) Measure(ctx context.Context, c *Choice, trial func() (Trial, error)) error {
	if !t.turn.TryLock() {
		return nil
	}
	defer t.turn.Unlock()
	_, err := t.measured(c.Device, c.Kind, func(until time.Time) error {
		run, err := trial()
		if err != nil {
			return err
		}
		at := t.standing(c)
		took, err := t.fastest(ctx, c, run, &at, until)
		if err != nil {
			t.kept.ends(errors.Is(err, gpu.ErrDeviceLost) || errors.Is(err, gpu.ErrTimeout))
			t.keep()
			return err
		}
		best := found{Form: c.Forms[at.best], Micros: int(took.Microseconds()), Among: sum(c.Forms)}
		if at.next < len(c.Forms) {
			best.Next = at.next
		}
		t.take(c.Key, best)
		if best.Next == 0 && c.Found != nil {
			if notice := c.Found(best.Form); notice != "" {
				t.tell(notice)
			}
		}
		return nil
	})
	return err
}

// fastest goes on measuring a list of forms. It tries at least one, and more until the time until, but none once ctx is
// done. It compares the results of each with those of the first form. It returns the time of the best form.
func (t *Tuner) fastest(ctx context.Context, c *Choice, trial Trial, at *standing, until time.Time) (took time.Duration, err error) {
	defer trial.Release()
	if err := trial.Prepare(); err != nil {
		return 0, err
	}
	if _, err := trial.Probe(c.Forms[0]); err != nil {
		return 0, err
	}
	want, err := trial.Results(c.Forms[0])
	if err != nil {
		return 0, err
	}
	if took, err = trial.Time(c.Forms[at.best], 0); err != nil {
		return 0, err
	}
	for first := true; at.next < len(c.Forms) && ctx.Err() == nil; at.next++ {
		if !first && !t.Now().Before(until) {
			break
		}
		first = false
		d, err := t.duel(c, trial, c.Forms[at.best], c.Forms[at.next], took, want)
		if err != nil && !Refused(err) {
			return 0, err
		}
		t.kept.survives()
		if err == nil && d > 0 {
			at.best, took = at.next, d
		}
	}
	return took, nil
}

// duel returns the time of form f if f is clearly faster than the best form so far, whose time is took; else 0.
func (t *Tuner) duel(c *Choice, trial Trial, best, f Form, took time.Duration, want []float32) (time.Duration, error) {
	key := fmt.Sprintf("%s%s | %s", c.On, trial, f)
	if _, ok := t.kept.lethal[key]; ok {
		t.tell(fmt.Sprintf("kernel %s for %s was being tried when an earlier run ended, and is not tried again without --retune", f, trial))
		return 0, nil
	}
	t.tries(key)
	if about, err := trial.Probe(f); err != nil || about > max(hopeless*took, LongTrial) {
		return 0, err
	}
	got, err := trial.Results(f)
	if err != nil {
		return 0, err
	}
	if !Alike(got, want, trial.Before()) {
		t.tell(fmt.Sprintf("kernel %s for %s is wrong on %s, and not used", f, trial, c.Device))
		return 0, nil
	}
	d, err := trial.Time(f, took)
	if err != nil || !clearly(d, took) {
		return 0, err
	}
	// The best one went first, when the device may not have been up to its full speed.
	if again, err := trial.Time(best, took); err != nil || !clearly(d, again) {
		return 0, err
	}
	return d, nil
}

// A form is not run on all of a trial's work if its probe shows that it would take this many times as long as the best
// form, and longer than a trial should.
const (
	hopeless  = 8
	LongTrial = 100 * time.Millisecond
)

// Refused reports whether err means only that the device cannot run a form: it lacks memory, a limit or a feature.
// After any other error, for example a lost device, later results count for nothing.
func Refused(err error) bool {
	return errors.Is(err, gpu.ErrOutOfMemory) || errors.Is(err, gpu.ErrUnsupported)
}
