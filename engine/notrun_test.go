package engine

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest/faultvk"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
)

// openFaulty opens the device of a process whose Vulkan calls may fail, with an engine that keeps nothing and draws
// there.
func openFaulty(t *testing.T, slots int) (*device.Device, *Engine) {
	t.Helper()
	d, err := device.Open("gpu", nil)
	if err != nil {
		t.Fatal(err)
	}
	d.Draws = vulkan.DeviceDraws
	e, err := New(golden.Tiny(t), d, Options{Slots: slots, Chunk: 64})
	if err != nil {
		t.Fatal(err)
	}
	return d, e
}

// Whichever Vulkan call fails for want of memory before a pass, a burst or a restored state is submitted, the
// sequence's state is as it was.
func TestNothingSubmittedNothingLost(t *testing.T) {
	ctl := gputest.Faulty(t)
	if ctl == nil {
		return
	}
	d, e := openFaulty(t, 1)
	s, tokens := newSeq(t, e), make([]int, 64)
	step(t, e, input{s, []int{3, 1, 4}, 1})
	before := mustState(t, e, s)
	smp := newSampler(t, sample.Params{}, e)
	n := 1 // tokens of the next pass: a number that no pass had is recorded
	passTimes := func() error { return second(e.PassTimes([]Row{{Seq: s, Tokens: tokens[:n]}})) }
	calls := map[string]func() error{
		"Pass": func() error { return e.Pass(t.Context(), []Row{{Seq: s, Tokens: tokens[:n]}}) },
		"Burst": func() error {
			return second(e.Burst(t.Context(), []Continuation{{Seq: s, Token: 1, Sampler: smp.Clone()}}, 1, func(int, int) bool { return true }))
		},
		"Restore": func() error { return second(e.Restore([]*Seq{s}, [][]float32{make([]float32, len(before))})) },
	}
	if err := passTimes(); err == nil {
		calls["PassTimes"] = passTimes
	} else if !errors.Is(err, gpu.ErrNoTimestamps) {
		t.Fatal(err)
	}
	setState(t, e, s, before)
	for name, do := range calls {
		failures := 0
		for at, fired := 1, true; fired; at++ {
			if err := ctl.Begin(faultvk.Fault{At: at, Result: faultvk.OutOfHostMemory}); err != nil {
				t.Fatal(err)
			}
			failed := do()
			r, err := ctl.Report()
			if err != nil {
				t.Fatal(err)
			}
			trace, err := ctl.Trace()
			if err != nil {
				t.Fatal(err)
			}
			if err := ctl.Begin(faultvk.Fault{}); err != nil {
				t.Fatal(err)
			}
			if fired = r.Fired; failed == nil {
				n++
			} else if !slices.ContainsFunc(trace[:at-1], func(c faultvk.Call) bool { return c.Function == "vkQueueSubmit" }) {
				failures++
				if !errors.Is(failed, ErrOutOfMemory) || !slices.Equal(mustState(t, e, s), before) {
					t.Errorf("%s, call %d of %s: %v, or another state", name, at, r.Function, failed)
				}
			}
			setState(t, e, s, before)
		}
		if failures < 2 {
			t.Errorf("%s: %d failures before the submission: the test cannot tell", name, failures)
		}
	}
	if err := errors.Join(e.Close(), d.Close()); err != nil {
		t.Error(err)
	}
}

// Where there is no memory to save states before several steps, a burst takes one, with the same tokens, until there is
// again.
func TestBurstWithoutMemory(t *testing.T) {
	ctl := gputest.Faulty(t)
	if ctl == nil {
		return
	}
	d, e := openFaulty(t, 4)
	e.bursts.steps = func(_, most int) int { return min(most, 4) }
	// run has sequences draw as many tokens as bursts of so many steps do, and returns them.
	run := func(c []Continuation, steps ...int) [][]int {
		t.Helper()
		ids := make([][]int, len(c))
		for _, want := range steps {
			got, err := e.Burst(t.Context(), c, 8, func(i, id int) bool {
				ids[i] = append(ids[i], id)
				return true
			})
			if err != nil || got != want {
				t.Fatalf("%d steps, want %d: %v", got, want, err)
			}
		}
		return ids
	}
	c := begin(t, e, decodeSettings())
	e.bursts.steps = func(int, int) int { return 1 }
	run(c, 1) // what draws need besides is there
	end(c)
	e.bursts.steps = func(_, most int) int { return min(most, 4) }
	c = begin(t, e, decodeSettings())
	refuse := faultvk.Fault{Function: "vkCreateBuffer", At: 1, Result: faultvk.OutOfDeviceMemory, Mode: faultvk.Sticky}
	if err := ctl.Begin(refuse); err != nil {
		t.Fatal(err)
	}
	got := run(c, 1, 1, 1)
	r, err := ctl.Report()
	if err := errors.Join(err, ctl.Begin(faultvk.Fault{})); err != nil || !r.Fired {
		t.Fatalf("no memory was refused: %+v, %v", r, err)
	}
	for i, ids := range run(c, 4) {
		got[i] = append(got[i], ids...)
	}
	end(c)
	for i, want := range run(begin(t, e, decodeSettings()), 4, 4) {
		if !slices.Equal(got[i], want[:len(got[i])]) {
			t.Errorf("sequence %d: drew %v, want %v", i, got[i], want)
		}
	}
	if err := errors.Join(e.Close(), d.Close()); err != nil {
		t.Error(err)
	}
}

// A context that is done while kernels are measured for a pass, before it is submitted, loses nothing.
func TestCanceledMeasuring(t *testing.T) {
	d := vulkanDevice(t)
	d.Tuner = tune.New(filepath.Join(t.TempDir(), "tuning.json"), false, nil)
	e := newEngine(t, demoModel(t), d, Options{})
	s := newSeq(t, e)
	measured := false
	for _, n := range []int{64, 1, 17} { // not all have something to measure on every device
		setState(t, e, s, nil)
		before, spent := mustState(t, e, s), d.Tuner.Spent()
		// The context is looked at as the call begins, and before the first choice is measured; then it is done.
		err := e.Pass(&countdown{t.Context(), 2}, []Row{{Seq: s, Tokens: make([]int, n)}})
		if d.Tuner.Spent() == spent {
			continue
		}
		measured = true
		if !errors.Is(err, context.Canceled) || !slices.Equal(mustState(t, e, s), before) {
			t.Errorf("%d tokens: want a pass that is canceled before it runs, got %v, or another state", n, err)
		}
	}
	if !measured {
		t.Error("nothing was measured: the test cannot tell")
	}
}

// A device without timestamps says so, and the sequence goes on.
func TestPassTimesWithoutTimestamps(t *testing.T) {
	dev := gputest.Device(t, gpu.DeviceOptions{FeatureOverride: func(f *gpu.Features) { f.Timestamps = false }})
	kernels := vulkan.NewKernels(dev)
	t.Cleanup(kernels.Release)
	e := newEngine(t, golden.Tiny(t), device.On(dev, kernels), Options{})
	s := newSeq(t, e)
	step(t, e, input{s, []int{3, 1, 4}, 1})
	before := mustState(t, e, s)
	if _, err := e.PassTimes([]Row{{Seq: s, Tokens: []int{1, 5}}}); !errors.Is(err, gpu.ErrNoTimestamps) {
		t.Errorf("want no timestamps, got %v", err)
	}
	if !slices.Equal(mustState(t, e, s), before) {
		t.Error("the state changed")
	}
}
