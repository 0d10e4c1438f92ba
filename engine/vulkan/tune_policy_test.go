package vulkan

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// tickingTuner is a tuner by whose clock everything takes some time.
func tickingTuner(path string, step time.Duration) *Tuner {
	t := NewTuner(path, false, nil)
	var at time.Time
	t.now = func() time.Time {
		at = at.Add(step)
		return at
	}
	return t
}

// Each kind of pass has a time of its own, whatever the other took; then slices are granted, with rests between them.
func TestTunerGrants(t *testing.T) {
	tuner := NewTuner("", true, nil)
	var at time.Time
	tuner.now = func() time.Time { return at }
	tuner.Budget = time.Second
	measure := func(k kind, took time.Duration) (granted time.Duration) {
		ok, err := tuner.measured("", k, func(until time.Time) error {
			granted, at = until.Sub(at), at.Add(took)
			return nil
		})
		if ok != (granted > 0) || err != nil {
			t.Errorf("granted %t, %s (%v)", ok, granted, err)
		}
		return granted
	}
	for i, c := range []struct {
		kind             kind
		took, want, then time.Duration
	}{
		{many, 900 * time.Millisecond, time.Second, 0}, {many, 300 * time.Millisecond, 100 * time.Millisecond, 0},
		{few, 400 * time.Millisecond, time.Second, 0}, // though prefill has had its time
		{many, 0, 0, 1500 * time.Millisecond},         // the rest is four times what was measured last
		{many, 0, 0, 200 * time.Millisecond},          // also from now on
		{many, 50 * time.Millisecond, tuningSlice, 0}, {many, 0, 0, 190 * time.Millisecond}, {few, time.Second, 600 * time.Millisecond, 0},
		{few, 0, 0, 0}, {many, 0, 0, 4 * time.Second}, {few, time.Millisecond, tuningSlice, 0},
	} {
		if got := measure(c.kind, c.took); got != c.want {
			t.Errorf("%d: want %s, got %s", i, c.want, got)
		}
		at = at.Add(c.then)
	}
	if tuner.Budget = 0; measure(few, 0) != 0 {
		t.Error("want nothing granted without a budget")
	}
}

// However little time each pass grants, a process ends up with every form tried, and passes that were recorded before run in
// the best ones; a process that ends before is gone on from.
func TestTunerResumes(t *testing.T) {
	k, path := choosing(t), filepath.Join(t.TempDir(), "tuning.json")
	var b op.Batch
	b.Add(0, []int{0}, 0)
	start := func() *Exec {
		tuner := tickingTuner(path, time.Hour)
		tuner.Budget = time.Nanosecond
		e := execWith(t, k, tuningProgram(tensor.F16), Options{Sizes: op.Sizes{Slots: 1, Rows: 1, Seqs: 1}, Tuner: tuner})
		e.now = time.Now
		return e
	}
	list := func(e *Exec) (units []*unit, forms int) {
		for _, s := range e.prog.Steps {
			u := &e.ops.matMuls[s.Op.(*op.MatMul)][0]
			units, forms = append(units, u), forms+len(k.shape.candidates(&u.Unit, 1))-1
		}
		return units, forms
	}
	e := start()
	units, forms := list(e)
	passes := 0
	for ; !e.Settled() || passes == 0; passes++ {
		if passes > 20*forms {
			t.Fatalf("after %d passes: %v", passes, e.tuner.found)
		}
		if passes == 1 { // another process goes on
			before := e.tuner.found
			if e = start(); len(before) == 0 || len(e.tuner.found) != len(before) {
				t.Fatalf("one pass found %v, kept are %v", before, e.tuner.found)
			}
			units, _ = list(e)
		}
		if err := e.Forward(&b); err != nil {
			t.Fatal(err)
		}
	}
	if passes < 2 {
		t.Errorf("%d forms in %d passes: want them tried one by one", forms, passes)
	}
	for _, u := range units {
		if have := e.tuner.found[e.tuningKey(u, 1)]; have.Kernel == "" || have.Next != 0 {
			t.Errorf("want all forms of %d rows tried, got %+v", u.Rows, have)
		}
	}
}

// What was found for one pass is what another, recorded before, runs in from then on.
func TestTunerRenews(t *testing.T) {
	k := choosing(t)
	tuner := NewTuner("", true, nil)
	tuner.Budget = time.Nanosecond
	tuner.rest = time.Now().Add(time.Hour)
	tuner.spent = [kinds]time.Duration{time.Hour, time.Hour}
	e := execWith(t, k, tuningProgram(tensor.F16), Options{Sizes: op.Sizes{Slots: 1, Rows: 1, Seqs: 1}, Tuner: tuner})
	var b op.Batch
	b.Add(0, []int{0}, 0)
	forward := func() *pass {
		t.Helper()
		if err := e.Forward(&b); err != nil {
			t.Fatal(err)
		}
		return e.shapes.entries[0].pass
	}
	ticking(e, time.Millisecond)
	forward()
	first := forward() // as one submission
	if again := forward(); again != first || len(first.open) == 0 || e.Settled() {
		t.Fatalf("want the pass as it was, with wishes open, got %v after %v", again, first)
	}
	for _, s := range e.prog.Steps {
		u := &e.ops.matMuls[s.Op.(*op.MatMul)][0]
		list := k.shape.candidates(&u.Unit, 1)
		tuner.take(e.tuningKey(u, 1), keptAmong(list[len(list)-1], list))
	}
	second := forward()
	if second == first || len(second.open) != 0 || !e.Settled() {
		t.Errorf("want the pass recorded anew, and nothing open, got %v", second.open)
	}
	if again := forward(); again != second {
		t.Error("want no pass recorded anew without a reason")
	}
}

// killedContest is one in whose second form the process ends: what the file holds then is kept.
type killedContest struct {
	faultyContest
	path string
	file []byte
}

func (c *killedContest) results(f matMulForm) ([]float32, error) {
	if f.rows == 2 {
		c.file, _ = os.ReadFile(c.path) // the test fails if there is none
	}
	return c.faultyContest.results(f)
}

// A form in whose trial a process ended is not tried by the next one, on any product, and that says so; --retune tries it again.
// One whose trial went well leaves nothing behind.
func TestTunerLethal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tuning.json")
	list := []matMulForm{{rows: 1}, {rows: 2}, {rows: 4}}
	run := func(tuner *Tuner, product string) (*killedContest, tuned) {
		t.Helper()
		c := &killedContest{path: path}
		_, w := choice(&Exec{tuner: tuner, on: "a device | "}, product, few, list, func() (contest[matMulForm], error) { return c, nil })
		if w == nil {
			t.Fatal("want something to measure")
		}
		if err := w.measure(t.Context(), time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		return c, tuner.found[product]
	}
	c, found := run(NewTuner(path, false, nil), "a product")
	if file, err := readTuning(path); err != nil || len(file.Trying) != 0 || found.Rows != 4 || found.Next != 0 {
		t.Fatalf("want %v kept and nothing under trial, got %+v (%v)", found, file, err)
	}
	if err := os.WriteFile(path, c.file, 0o600); err != nil {
		t.Fatal(err)
	}
	data := strings.ReplaceAll(string(c.file), owner(), "1"+owner()) // by another process, which is no more
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, product := range []string{"a product", "another product"} {
		var told []string
		c, found := run(NewTuner(path, false, func(s string) { told = append(told, s) }), product)
		if slices.Contains(c.tried, 2) || found.Rows != 4 || len(told) != 1 || !strings.Contains(told[0], "--retune") {
			t.Errorf("%s: want the form left out and one notice, got %v, %v, %q", product, c.tried, found, told)
		}
		if file, err := readTuning(path); err != nil || len(file.Trying) != 1 {
			t.Errorf("%s: want the form remembered, got %v (%v)", product, file.Trying, err)
		}
	}
	if c, _ := run(NewTuner(path, true, nil), "a product"); !slices.Contains(c.tried, 2) {
		t.Errorf("want it tried again from a fresh start, got %v", c.tried)
	}
	if file, err := readTuning(path); err != nil || len(file.Trying) != 0 || len(file.Found) != 1 {
		t.Errorf("want one product of the fresh start alone, got %+v (%v)", file, err)
	}
}

// What is to be said while a text is written is said after it.
func TestTunerHolds(t *testing.T) {
	var told []string
	tuner := NewTuner("", true, func(s string) { told = append(told, s) })
	tuner.tell("a")
	release := tuner.Hold()
	tuner.tell("b")
	tuner.tell("c")
	if !slices.Equal(told, []string{"a"}) {
		t.Errorf("told %q", told)
	}
	release()
	tuner.tell("d")
	if !slices.Equal(told, []string{"a", "b", "c", "d"}) {
		t.Errorf("told %q", told)
	}
}

// A form that loses the device stays written down.
func TestTunerLoses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tuning.json")
	c := &faultyContest{failResults: &gpu.Error{Call: "vkQueueSubmit", Result: -4}}
	_, w := choice(&Exec{tuner: NewTuner(path, false, nil)}, "a product", few, []matMulForm{{rows: 1}, {rows: 2}, {rows: 4}},
		func() (contest[matMulForm], error) { return c, nil })
	if err := w.measure(t.Context(), time.Now().Add(time.Hour)); !errors.Is(err, gpu.ErrDeviceLost) {
		t.Errorf("want the device lost, got %v", err)
	}
	if next := NewTuner(path, false, nil); len(next.lethal) != 1 || len(next.found) != 0 {
		t.Errorf("want one form that is not tried again, got %v, %v", next.lethal, next.found)
	}
}

// probedContest tells by a part of the work how long the whole takes.
type probedContest struct {
	faultyContest
	about time.Duration // of the second form
}

func (c *probedContest) probe(f matMulForm) (time.Duration, error) {
	if f.rows == 2 {
		return c.about, nil
	}
	return 0, nil
}

// A form that a part of the work shows to be hopeless is not run on the whole; one that is slow by less is.
func TestTunerProbes(t *testing.T) {
	list := []matMulForm{{rows: 1}, {rows: 2}, {rows: 4}} // of 1, 1/2 and 1/4 second
	for about, want := range map[time.Duration]bool{hopeless*time.Second + 1: false, hopeless * time.Second: true, 0: true} {
		c, at := &probedContest{about: about}, standing{0, 1}
		_, err := fastest(t.Context(), &Exec{tuner: NewTuner("", true, nil)}, c, list, &at, time.Now().Add(time.Hour))
		if tried := slices.Contains(c.tried, 2); tried != want || err != nil || at.best != 2 {
			t.Errorf("%s: want it run: %t, got %v, %v (%v)", about, want, c.tried, at, err)
		}
	}
}

// A probe is a small part of the work, and on a device that takes long for it fewer tokens are tried.
func TestProbe(t *testing.T) {
	k := choosing(t)
	e := execWith(t, k, tuningProgram(tensor.F16), Options{Sizes: op.Sizes{Slots: 1, Rows: 64, Seqs: 1}})
	u := &e.ops.matMuls[e.prog.Steps[0].Op.(*op.MatMul)][0]
	f := k.shape.usual(&u.Unit, 64)
	for _, c := range []struct {
		part time.Duration
		want uint32
	}{{time.Microsecond, 64}, {10 * time.Second, leastTrial}} {
		trial := e.newTrial(u, 64)
		trial.clock = func() func() time.Duration { return func() time.Duration { return c.part } }
		x, y := k.shape.groups(f, u.Rows, 64)
		about, err := trial.probe(f)
		if whole := c.part * time.Duration(x/max(x/probed, 1)*y); err != nil || trial.n != c.want || about < whole/time.Duration(64/c.want) || about > 2*whole {
			t.Errorf("%s: want %d tokens, got %d and %s (%v)", c.part, c.want, trial.n, about, err)
		}
		if _, err := trial.probe(f); err != nil || trial.n != c.want {
			t.Errorf("%s: another form's probe changed the tokens to %d (%v)", c.part, trial.n, err)
		}
	}
}

// The cost of a submission is in no form's time, and takes none for a slow one. What takes hardly any time comes to an end.
func TestTimedBy(t *testing.T) {
	for _, c := range []struct{ submission, each, limit, want time.Duration }{
		{60 * time.Microsecond, 4 * time.Microsecond, 5 * time.Microsecond, 4 * time.Microsecond},
		{60 * time.Microsecond, 4 * time.Microsecond, 0, 4 * time.Microsecond},
		{60 * time.Microsecond, 20 * time.Millisecond, 0, 20 * time.Millisecond},
		{100 * time.Microsecond, 40 * time.Microsecond, 5 * time.Microsecond, 40 * time.Microsecond},
		{0, 100 * time.Nanosecond, 90 * time.Nanosecond, 100 * time.Nanosecond},
		{0, 0, 0, 0},
	} {
		var all time.Duration
		got, err := timedBy(func(times int) (time.Duration, error) {
			d := c.submission + time.Duration(times)*c.each
			all += d
			return d, nil
		}, 12, c.limit)
		if err != nil || got < c.want || got > c.want*5/4 || c.limit > 0 && all > 3*trialTime {
			t.Errorf("%+v: got %s after %s (%v)", c, got, all, err)
		}
	}
}

// coldContest is one on a device that is slow when the first form is timed first.
type coldContest struct {
	faultyContest
	timed int
}

func (c *coldContest) time(f matMulForm, limit time.Duration) (time.Duration, error) {
	d, err := c.faultyContest.time(f, limit)
	if c.timed++; c.timed == 1 {
		d *= 10
	}
	return d, err
}

// A form does not win because the device was not yet at its full speed when the other was timed.
func TestTunerCold(t *testing.T) {
	at := standing{0, 1}
	took, err := fastest(t.Context(), &Exec{tuner: NewTuner("", true, nil)}, &coldContest{}, []matMulForm{{rows: 4}, {rows: 2}}, &at, time.Now().Add(time.Hour))
	if err != nil || at != (standing{0, 2}) {
		t.Errorf("want the first form, got %v, %s (%v)", at, took, err)
	}
	at = standing{0, 1}
	took, err = fastest(t.Context(), &Exec{tuner: NewTuner("", true, nil)}, &coldContest{}, []matMulForm{{rows: 2}, {rows: 4}}, &at, time.Now().Add(time.Hour))
	if err != nil || at != (standing{1, 2}) || took != time.Second/4 {
		t.Errorf("want the second form, got %v, %s (%v)", at, took, err)
	}
}

// What would take longer to measure than it could save is not: some tokens of one sequence. As many sequences' tokens, one
// token, and a whole prompt are.
func TestTunerWishes(t *testing.T) {
	k := choosing(t)
	e := execWith(t, k, tuningProgram(tensor.F16), Options{Sizes: op.Sizes{Slots: 4, Rows: 40, Seqs: 4}, Tuner: NewTuner("", true, nil)})
	e.tuner.Budget = 0
	for s, wanted := range map[shape]bool{{1, 1, 0}: true, {4, 1, 0}: false, {fewTokens, 1, 0}: false, {fewTokens + 1, 1, 0}: true, {4, 4, 0}: true} {
		want := 0
		for _, units := range e.ops.matMuls {
			if wanted && len(k.shape.candidates(&units[0].Unit, uint32(s.rows))) > 1 {
				want++
			}
		}
		var b op.Batch
		for i := range s.seqs {
			b.Add(i, make([]int, s.rows/s.seqs), 0)
		}
		if err := e.Forward(&b); err != nil {
			t.Fatal(err)
		}
		p, err := e.shapes.get(s)
		if err != nil || len(p.open) != want {
			t.Errorf("%d tokens of %d sequences: want %d wishes, got %v (%v)", s.rows, s.seqs, want, p.open, err)
		}
	}
}
