package vulkan

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// What a file keeps of a form that is none of the list is no reason to record passes anew; with time the list is measured, which
// takes its place.
func TestTunerUnlisted(t *testing.T) {
	k := choosing(t)
	tuner := NewTuner("", true, nil)
	e := execWith(t, k, tuningProgram(tensor.F16), Options{Sizes: op.Sizes{Slots: 1, Rows: 1, Seqs: 1}, Tuner: tuner})
	var keys []string
	for _, s := range e.prog.Steps {
		u := &e.ops.matMuls[s.Op.(*op.MatMul)][0]
		keys = append(keys, e.tuningKey(u, 1))
		tuner.found[keys[len(keys)-1]] = tuned{Kernel: "of another version", Rows: 3, Tokens: 1, Among: sumOf(k.shape.candidates(&u.Unit, 1))}
	}
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
	tuner.Budget = 0
	forward()
	first := forward() // as one submission
	if again := forward(); again != first {
		t.Error("without time: want the pass as it was, got another")
	}
	for tuner.Budget = time.Hour; !e.Settled(); {
		before := len(e.shapes.entries[0].pass.open)
		if p := forward(); len(p.open) >= before {
			t.Fatalf("with time: want the forms measured, got %d wishes after %d", len(p.open), before)
		}
	}
	for _, key := range keys {
		if have := tuner.found[key]; have.Kernel == "of another version" || have.Next != 0 {
			t.Errorf("%s: want a form of the list kept, got %+v", key, have)
		}
	}
}

// keptAmong returns what is kept of the best form of a list.
func keptAmong[F candidate](f F, list []F) tuned {
	found := f.kept()
	found.Among = sumOf(list)
	return found
}

// What was the best of some forms is measured anew among others, as of another version or another device's setting.
func TestTunerOtherList(t *testing.T) {
	tuner := NewTuner(filepath.Join(t.TempDir(), "tuning.json"), false, nil)
	measure := func(list ...matMulForm) (open bool, tried []uint32) {
		t.Helper()
		c := &faultyContest{}
		_, w := choice(&Exec{tuner: tuner}, "a product", few, list, func() (contest[matMulForm], error) { return c, nil })
		if w == nil {
			return false, nil
		}
		if err := w.measure(t.Context(), time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		return true, c.tried
	}
	for i, x := range []struct {
		list []matMulForm
		want []uint32
	}{
		{[]matMulForm{{rows: 1}, {rows: 2}}, []uint32{1, 2}}, {[]matMulForm{{rows: 1}, {rows: 2}}, nil},
		{[]matMulForm{{rows: 1}, {rows: 2}, {rows: 4}}, []uint32{1, 2, 4}}, {[]matMulForm{{rows: 4}, {rows: 1}}, []uint32{4, 1}},
	} {
		if open, tried := measure(x.list...); open != (x.want != nil) || !slices.Equal(tried, x.want) {
			t.Errorf("%d: want %v tried, got %v", i, x.want, tried)
		}
		tuner = NewTuner(tuner.Path, false, nil) // another process
	}
}

// stoppedContest is one in whose second form the run is told to end.
type stoppedContest struct {
	faultyContest
	stop func()
}

func (c *stoppedContest) results(f matMulForm) ([]float32, error) {
	if f.rows == 2 {
		c.stop()
	}
	return c.faultyContest.results(f)
}

// A run that is to end does so after the form under trial; no form is suspected for that, and a later run goes on.
func TestTunerInterrupted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tuning.json")
	list := []matMulForm{{rows: 1}, {rows: 2}, {rows: 4}}
	ctx, cancel := context.WithCancel(t.Context())
	measure := func(ctx context.Context) []uint32 {
		t.Helper()
		c := &stoppedContest{stop: cancel}
		_, w := choice(&Exec{tuner: NewTuner(path, false, nil)}, "a product", few, list, func() (contest[matMulForm], error) { return c, nil })
		if w == nil {
			t.Fatal("want something to measure")
		}
		if err := w.measure(ctx, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		return c.tried
	}
	if tried := measure(ctx); !slices.Equal(tried, []uint32{1, 2}) {
		t.Errorf("want an end after the second form, tried %v", tried)
	}
	file, err := readTuning(path)
	if have := file.Found["a product"]; err != nil || len(file.Trying) != 0 || have.Rows != 2 || have.Next != 2 {
		t.Errorf("want two forms measured and none under trial, got %+v (%v)", file, err)
	}
	if tried := measure(t.Context()); !slices.Equal(tried, []uint32{1, 4}) {
		t.Errorf("want the third form tried alone, tried %v", tried)
	}
}

// A form whose trial went well is not suspected for an error that comes after it.
func TestTunerAcquits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tuning.json")
	c := &faultyContest{failRestore: &gpu.Error{Call: "vkResetFences", Result: -1}}
	_, w := choice(&Exec{tuner: NewTuner(path, false, nil)}, "a product", few, []matMulForm{{rows: 1}, {rows: 2}},
		func() (contest[matMulForm], error) { return c, nil })
	if err := w.measure(t.Context(), time.Now().Add(time.Hour)); err == nil {
		t.Error("want the error of what is not brought back")
	}
	if file, err := readTuning(path); err != nil || file.Kernels == "" || len(file.Trying) != 0 {
		t.Errorf("want a file with nothing under trial, got %+v (%v)", file, err)
	}
}

// What many tokens are best done by is tried with as many as stand for them, or as there are, however few the first prompt has.
func TestTunerTriesMany(t *testing.T) {
	k := choosing(t)
	for rows, want := range map[int]uint32{256: trialTokens, 40: 40} {
		e := execWith(t, k, tuningProgram(tensor.F16), Options{Sizes: op.Sizes{Slots: 1, Rows: rows, Seqs: 1}, Tuner: NewTuner("", true, nil)})
		u := &e.ops.matMuls[e.prog.Steps[0].Op.(*op.MatMul)][0]
		const first = max(fewTokens, holdLeast) + 1
		if got := e.newTrial(u, first).n; got != want || e.newTrial(u, uint32(rows)).n != want || e.newTrial(u, fewTokens).n != fewTokens {
			t.Errorf("%d rows: want %d tokens tried for %d, got %d", rows, want, first, got)
		}
		short, _ := e.form(u, first)
		if long, _ := e.form(u, uint32(rows)); short != long || e.tuningKey(u, first) != e.tuningKey(u, uint32(rows)) {
			t.Errorf("%d rows: want one form for all, got %s and %s", rows, short, long)
		}
	}
	m := golden.Tiny(t)
	e := execWith(t, k, m.Program, Options{Sizes: op.Sizes{Slots: 1, Rows: 256, Seqs: 1, Outs: 1}})
	for o := range e.ops.wkv7s {
		if got := newRecurrenceTrial(e, o, leastChunked, 1).shape.rows; got != trialTokens {
			t.Errorf("want a recurrence tried with %d tokens, got %d", trialTokens, got)
		}
	}
	if len(e.ops.wkv7s) == 0 {
		t.Error("want a model with recurrences")
	}
}

// A form is written down when it is first tried, by one write that waits for the disk, and not for products that follow.
func TestTunerTriesOnce(t *testing.T) {
	tuner := NewTuner(filepath.Join(t.TempDir(), "tuning.json"), false, nil)
	e := &Exec{tuner: tuner}
	for i, list := range [][]matMulForm{{{rows: 1}, {rows: 2}}, {{rows: 1}, {rows: 4}, {rows: 2}}} {
		var file tuningFile
		c := &stoppedContest{stop: func() { file, _ = readTuning(tuner.Path) }} // the test fails if there is none
		_, w := choice(e, fmt.Sprint("product ", i), few, list, func() (contest[matMulForm], error) { return c, nil })
		if err := w.measure(t.Context(), time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if len(file.Trying) != 1-i || file.Kernels == "" {
			t.Errorf("product %d: want %d forms written down in the trial of the last, got %+v", i, 1-i, file)
		}
	}
}
