package vulkan

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// Tuner chooses the forms of matrix products and recurrences by measuring them, once for a device, a driver and a shape. What
// it finds is kept in a file, by which a later run is spared the time.
//
// A pass is recorded with what is known, and what of it is not known is measured before it runs, for as long as Budget
// allows for the first passes of its kind, and then in slices between passes; then it is recorded anew. So nobody waits
// long, and a process that lives for some seconds ends up with the forms that a later one begins with.
type Tuner struct {
	Path   string
	Budget time.Duration // that passes of a kind wait in all before slices begin; 0: nothing is measured
	Notice func(string)  // told once when measuring begins, and of a form that is wrong or needs memory; may be nil

	found   map[string]tuned  // by device, driver and product
	ours    map[string]bool   // of those, what this tuner found itself
	lethal  map[string]string // forms in whose trials an earlier process ended, as Trying of the file
	trying  string            // the form under trial, by the key of lethal
	tried   map[string]bool   // forms that a trial of this process has done no harm, by the same key
	release func()            // takes back the claim on the file while a form is under trial
	fresh   bool              // what the file holds does not count
	failed  bool              // to save

	holding bool
	held    []string // notices

	now   func() time.Time // time.Now but in tests
	began bool
	spent [kinds]time.Duration
	rest  time.Time // until when no slice is due
}

// kind divides passes by what they are measured for, so that one kind does not use up the other's time.
type kind int

const (
	few  kind = iota // tokens: decode
	many             // prefill
	kinds
)

func kindOf(n uint32) kind {
	if n > fewTokens {
		return many
	}
	return few
}

// What a first start waits for is short; later slices are shorter than what a reader would notice, and take a fifth of
// the time.
const (
	tuningBudget = 2500 * time.Millisecond
	tuningSlice  = 100 * time.Millisecond
	tuningRest   = 4 // times as long as the slice was
)

// NewTuner returns a tuner that goes on from the file of an earlier one, or with fresh from nothing. A file that cannot be
// read, or that other kernels were measured for, costs only the time to measure again.
func NewTuner(path string, fresh bool, notice func(string)) *Tuner {
	t := &Tuner{Path: path, Budget: tuningBudget, Notice: notice, found: map[string]tuned{}, ours: map[string]bool{}, tried: map[string]bool{}, fresh: fresh, now: time.Now}
	if fresh || path == "" {
		return t
	}
	file, err := readTuning(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.tell(fmt.Sprintf("tuning file ignored: %v", err))
	}
	if file.Found != nil {
		t.found = file.Found
	}
	t.lethal = suspects(path, file.Trying)
	return t
}

func (t *Tuner) tell(s string) {
	switch {
	case t.Notice == nil:
	case t.holding:
		t.held = append(t.held, s)
	default:
		t.Notice(s)
	}
}

// Hold keeps notices back, as while a text is written, until release is called.
func (t *Tuner) Hold() (release func()) {
	if t == nil {
		return func() {}
	}
	t.holding = true
	return func() {
		t.holding = false
		for _, s := range t.held {
			t.tell(s)
		}
		t.held = nil
	}
}

// Spent returns how long has been measured.
func (t *Tuner) Spent() time.Duration { return t.spent[few] + t.spent[many] }

// grant returns how long may now be measured for passes of a kind.
func (t *Tuner) grant(k kind) time.Duration {
	switch left := t.Budget - t.spent[k]; {
	case t.Budget <= 0:
		return 0
	case left > 0:
		return left
	case t.now().Before(t.rest):
		return 0
	}
	return tuningSlice
}

// measured runs what measures for a kind of pass until some time, if it is granted any, and tells whether it was.
func (t *Tuner) measured(device string, k kind, measure func(until time.Time) error) (bool, error) {
	time := t.grant(k)
	if time <= 0 {
		return false, nil
	}
	if !t.began {
		t.began = true
		t.tell(fmt.Sprintf("measuring the fastest kernels for %s, once, for some seconds", device))
	}
	start := t.now()
	err := measure(start.Add(time))
	end := t.now()
	t.spent[k] += end.Sub(start)
	t.rest = end.Add(tuningRest * end.Sub(start))
	return true, err
}

// known returns what was found under a key; without a tuner nothing.
func (t *Tuner) known(key string) (found tuned, ok bool) {
	if t == nil {
		return tuned{}, false
	}
	found, ok = t.found[key]
	return found, ok
}

// take keeps what was found under a key.
func (t *Tuner) take(key string, found tuned) {
	if t != nil {
		t.found[key], t.ours[key], t.trying = found, true, ""
		t.keep()
	}
}

// tries writes down that a form is tried now. Where that loses the device, hangs, or ends the process, the next one reads it
// and does not try again, which would end it in the same way. To wait for the disk takes long, so nothing is written of a form
// that was tried before and did no harm.
func (t *Tuner) tries(form string) {
	if t.tried[form] {
		form = ""
	}
	if form != t.trying {
		t.trying = form
		t.keep()
	}
}

// survives says that the trial of a form is over, and that it did no harm.
func (t *Tuner) survives() { t.tried[t.trying] = true }

// acquit takes back what tries wrote down of a form that did no harm, after an error that is not its own.
func (t *Tuner) acquit() {
	if t.trying != "" && t.tried[t.trying] {
		t.trying = ""
		t.keep()
	}
}

// tuningKey names a product of n tokens on the executor's device. Numbers of tokens are alike that are one tile of
// the same size, and beyond fewTokens all are, but for where matmul_hold begins.
func (e *Exec) tuningKey(u *unit, n uint32) string {
	tokens := fmt.Sprint(tileFor(n, fewTokens))
	if n > fewTokens {
		tokens = "many"
		if e.beforeHold(u, n) {
			tokens = fmt.Sprint(n)
		}
	}
	return e.on + fmt.Sprintf("%s %d rows, %d bytes, %s tokens", u.Type, u.Rows, u.Bytes, tokens)
}

// beforeHold tells whether matmul_hold is for more tokens of a unit than n.
func (e *Exec) beforeHold(u *unit, n uint32) bool {
	return n < holdLeast && e.kernels.shape.fitsHold(&u.Unit)
}

// tokensTried returns how many tokens are tried for n. Many stand for all of the same key, whatever pass comes first: a
// short one's would not be enough to tell what a long one is best done by.
func (e *Exec) tokensTried(u *unit, n uint32) uint32 {
	if n <= fewTokens || e.beforeHold(u, n) {
		return n
	}
	x := u.Parts[0].X.Of
	return min(uint32(e.plan.Extent(x)/x.Stride()), trialTokens)
}

// form returns the form for a unit and n tokens: the one found fastest, or the usual one; and what is to be measured for a
// better one.
func (e *Exec) form(u *unit, n uint32) (matMulForm, *wish) {
	shape := &e.kernels.shape
	if e.matMul == Sparse { // as far as it suits: see sparseForm
		return shape.usual(&u.Unit, n), nil
	}
	if e.matMul == Narrow && !shape.fitsNarrow(&u.Unit) || e.matMul == Hold && !shape.fitsHold(&u.Unit) ||
		e.matMul == Shared && !shape.takesShared(&u.Unit) {
		return shape.usual(&u.Unit, n), nil
	}
	if e.matMul != Auto {
		return shape.within(shape.of(e.matMul, n), &u.Unit, n), nil
	}
	forms := shape.candidates
	if e.exact {
		forms = shape.exactForms
	}
	if e.tuner == nil {
		return forms(&u.Unit, n)[0], nil
	}
	return choice(e, e.tuningKey(u, n), kindOf(n), forms(&u.Unit, e.tokensTried(u, n)),
		func() (contest[matMulForm], error) { return e.newTrial(u, n), nil })
}

// fastest goes on measuring a list of forms, one of them in any case and more until some time, and none once ctx is done. The
// results of the first are what the others' are compared with. It returns the time of the best.
func fastest[F candidate](ctx context.Context, e *Exec, trial contest[F], list []F, at *standing, until time.Time) (took time.Duration, err error) {
	if err := trial.hold(); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, spoilt(trial.restore())) }()
	if _, err := trial.probe(list[0]); err != nil {
		return 0, err
	}
	want, err := trial.results(list[0])
	if err != nil {
		return 0, err
	}
	if took, err = trial.time(list[at.best], 0); err != nil {
		return 0, err
	}
	for first := true; at.next < len(list) && ctx.Err() == nil; at.next++ {
		if !first && !e.tuner.now().Before(until) {
			break
		}
		first = false
		d, err := duel(e, trial, list[at.best], list[at.next], took, want)
		if err != nil && !refused(err) {
			return 0, err
		}
		e.tuner.survives()
		if err == nil && d > 0 {
			at.best, took = at.next, d
		}
	}
	return took, nil
}

// duel returns the time of a form if it is clearly faster than the best so far, which took some time; else 0.
func duel[F candidate](e *Exec, trial contest[F], best, f F, took time.Duration, want []float32) (time.Duration, error) {
	t := e.tuner
	key := fmt.Sprintf("%s%s | %s", e.on, trial, f)
	if _, ok := t.lethal[key]; ok {
		t.tell(fmt.Sprintf("kernel %s for %s was being tried when an earlier run ended, and is not tried again without --retune", f, trial))
		return 0, nil
	}
	t.tries(key)
	if about, err := trial.probe(f); err != nil || about > max(hopeless*took, longTrial) {
		return 0, err
	}
	got, err := trial.results(f)
	if err != nil {
		return 0, err
	}
	if !alike(got, want, trial.before()) {
		t.tell(fmt.Sprintf("kernel %s for %s is wrong on %s, and not used", f, trial, e.Device()))
		return 0, nil
	}
	d, err := trial.time(f, took)
	if err != nil || !clearly(d, took) {
		return 0, err
	}
	// The best one went first, when the device may not have been up to its full speed.
	if again, err := trial.time(best, took); err != nil || !clearly(d, again) {
		return 0, err
	}
	return d, nil
}

// A form is not run on all of a trial's work if by a part of it that would take so much longer than the best one, and
// longer than a trial should.
const (
	hopeless  = 8
	longTrial = 100 * time.Millisecond
)

// refused tells whether err means no more than that the device cannot run a form: it lacks memory, a limit or a feature. After
// any other error, as a lost device, nothing that comes is to be believed.
func refused(err error) bool {
	return (errors.Is(err, gpu.ErrOutOfMemory) || errors.Is(err, gpu.ErrUnsupported)) && !errors.Is(err, errSpoilt)
}

// errSpoilt marks an error, of whatever kind, by which memory did not get back what it held before a trial: what is
// calculated from it would be wrong.
var errSpoilt = errors.New("what a tuning trial changed is not brought back")

func spoilt(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", errSpoilt, err)
}

// clearly tells whether d is less than the time of a form that is better known: a little less may be noise.
func clearly(d, known time.Duration) bool { return d < known*19/20 }

// alike tells whether two results are the same but for the order of sums. What lay there before counts for
// the size of neither: it may be larger.
func alike(got, want, before []float32) bool {
	var largest, worst float64
	for i, w := range want {
		if !tensor.IsFinite(got[i]) {
			return false
		}
		if w != before[i] {
			largest = max(largest, abs(w))
		}
		worst = max(worst, abs(got[i]-w))
	}
	return worst <= 1e-4*largest
}

func abs(f float32) float64 { return max(float64(f), -float64(f)) }
