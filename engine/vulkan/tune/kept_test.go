package tune

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// What was the best of some forms is measured anew among others, as of another version or another device's setting.
func TestTunerOtherList(t *testing.T) {
	tuner := New(filepath.Join(t.TempDir(), "tuning.json"), false, nil)
	measure := func(list ...Form) (open bool, tried []uint32) {
		t.Helper()
		c := &faultyTrial{}
		w := workOf(tuner, "a product", list, c)
		if w == nil {
			return false, nil
		}
		if err := w.measure(t.Context()); err != nil {
			t.Fatal(err)
		}
		return true, c.tried
	}
	for i, x := range []struct {
		list []Form
		want []uint32
	}{
		{[]Form{{Rows: 1}, {Rows: 2}}, []uint32{1, 2}}, {[]Form{{Rows: 1}, {Rows: 2}}, nil},
		{[]Form{{Rows: 1}, {Rows: 2}, {Rows: 4}}, []uint32{1, 2, 4}}, {[]Form{{Rows: 4}, {Rows: 1}}, []uint32{4, 1}},
	} {
		if open, tried := measure(x.list...); open != (x.want != nil) || !slices.Equal(tried, x.want) {
			t.Errorf("%d: want %v tried, got %v", i, x.want, tried)
		}
		tuner = New(tuner.kept.path, false, nil) // another process
	}
}

// stoppedTrial is one in whose second form the run is told to end.
type stoppedTrial struct {
	faultyTrial
	stop func()
}

func (c *stoppedTrial) Results(f Form) ([]float32, error) {
	if f.Rows == 2 {
		c.stop()
	}
	return c.faultyTrial.Results(f)
}

// A run that is to end does so after the form under trial; no form is suspected for that, and a later run goes on.
func TestTunerInterrupted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tuning.json")
	list := []Form{{Rows: 1}, {Rows: 2}, {Rows: 4}}
	ctx, cancel := context.WithCancel(t.Context())
	measure := func(ctx context.Context) []uint32 {
		t.Helper()
		c := &stoppedTrial{stop: cancel}
		w := workOf(New(path, false, nil), "a product", list, c)
		if w == nil {
			t.Fatal("want something to measure")
		}
		if err := w.measure(ctx); err != nil {
			t.Fatal(err)
		}
		return c.tried
	}
	if tried := measure(ctx); !slices.Equal(tried, []uint32{1, 2}) {
		t.Errorf("want an end after the second form, tried %v", tried)
	}
	file, err := read(path)
	if have := file.Found["a product"]; err != nil || len(file.Trying) != 0 || have.Rows != 2 || have.Next != 2 {
		t.Errorf("want two forms measured and none under trial, got %+v (%v)", file, err)
	}
	if tried := measure(t.Context()); !slices.Equal(tried, []uint32{1, 4}) {
		t.Errorf("want the third form tried alone, tried %v", tried)
	}
}

// A form is written down when it is first tried, by one write that waits for the disk, and not for products that
// follow.
func TestTunerTriesOnce(t *testing.T) {
	tuner := New(filepath.Join(t.TempDir(), "tuning.json"), false, nil)
	for i, list := range [][]Form{{{Rows: 1}, {Rows: 2}}, {{Rows: 1}, {Rows: 4}, {Rows: 2}}} {
		var file file
		c := &stoppedTrial{stop: func() { file, _ = read(tuner.kept.path) }} // the test fails if there is none
		w := workOf(tuner, fmt.Sprint("product ", i), list, c)
		if err := w.measure(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(file.Trying) != 1-i || file.Kernels == "" {
			t.Errorf("product %d: want %d forms written down in the trial of the last, got %+v", i, 1-i, file)
		}
	}
}

// Choices made for other kernels are not taken, and of those in the file only forms that would be measured: a file that
// was damaged or changed by hand costs a measurement.
func TestTunerFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tuning.json")
	list := []Form{{Kernel: "a", Rows: 1}, {Kernel: "b", Rows: 2, Tokens: 1}, {Kernel: "b", Rows: 4, Tokens: 1}}
	write := func(f file) {
		t.Helper()
		if err := f.write(path, false); err != nil {
			t.Fatal(err)
		}
	}
	write(file{Kernels: "other", Found: map[string]found{"a product": {Form: list[1], Among: sum(list)}}})
	if have := New(path, false, nil).Known(); len(have) != 0 {
		t.Errorf("want nothing taken that other kernels were measured for, got %v", have)
	}
	write(file{Kernels: kernelSum(), Found: map[string]found{"a product": {Form: list[1], Among: sum(list)}}})
	if w := workOf(New(path, false, nil), "a product", list, &faultyTrial{}); w != nil {
		t.Error("want what this file says taken")
	}
	for _, bad := range []Form{{}, {Kernel: "b", Rows: 1 << 31, Tokens: 1}, {Kernel: "b", Rows: 2}, {Kernel: "none", Rows: 2, Tokens: 1},
		{Kernel: "", Rows: 4, Tokens: 1}, {Kernel: "b", Rows: 3, Tokens: 7}} {
		write(file{Kernels: kernelSum(), Found: map[string]found{"a product": {Form: bad, Among: sum(list)}}})
		tuner := New(path, false, nil)
		w := workOf(tuner, "a product", list, &faultyTrial{})
		if w == nil {
			t.Fatalf("%+v: want something to measure", bad)
		}
		if f, _ := tuner.Chosen(&w.c); f != list[0] {
			t.Fatalf("%+v: want the usual form before that, got %v", bad, f)
		}
		if err := w.measure(t.Context()); err != nil {
			t.Fatal(err)
		}
		if f, settled := tuner.Chosen(&w.c); !settled || f != list[2] || tuner.Known()["a product"] != f {
			t.Errorf("%+v: want the fastest form, got %v, kept %v", bad, f, tuner.Known())
		}
	}
}

// However little time there is each time, every form is tried in the end, one by one; a process that ends before is
// gone on from.
func TestTunerResumes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tuning.json")
	list := []Form{{Rows: 1}, {Rows: 2}, {Rows: 4}, {Rows: 8}}
	start := func() *Tuner {
		tuner := tickingTuner(path, time.Hour)
		tuner.Budget = time.Nanosecond
		return tuner
	}
	tuner, c := start(), Choice{Key: "a product", Forms: list}
	var tried []uint32
	times := 0
	for settled := false; !settled; times++ {
		if times > 20 {
			t.Fatalf("after %d times: %v", times, tuner.kept.found)
		}
		if times == 1 { // another process goes on
			tuner = start()
		}
		trial := &faultyTrial{}
		if err := tuner.Measure(t.Context(), &c, func() (Trial, error) { return trial, nil }); err != nil {
			t.Fatal(err)
		}
		if len(trial.tried) > 0 {
			tried = append(tried, trial.tried[1:]...) // after the usual one
		}
		_, settled = tuner.Chosen(&c)
	}
	if f, _ := tuner.Chosen(&c); f != list[3] || !slices.Equal(tried, []uint32{2, 4, 8}) || times < 3 {
		t.Errorf("want the forms tried one by one, and the last chosen, got %v after %d times, %v", tried, times, f)
	}
}

// tickingTuner is a tuner by whose clock everything takes some time.
func tickingTuner(path string, step time.Duration) *Tuner {
	t := New(path, false, nil)
	var at time.Time
	t.Now = func() time.Time {
		at = at.Add(step)
		return at
	}
	return t
}
