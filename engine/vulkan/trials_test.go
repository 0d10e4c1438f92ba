package vulkan

import (
	"errors"
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel/emulated"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest/faultvk"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// Whichever call fails while the tuner runs a part of the model for its activations, the state is what it was before:
// they are of memory of their own.
func TestActivationsFaults(t *testing.T) {
	ctl := gputest.Faulty(t)
	if ctl == nil {
		return
	}
	m := golden.Tiny(t)
	e := opener(kernels(t), "")(t, m.Program, op.Sizes{Slots: 1, Rows: 1, Seqs: 1, Outs: 1}, 0).(*Prober)
	steps, in := zerosOf(e)[0].Input()
	var b op.Batch
	b.Add(0, []int{3}, 1)
	before := make([]float32, m.Program.StateLen())
	for i := range before {
		before[i] = float32(i%7) / 8
	}
	after := make([]float32, len(before))
	try := func(f faultvk.Fault) (faultvk.Report, error) {
		t.Helper()
		if err := errors.Join(e.WriteState(0, before), e.stage(&b), ctl.Begin(f)); err != nil {
			t.Fatal(err)
		}
		_, err := e.activations(steps, in)
		r, failed := ctl.Report()
		if err := errors.Join(failed, ctl.Begin(faultvk.Fault{}), e.ReadState(0, after)); err != nil {
			t.Fatal(err)
		}
		return r, err
	}
	if _, err := try(faultvk.Fault{}); err != nil { // which makes kernels
		t.Fatal(err)
	}
	r, err := try(faultvk.Fault{})
	if err != nil || r.Calls < 20 || !slices.Equal(after, before) {
		t.Fatalf("%d calls, another state: %v (%v)", r.Calls, !slices.Equal(after, before), err)
	}
	failed := 0
	for i := range r.Calls {
		r, err := try(faultvk.Fault{At: i + 1, Result: faultvk.OutOfHostMemory})
		same := slices.Equal(after, before)
		if !r.Fired || !same {
			t.Errorf("call %d, %s: fired: %v, another state: %v, error: %v", i+1, r.Function, r.Fired, !same, err)
		}
		if err != nil {
			failed++
		}
	}
	if failed == 0 {
		t.Error("no fault was noticed")
	}
}

// Every form that the tuner may choose gives the same results, for a type of each way to unpack weights.
func TestCandidatesAlike(t *testing.T) {
	numbers(t)
	k := kernels(t)
	types := []tensor.Type{tensor.F16, tensor.Q6_K, tensor.Q8_0, tensor.Q4_0}
	if testing.Short() {
		types = types[:2]
	}
	for _, typ := range types {
		e := execWith(t, k, tuningProgram(typ), Options{Sizes: op.Sizes{Slots: 1, Rows: 40, Seqs: 1}})
		e.env.Tuned = true
		for _, n := range []int{1, 7, 40} {
			for _, c := range choicesOf(e, kernel.Shape{Rows: n, Seqs: 1}) {
				alike(t, e, &c, c.Forms)
			}
		}
	}
}

// alike wants some forms of a choice to have the same results, which are others than what lay there.
func alike(t *testing.T, e *Prober, c *kernel.Choice, forms []tune.Form) {
	t.Helper()
	trial := e.bench().Of(c.Work)
	defer trial.Release()
	if err := trial.Prepare(); err != nil {
		t.Fatal(err)
	}
	want, err := trial.Results(forms[0])
	if err != nil || tune.Alike(trial.Before(), want, trial.Before()) {
		t.Fatalf("%s: %s wrote nothing (%v)", c.Key, forms[0], err)
	}
	for _, f := range forms[1:] {
		if got, err := trial.Results(f); err != nil || !tune.Alike(got, want, trial.Before()) {
			t.Errorf("%s: %s differs from %s (%v)", c.Key, f, forms[0], err)
		}
	}
}

// What the tuner compares differs between the forms by no more than rounding, for one sequence and some.
func TestRecurrencesAlike(t *testing.T) {
	numbers(t)
	for _, k := range []*Kernels{kernels(t), discrete(t)} {
		e := execWith(t, k, golden.Tiny(t).Program, Options{Sizes: op.Sizes{Slots: 3, Rows: 150, Seqs: 3, Outs: 1}})
		for _, seqs := range []int{1, 3} {
			chains := 0
			for _, c := range choicesOf(e, kernel.Shape{Rows: 150, Seqs: seqs}) {
				if _, ok := c.Work.(*kernel.Chain); ok && chains == 0 {
					chains++
					alike(t, e, &c, []tune.Form{{Kernel: kernel.Serial}, {Kernel: kernel.Chunked}})
				}
			}
			if chains == 0 {
				t.Error("want a model with recurrences")
			}
		}
	}
}

// Every sparse form gives what a dense one does of the model's own activations, whatever the device's shape.
func TestSparseAlike(t *testing.T) {
	numbers(t)
	for _, k := range []*Kernels{kernels(t), discrete(t)} {
		m := golden.Tiny(t)
		e := execWith(t, k, m.Program, Options{Sizes: op.Sizes{Slots: 1, Rows: 1, Seqs: 1, Outs: 1}})
		e.env.Tuned = true
		var b op.Batch
		b.Add(0, []int{3}, 1)
		if err := e.stage(&b); err != nil {
			t.Fatal(err)
		}
		tried := 0
		for _, c := range choicesOf(e, kernel.Shape{Rows: 1, Seqs: 1}) {
			if _, ok := c.Work.(*kernel.Zeros); ok {
				tried += len(c.Forms) - 1
				alike(t, e, &c, c.Forms)
			}
		}
		if tried < m.Layers {
			t.Errorf("%d forms tried", tried)
		}
	}
}

// What many tokens are best done by is tried with as many as stand for them, or as there are, however few the first
// prompt has.
func TestTunerTriesMany(t *testing.T) {
	k := choosing(t)
	for rows, want := range map[int]uint32{256: 64, 40: 40} {
		e := execWith(t, k, tuningProgram(tensor.F16), Options{Sizes: op.Sizes{Slots: 1, Rows: rows, Seqs: 1}, Tuner: tune.New("", true, nil)})
		const first = emulated.HoldLeast + 1
		u := e.products()[0]
		if got := u.Tried(first); got != want || u.Tried(uint32(rows)) != want || u.Tried(fewRows) != fewRows {
			t.Errorf("%d rows: want %d tokens tried for %d, got %d", rows, want, first, got)
		}
		short, long := productChoice(e, 0, first), productChoice(e, 0, rows)
		if !slices.Equal(short.Forms, long.Forms) || short.Key != long.Key {
			t.Errorf("%d rows: want one choice for all, got %+v and %+v", rows, short, long)
		}
	}
	e := execWith(t, k, golden.Tiny(t).Program, Options{Sizes: op.Sizes{Slots: 1, Rows: 256, Seqs: 1, Outs: 1}})
	chains := 0
	for _, c := range choicesOf(e, kernel.Shape{Rows: kernel.LeastChunked, Seqs: 1}) {
		if chain, ok := c.Work.(*kernel.Chain); ok {
			if chains++; chain.Tried().Rows != 64 {
				t.Errorf("want a recurrence tried with 64 tokens, got %+v", chain.Tried())
			}
		}
	}
	if chains == 0 {
		t.Error("want a model with recurrences")
	}
}
