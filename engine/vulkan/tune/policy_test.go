package tune

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
)

// Each kind of pass has a time of its own, whatever the other took; then slices are granted, with rests between them.
func TestTunerGrants(t *testing.T) {
	tuner := New("", true, nil)
	var at time.Time
	tuner.Now = func() time.Time { return at }
	tuner.Budget = time.Second
	measure := func(k Kind, took time.Duration) (granted time.Duration) {
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
		kind             Kind
		took, want, then time.Duration
	}{
		{Many, 900 * time.Millisecond, time.Second, 0}, {Many, 300 * time.Millisecond, 100 * time.Millisecond, 0},
		{Few, 400 * time.Millisecond, time.Second, 0}, // though prefill has had its time
		{Many, 0, 0, 1500 * time.Millisecond},         // the rest is four times what was measured last
		{Many, 0, 0, 200 * time.Millisecond},          // also from now on
		{Many, 50 * time.Millisecond, slice, 0}, {Many, 0, 0, 190 * time.Millisecond}, {Few, time.Second, 600 * time.Millisecond, 0},
		{Few, 0, 0, 0}, {Many, 0, 0, 4 * time.Second}, {Few, time.Millisecond, slice, 0},
	} {
		if got := measure(c.kind, c.took); got != c.want {
			t.Errorf("%d: want %s, got %s", i, c.want, got)
		}
		at = at.Add(c.then)
	}
	if tuner.Budget = 0; measure(Few, 0) != 0 {
		t.Error("want nothing granted without a budget")
	}
}

// killedTrial is one in whose second form the process ends: what the file holds then is kept.
type killedTrial struct {
	faultyTrial
	path string
	file []byte
}

func (c *killedTrial) Results(f Form) ([]float32, error) {
	if f.Rows == 2 {
		c.file, _ = os.ReadFile(c.path) // the test fails if there is none
	}
	return c.faultyTrial.Results(f)
}

// A form in whose trial a process ended is not tried by the next one, on any product, and that says so; --retune tries
// it again. One whose trial went well leaves nothing behind.
func TestTunerLethal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tuning.json")
	list := []Form{{Rows: 1}, {Rows: 2}, {Rows: 4}}
	run := func(tuner *Tuner, product string) (*killedTrial, found) {
		t.Helper()
		c := &killedTrial{path: path}
		w := workOf(tuner, product, list, c)
		if w == nil {
			t.Fatal("want something to measure")
		}
		if err := w.measure(t.Context()); err != nil {
			t.Fatal(err)
		}
		return c, tuner.kept.found[product]
	}
	c, found := run(New(path, false, nil), "a product")
	if file, err := read(path); err != nil || len(file.Trying) != 0 || found.Rows != 4 || found.Next != 0 {
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
		c, found := run(New(path, false, func(s string) { told = append(told, s) }), product)
		if slices.Contains(c.tried, 2) || found.Rows != 4 || len(told) != 1 || !strings.Contains(told[0], "--retune") {
			t.Errorf("%s: want the form left out and one notice, got %v, %v, %q", product, c.tried, found, told)
		}
		if file, err := read(path); err != nil || len(file.Trying) != 1 {
			t.Errorf("%s: want the form remembered, got %v (%v)", product, file.Trying, err)
		}
	}
	if c, _ := run(New(path, true, nil), "a product"); !slices.Contains(c.tried, 2) {
		t.Errorf("want it tried again from a fresh start, got %v", c.tried)
	}
	if file, err := read(path); err != nil || len(file.Trying) != 0 || len(file.Found) != 1 {
		t.Errorf("want one product of the fresh start alone, got %+v (%v)", file, err)
	}
}

// What is to be said while a text is written is said after it.
func TestTunerQuiet(t *testing.T) {
	var told []string
	tuner := New("", true, func(s string) { told = append(told, s) })
	tuner.tell("a")
	release := tuner.Quiet()
	tuner.tell("b")
	tuner.tell("c")
	if !slices.Equal(told, []string{"a"}) {
		t.Errorf("told %q", told)
	}
	other := tuner.Quiet()
	release()
	if !slices.Equal(told, []string{"a"}) {
		t.Errorf("told %q while another text is written", told)
	}
	other()
	tuner.tell("d")
	if !slices.Equal(told, []string{"a", "b", "c", "d"}) {
		t.Errorf("told %q", told)
	}
}

// A form that loses the device stays written down, and is tried again by no tuner: not by the same one, after the
// device was opened anew and something else was measured, nor by a later one.
func TestTunerLoses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tuning.json")
	list := []Form{{Rows: 1}, {Rows: 2}, {Rows: 4}}
	tuner := New(path, false, nil)
	c := &faultyTrial{failResults: &gpu.Error{Call: "vkQueueSubmit", Result: -4}}
	if err := workOf(tuner, "a product", list, c).measure(t.Context()); !errors.Is(err, gpu.ErrDeviceLost) {
		t.Errorf("want the device lost, got %v", err)
	}
	if next := New(path, false, nil); len(next.kept.lethal) != 1 || len(next.kept.found) != 0 {
		t.Errorf("want one form that is not tried again, got %v, %v", next.kept.lethal, next.kept.found)
	}
	if err := workOf(tuner, "something else", []Form{{Rows: 1}, {Rows: 3}}, new(faultyTrial)).measure(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, next := range []*Tuner{tuner, New(path, false, nil)} {
		c := new(faultyTrial)
		w := workOf(next, "a product", list, c)
		if w == nil {
			continue // the other tuner has measured the rest
		}
		if err := w.measure(t.Context()); err != nil || slices.Contains(c.tried, 2) || !slices.Contains(c.tried, 4) {
			t.Errorf("want the other form tried alone, got %v (%v)", c.tried, err)
		}
	}
	if next := New(path, false, nil); len(next.kept.lethal) != 1 || next.kept.found["a product"].Rows != 4 {
		t.Errorf("want one form that is not tried again, got %v, %v", next.kept.lethal, next.kept.found)
	}
}

// An error that is not of the device says nothing of the form: it is tried again.
func TestTunerFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tuning.json")
	list := []Form{{Rows: 1}, {Rows: 2}, {Rows: 4}}
	tuner := New(path, false, nil)
	if err := workOf(tuner, "a product", list, &faultyTrial{failResults: errors.New("a mistake")}).measure(t.Context()); err == nil {
		t.Error("want the error")
	}
	if next := New(path, false, nil); len(next.kept.lethal) != 0 {
		t.Errorf("want no form left out, got %v", next.kept.lethal)
	}
	c := new(faultyTrial)
	if err := workOf(tuner, "a product", list, c).measure(t.Context()); err != nil || !slices.Contains(c.tried, 2) {
		t.Errorf("want it tried again, got %v (%v)", c.tried, err)
	}
}

// While one measures, another goes on with what is known, and asks again later.
func TestTunerMeasuresOnce(t *testing.T) {
	tuner := New("", true, nil)
	inner := new(faultyTrial)
	outer := &meanwhile{do: func() {
		if err := workOf(tuner, "another product", []Form{{Rows: 1}, {Rows: 2}}, inner).measure(t.Context()); err != nil {
			t.Error(err)
		}
	}}
	if err := workOf(tuner, "a product", []Form{{Rows: 1}, {Rows: 2}}, outer).measure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(inner.tried) != 0 || len(outer.tried) == 0 {
		t.Errorf("want the first measured alone, got %v and %v", outer.tried, inner.tried)
	}
	if w := workOf(tuner, "another product", []Form{{Rows: 1}, {Rows: 2}}, inner); w == nil || w.measure(t.Context()) != nil || len(inner.tried) == 0 {
		t.Errorf("want the other measured afterwards, got %v", inner.tried)
	}
}

// meanwhile is a trial during which something else happens.
type meanwhile struct {
	faultyTrial
	do func()
}

func (m *meanwhile) Prepare() error {
	m.do()
	return nil
}

// probedTrial tells by a part of the work how long the whole takes.
type probedTrial struct {
	faultyTrial
	about time.Duration // of the second form
}

func (c *probedTrial) Probe(f Form) (time.Duration, error) {
	if f.Rows == 2 {
		return c.about, nil
	}
	return 0, nil
}

// A form that a part of the work shows to be hopeless is not run on the whole; one that is slow by less is.
func TestTunerProbes(t *testing.T) {
	list := []Form{{Rows: 1}, {Rows: 2}, {Rows: 4}} // of 1, 1/2 and 1/4 second
	for about, want := range map[time.Duration]bool{hopeless*time.Second + 1: false, hopeless * time.Second: true, 0: true} {
		c, at := &probedTrial{about: about}, standing{0, 1}
		_, err := New("", true, nil).fastest(t.Context(), &Choice{Forms: list}, c, &at, time.Now().Add(time.Hour))
		if tried := slices.Contains(c.tried, 2); tried != want || err != nil || at.best != 2 {
			t.Errorf("%s: want it run: %t, got %v, %v (%v)", about, want, c.tried, at, err)
		}
	}
}

// The cost of a submission is in no form's time, and takes none for a slow one. What takes hardly any time comes to an
// end.
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
		got, err := TimedBy(func(times int) (time.Duration, error) {
			d := c.submission + time.Duration(times)*c.each
			all += d
			return d, nil
		}, 12, c.limit)
		if err != nil || got < c.want || got > c.want*5/4 || c.limit > 0 && all > 3*trialTime {
			t.Errorf("%+v: got %s after %s (%v)", c, got, all, err)
		}
	}
}

// coldTrial is one on a device that is slow when the first form is timed first.
type coldTrial struct {
	faultyTrial
	timed int
}

func (c *coldTrial) Time(f Form, limit time.Duration) (time.Duration, error) {
	d, err := c.faultyTrial.Time(f, limit)
	if c.timed++; c.timed == 1 {
		d *= 10
	}
	return d, err
}

// A form does not win because the device was not yet at its full speed when the other was timed.
func TestTunerCold(t *testing.T) {
	at := standing{0, 1}
	took, err := New("", true, nil).fastest(t.Context(), &Choice{Forms: []Form{{Rows: 4}, {Rows: 2}}}, &coldTrial{}, &at, time.Now().Add(time.Hour))
	if err != nil || at != (standing{0, 2}) {
		t.Errorf("want the first form, got %v, %s (%v)", at, took, err)
	}
	at = standing{0, 1}
	took, err = New("", true, nil).fastest(t.Context(), &Choice{Forms: []Form{{Rows: 2}, {Rows: 4}}}, &coldTrial{}, &at, time.Now().Add(time.Hour))
	if err != nil || at != (standing{1, 2}) || took != time.Second/4 {
		t.Errorf("want the second form, got %v, %s (%v)", at, took, err)
	}
}
