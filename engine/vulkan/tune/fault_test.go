package tune

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
)

// faultyTrial is one of three forms, the last of which is the fastest; working with the second fails.
type faultyTrial struct {
	failResults, failTime error
	tried                 []uint32
	released              int
}

func (c *faultyTrial) String() string { return "nothing" }

func (c *faultyTrial) Prepare() error { return nil }

func (c *faultyTrial) Release() { c.released++ }

func (c *faultyTrial) Before() []float32 { return []float32{0} }

func (c *faultyTrial) Probe(Form) (time.Duration, error) { return 0, nil }

func (c *faultyTrial) Results(f Form) ([]float32, error) {
	c.tried = append(c.tried, f.Rows)
	if f.Rows == 2 && c.failResults != nil {
		return nil, c.failResults
	}
	return []float32{1}, nil
}

func (c *faultyTrial) Time(f Form, _ time.Duration) (time.Duration, error) {
	if f.Rows == 2 && c.failTime != nil {
		return 0, c.failTime
	}
	return time.Second / time.Duration(f.Rows), nil
}

// A form that the device cannot make is left out; a device that is lost or hangs ends the search with that error, and
// no other form is tried on it.
func TestTunerStops(t *testing.T) {
	tuner := New("", true, nil)
	list := []Form{{Rows: 1}, {Rows: 2}, {Rows: 4}}
	for _, c := range []struct {
		err  error
		skip bool
	}{
		{&gpu.Error{Call: "vkAllocateMemory", Result: -2}, true}, {&gpu.Error{Call: "vkAllocateDescriptorSets", Result: -1}, true},
		{fmt.Errorf("kernel: %w", gpu.ErrUnsupported), true}, {&gpu.Error{Call: "vkCreateComputePipelines", Result: -13}, true},
		{&gpu.Error{Call: "vkQueueSubmit", Result: -4}, false}, {fmt.Errorf("x: %w", gpu.ErrTimeout), false},
		{&gpu.Error{Call: "vkQueueSubmit", Result: -13}, false}, {errors.New("a mistake"), false},
	} {
		for _, contest := range []*faultyTrial{{failResults: c.err}, {failTime: c.err}} {
			at := standing{0, 1}
			_, err := tuner.fastest(t.Context(), &Choice{Forms: list}, contest, &at, time.Now().Add(time.Hour))
			if contest.released != 1 {
				t.Errorf("%v: want the memory freed once, got %d times", c.err, contest.released)
			}
			switch tried := slices.Contains(contest.tried, 4); {
			case c.skip && (err != nil || at != standing{2, 3}):
				t.Errorf("%v: want the third form, got %v (%v)", c.err, at, err)
			case !c.skip && (!errors.Is(err, c.err) || tried):
				t.Errorf("%v: want that error and no third trial, got %v, tried %v", c.err, err, contest.tried)
			}
		}
	}
}

// work is something to choose among forms for.
type work struct {
	tuner *Tuner
	c     Choice
	trial Trial
}

// workOf returns what is to be measured of a list of forms, or nil if nothing is.
func workOf(tuner *Tuner, key string, list []Form, trial Trial) *work {
	w := &work{tuner, Choice{On: "a device | ", Key: key, Forms: list}, trial}
	if _, settled := tuner.Chosen(&w.c); settled {
		return nil
	}
	return w
}

// measure measures it for as long as it takes, and says nothing of that.
func (w *work) measure(ctx context.Context) error {
	w.tuner.Budget, w.tuner.began = time.Hour, true
	return w.tuner.Measure(ctx, &w.c, func() (Trial, error) { return w.trial, nil })
}
