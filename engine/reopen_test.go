package engine

import (
	"errors"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest/faultvk"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
)

// A device that is lost again while an engine is made anew is opened once more by the next Reopen. Another engine on it is told
// that it was lost, whatever it is asked for, until it is made anew as well.
func TestReopenAgain(t *testing.T) {
	ctl := gputest.Faulty(t)
	if ctl == nil {
		return
	}
	m := golden.Tiny(t)
	d, err := device.Open("gpu", nil)
	if err != nil {
		t.Fatal(err)
	}
	tokens := []int{5, 66, 0, 17}
	var engines []*Engine
	var seqs []*Seq
	var want [][]float32
	for range 2 {
		e, err := New(m, d, Options{Slots: 2, Keep: 3})
		if err != nil {
			t.Fatal(err)
		}
		engines, seqs = append(engines, e), append(seqs, newSeq(t, e))
		step(t, e, input{seqs[len(seqs)-1], tokens, 1})
		want = append(want, mustState(t, e, seqs[len(seqs)-1]))
	}
	first, other := engines[0], engines[1]
	begin := func(f faultvk.Fault) {
		t.Helper()
		if err := ctl.Begin(f); err != nil {
			t.Fatal(err)
		}
	}
	lost := func(what string, err error) {
		t.Helper()
		var of *device.Error
		if !errors.Is(err, ErrDeviceLost) || !errors.As(err, &of) {
			t.Fatalf("%s: want the device lost, got %v", what, err)
		}
	}
	begin(faultvk.Fault{Function: "vkQueueSubmit", At: 1, Result: faultvk.DeviceLost})
	lost("a pass", first.Pass(t.Context(), []Row{{Seq: seqs[0], Tokens: tokens}}))
	begin(faultvk.Fault{Function: "vkQueueSubmit", At: 1, Result: faultvk.DeviceLost})
	lost("the weights' way to the device", first.Reopen(t.Context()))
	lost("a pass without an executor", first.Pass(t.Context(), []Row{{Seq: seqs[0], Tokens: tokens}}))
	begin(faultvk.Fault{})
	if err := first.Reopen(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = other.NewSeq(nil)
	lost("a sequence of the other engine", err)
	_, err = other.Save(seqs[1:], [][]float32{make([]float32, len(want[1]))})
	lost("a state of the other engine", err)
	if err := other.Reopen(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, e := range engines {
		if off := distance(mustState(t, e, seqs[i]), want[i]); !(off < 1e-4) {
			t.Errorf("engine %d: the state is off by %g", i, off)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}
