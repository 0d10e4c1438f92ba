package tune

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
)

// Form is one way to do a piece of work, as the file has it: a kernel, and what it takes at once where it has several
// sizes.
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

// Kind divides work by what it is for, so that one kind does not use up the other's time.
type Kind int

// The kinds: for few tokens, as in decode, or for many, as in prefill.
const (
	Few Kind = iota
	Many
	kinds
)

// KindOf returns the kind.
func KindOf(many bool) Kind {
	if many {
		return Many
	}
	return Few
}

// Choice is a piece of work and its forms.
type Choice struct {
	Device string // its name
	On     string // begins the key: device, driver, and what else all measurements depend on
	Key    string
	Kind   Kind
	Forms  []Form            // the usual one first
	Found  func(Form) string // a notice of the form that was found when all were tried, or ""; may be nil
}

// Trial runs forms of a piece of work, in memory of its own.
type Trial interface {
	fmt.Stringer // what is worked on
	// Prepare makes the memory, and Release frees it, which may come after a Prepare that failed.
	Prepare() error
	Release()
	// Probe returns about how long the form takes at most, from a small part of the work; 0 where that is no question.
	Probe(f Form) (time.Duration, error)
	Results(f Form) ([]float32, error)
	Before() []float32 // what lay, before, where the results come
	Time(f Form, limit time.Duration) (time.Duration, error)
}

// sum tells a list of forms from others.
func sum(list []Form) string {
	h := fnv.New64a()
	for _, f := range list {
		_, _ = fmt.Fprintln(h, f.Kernel, f.Rows, f.Tokens) // never fails
	}
	return fmt.Sprintf("%016x", h.Sum64())
}

// standing is how far the measurement of a list of forms has come.
type standing struct{ best, next int }

// standing returns it as it was kept. What was the best of other forms may not be that of these. If what was kept is
// none of these, the file was changed, and is not believed.
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

// Chosen returns the form that was found the fastest so far, or the usual one; and whether all were tried. Without a
// tuner that is the usual one.
func (t *Tuner) Chosen(c *Choice) (f Form, settled bool) {
	if t == nil {
		return c.Forms[0], true
	}
	at := t.standing(c)
	return c.Forms[at.best], at.next >= len(c.Forms)
}

// Keep keeps a form as the best of all.
func (t *Tuner) Keep(c *Choice, f Form, took time.Duration) {
	t.turn.Lock()
	defer t.turn.Unlock()
	t.take(c.Key, found{Form: f, Micros: int(took.Microseconds()), Among: sum(c.Forms)})
}

// Measure goes on measuring a choice, if there is time for its kind, and nobody else is measuring. Once ctx is done it
// tries no more. An error that is Refused means no more than that the choice is not measured now.
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

// fastest goes on measuring a list of forms, one of them in any case and more until some time, and none once ctx is
// done. The results of the first are what the others' are compared with. It returns the time of the best.
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

// duel returns the time of a form if it is clearly faster than the best so far, which took some time; else 0.
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

// A form is not run on all of a trial's work if by a part of it that would take so much longer than the best one, and
// longer than a trial should.
const (
	hopeless  = 8
	LongTrial = 100 * time.Millisecond
)

// Refused reports whether err means no more than that the device cannot run a form: it lacks memory, a limit or a
// feature. After any other error, as a lost device, nothing that comes is to be believed.
func Refused(err error) bool {
	return errors.Is(err, gpu.ErrOutOfMemory) || errors.Is(err, gpu.ErrUnsupported)
}
