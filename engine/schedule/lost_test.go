package schedule

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest/faultvk"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
)

// A device that is lost while requests are fed, drawn, parked and brought back costs none of them a token, and none comes
// twice, and their last states are what they would be.
func TestLostDevice(t *testing.T) {
	ctl := gputest.Faulty(t)
	if ctl == nil {
		return
	}
	d, err := device.Open("gpu", nil)
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.New(golden.Tiny(t), d, engine.Options{Slots: 3, Seqs: 2, Chunk: 8, Keep: 6})
	if err != nil {
		t.Fatal(err)
	}
	const n = 7
	run := func(f faultvk.Fault) (drawn [n][]int, final [n][]float32, st Stats, r faultvk.Report) {
		t.Helper()
		if err := ctl.Begin(f); err != nil {
			t.Fatal(err)
		}
		s := New(e, Options{Quantum: 7})
		var jobs []*Job
		for i := range n {
			r := Request{Sampler: tinySampler(t, e, i), Max: 12 + i, Final: make([]float32, e.Model.Program.StateLen())}
			for j := range 3 + 5*i {
				r.Prompt = append(r.Prompt, (3*i+j*j)%e.Model.Vocab)
			}
			r.Token = func(tok Token) bool {
				drawn[i] = append(drawn[i], tok.ID)
				return true
			}
			final[i] = r.Final
			j, err := s.Submit(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			jobs = append(jobs, j)
		}
		s.Close(context.Background())
		for i, j := range jobs {
			if err := j.Err(); err != nil {
				t.Errorf("%+v: request %d: %v", f, i, err)
			}
		}
		r, err := ctl.Report()
		if err != nil {
			t.Fatal(err)
		}
		return drawn, final, s.Stats(), r
	}
	want, states, st, _ := run(faultvk.Fault{})
	if st.Parkings < 3 {
		t.Fatalf("%+v", st)
	}
	trace, err := ctl.Trace()
	if err != nil {
		t.Fatal(err)
	}
	fired := 0
	for _, function := range []string{"vkQueueSubmit", "vkWaitForFences"} {
		calls := 0
		for _, c := range trace {
			if c.Function == function {
				calls++
			}
		}
		for at := 1 + calls/20; at < calls*9/10; at += max(calls/5, 1) {
			drawn, final, st, r := run(faultvk.Fault{Function: function, At: at, Result: faultvk.DeviceLost})
			lost := 0
			if r.Fired { // passes differ in number from run to run
				lost = 1
			}
			if fired += lost; st.Reopened != lost || e.Stats().InUse != 0 {
				t.Errorf("%s %d of %d: %+v, %+v", function, at, calls, r, st)
			}
			for i := range want {
				if !slices.Equal(drawn[i], want[i]) {
					t.Errorf("%s %d of %d: request %d drew %v, want %v", function, at, calls, i, drawn[i], want[i])
				}
				for k, v := range final[i] {
					if d := v - states[i][k]; !(d < 1e-4 && d > -1e-4) {
						t.Fatalf("%s %d of %d: request %d: element %d of the state is %v, want %v", function, at, calls, i, k, v, states[i][k])
					}
				}
			}
		}
	}
	if fired < 5 {
		t.Errorf("the device was lost %d times only", fired)
	}
	if err := errors.Join(e.Close(), d.Close()); err != nil {
		t.Error(err)
	}
}
