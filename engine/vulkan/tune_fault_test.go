package vulkan

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest/faultvk"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// faultyContest is one of three forms, the last of which is the fastest; working with the second fails.
type faultyContest struct {
	failResults, failTime, failRestore error
	tried                              []uint32
}

func (c *faultyContest) String() string    { return "nothing" }
func (c *faultyContest) hold() error       { return nil }
func (c *faultyContest) restore() error    { return c.failRestore }
func (c *faultyContest) before() []float32 { return []float32{0} }

func (c *faultyContest) probe(matMulForm) (time.Duration, error) { return 0, nil }

func (c *faultyContest) results(f matMulForm) ([]float32, error) {
	c.tried = append(c.tried, f.rows)
	if f.rows == 2 && c.failResults != nil {
		return nil, c.failResults
	}
	return []float32{1}, nil
}

func (c *faultyContest) time(f matMulForm, _ time.Duration) (time.Duration, error) {
	if f.rows == 2 && c.failTime != nil {
		return 0, c.failTime
	}
	return time.Second / time.Duration(f.rows), nil
}

// A form that the device cannot make is left out; a device that is lost or hangs ends the search with that error, and no
// other form is tried on it.
func TestTunerStops(t *testing.T) {
	e := &Exec{tuner: NewTuner("", true, nil)}
	list := []matMulForm{{rows: 1}, {rows: 2}, {rows: 4}}
	for _, c := range []struct {
		err  error
		skip bool
	}{
		{&gpu.Error{Call: "vkAllocateMemory", Result: -2}, true}, {&gpu.Error{Call: "vkAllocateDescriptorSets", Result: -1}, true},
		{fmt.Errorf("kernel: %w", gpu.ErrUnsupported), true}, {&gpu.Error{Call: "vkCreateComputePipelines", Result: -13}, true},
		{&gpu.Error{Call: "vkQueueSubmit", Result: -4}, false}, {fmt.Errorf("x: %w", gpu.ErrTimeout), false},
		{&gpu.Error{Call: "vkQueueSubmit", Result: -13}, false}, {errors.New("a mistake"), false},
	} {
		for _, contest := range []*faultyContest{{failResults: c.err}, {failTime: c.err}} {
			at := standing{0, 1}
			_, err := fastest(t.Context(), e, contest, list, &at, time.Now().Add(time.Hour))
			switch tried := slices.Contains(contest.tried, 4); {
			case c.skip && (err != nil || at != standing{2, 3}):
				t.Errorf("%v: want the third form, got %v (%v)", c.err, at, err)
			case !c.skip && (!errors.Is(err, c.err) || tried):
				t.Errorf("%v: want that error and no third trial, got %v, tried %v", c.err, err, contest.tried)
			}
		}
	}
}

// A trial that cannot bring back what it changed is never taken for a form that the device lacks the memory for.
func TestTunerSpoilt(t *testing.T) {
	e := &Exec{tuner: NewTuner("", true, nil)}
	full := &gpu.Error{Call: "vkResetFences", Result: -1}
	at := standing{0, 1}
	_, err := fastest(t.Context(), e, &faultyContest{failRestore: full}, []matMulForm{{rows: 1}, {rows: 2}}, &at, time.Now().Add(time.Hour))
	if !errors.Is(err, full) || refused(err) || !refused(full) {
		t.Errorf("want an error that ends the run, got %v", err)
	}
}

// Whichever call fails while the tuner runs a part of the model for its activations, the state is what it was before, or the
// error says that it is not.
func TestActivationsFaults(t *testing.T) {
	ctl := gputest.Faulty(t)
	if ctl == nil {
		return
	}
	m := golden.Tiny(t)
	e := opener(kernels(t), Auto)(t, m.Program, op.Sizes{Slots: 1, Rows: 1, Seqs: 1, Outs: 1}, 0).(*Exec)
	var u *unit
	for _, units := range e.ops.matMuls {
		for i := range units {
			if units[i].sparse {
				u = &units[i]
			}
		}
	}
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
		_, err := e.activations(u)
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
	spoilt := 0
	for i := range r.Calls {
		r, err := try(faultvk.Fault{At: i + 1, Result: faultvk.OutOfHostMemory})
		same := slices.Equal(after, before)
		if !r.Fired || !same && (!errors.Is(err, errSpoilt) || refused(err)) {
			t.Errorf("call %d, %s: another state: %v, error: %v", i+1, r.Function, !same, err)
		}
		if !same {
			spoilt++
		}
	}
	if spoilt == 0 {
		t.Error("no fault hit the way back")
	}
}
