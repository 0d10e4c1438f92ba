package vulkan

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
)

// faultyContest is one of three forms, the last of which is the fastest; working with the second fails.
type faultyContest struct {
	failResults, failTime error
	tried                 []uint32
}

func (c *faultyContest) String() string    { return "nothing" }
func (c *faultyContest) hold() error       { return nil }
func (c *faultyContest) restore() error    { return nil }
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
			_, err := fastest(e, contest, list, &at, time.Now().Add(time.Hour))
			switch tried := slices.Contains(contest.tried, 4); {
			case c.skip && (err != nil || at != standing{2, 3}):
				t.Errorf("%v: want the third form, got %v (%v)", c.err, at, err)
			case !c.skip && (!errors.Is(err, c.err) || tried):
				t.Errorf("%v: want that error and no third trial, got %v, tried %v", c.err, err, contest.tried)
			}
		}
	}
}
