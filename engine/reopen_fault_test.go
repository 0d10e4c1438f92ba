package engine

import (
	"errors"
	"fmt"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest/faultvk"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
)

// Whichever call has no memory while a lost device is opened anew, either nothing is missing, or Reopen says so, and
// all other calls with it, until the next Reopen. Then all sequences have their states, to the last bit, and nothing is
// left of any try.
func TestReopenWithoutMemory(t *testing.T) {
	ctl, each := gputest.FaultySeries(t)
	if ctl == nil {
		return
	}
	d, err := device.Open("gpu", nil)
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(golden.Tiny(t), d, Options{Slots: 3, Chunk: 8, Keep: 5, Exact: true})
	if err != nil {
		t.Fatal(err)
	}
	fault := func(f faultvk.Fault) {
		t.Helper()
		if err := ctl.Begin(f); err != nil {
			t.Fatal(err)
		}
	}
	seqs := []*Seq{newSeq(t, e), newSeq(t, e)}
	want := make([][]float32, len(seqs))
	again := func(f faultvk.Fault) (r faultvk.Report, failed error) {
		t.Helper()
		for i, s := range seqs {
			step(t, e, input{s, []int{3, 1, 4, 1, 5 + i}, 0})
			want[i] = mustState(t, e, s)
		}
		fault(faultvk.Fault{Function: "vkQueueSubmit", At: 1, Result: faultvk.DeviceLost})
		if err := e.Pass(t.Context(), []Row{{Seq: seqs[0], Tokens: []int{1}}}); !errors.Is(err, ErrDeviceLost) {
			t.Fatalf("want the device lost, got %v", err)
		}
		fault(f)
		failed = e.Reopen(t.Context())
		var err error
		if r, err = ctl.Report(); err != nil {
			t.Fatal(err)
		}
		fault(faultvk.Fault{})
		if failed != nil && e.table.broken != nil {
			if err := second(e.NewSeq(nil)); err == nil || err.Error() != failed.Error() {
				t.Errorf("%s %d: Reopen fails by %v, other calls by %v", r.Function, f.At, failed, err)
			}
		}
		for next := failed; next != nil; next = e.Reopen(t.Context()) {
			if next != failed { //nolint:errorlint // the first error itself
				t.Fatalf("%s %d: the next try: %v", r.Function, f.At, next)
			}
		}
		for i, s := range seqs {
			sameBits(t, fmt.Sprintf("%s %d: sequence %d", r.Function, f.At, i), mustState(t, e, s), want[i])
		}
		return r, failed
	}
	all, failed := again(faultvk.Fault{})
	if failed != nil {
		t.Fatal(failed)
	}
	most, counts := gputest.Faults(t, 12), map[bool]int{}
	each(func(i int) (more bool) {
		f := faultvk.Fault{At: 1 + i*max(all.Calls/most, 1), Result: faultvk.OutOfHostMemory}
		r, failed := again(f)
		if failed != nil && !errors.Is(failed, ErrOutOfMemory) || failed != nil && !r.Fired {
			t.Errorf("%s %d of %d: want no memory, got %v", r.Function, f.At, all.Calls, failed)
		}
		counts[failed != nil]++
		return r.Fired
	})
	fmt.Printf("%d of %d failures of %d calls end Reopen\n", counts[true], counts[true]+counts[false], all.Calls)
	err = errors.Join(e.Close(), d.Close())
	r, bad := ctl.Report()
	if err := errors.Join(err, bad); err != nil || r.Live != "" {
		t.Errorf("%v; left: %s", err, r.Live)
	}
}
