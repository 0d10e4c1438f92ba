package state

import (
	"errors"
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

func TestMain(m *testing.M) { gputest.Main(m, func() {}) }

// made returns the states of a small model in so many slots.
func made(t *testing.T, slots int) *States {
	t.Helper()
	dev, prog := gputest.Shared(t), golden.Tiny(t).Program
	plan := op.NewPlan(prog, op.Sizes{Slots: slots, Rows: 1, Seqs: 1, Outs: 1}, 0)
	buf, err := dev.NewBuffer("state", 4*plan.State, gpu.DeviceLocal)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(dev, prog, plan, buf, func() error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Release()
		buf.Release()
	})
	return s
}

// filled returns a state like no other.
func filled(s *States, i int) []float32 {
	f := make([]float32, s.width)
	for j := range f {
		f[j] = float32(1000*i + j%997)
	}
	return f
}

// Transfers that nobody waits for leave nothing behind, and more of them than are kept under way go through.
func TestTransfersNobodyWaitsFor(t *testing.T) {
	const slots = 3
	s := made(t, slots)
	got := make([][][]float32, 3*mostUnderWay)
	for i := range got {
		got[i] = [][]float32{make([]float32, s.width)}
		if _, err := s.StartWrite([]int{i % slots}, [][]float32{filled(s, i)}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.StartRead([]int{i % slots}, got[i]); err != nil {
			t.Fatal(err)
		}
		if n := len(s.transfers.active); n > mostUnderWay {
			t.Fatalf("%d transfers are under way", n)
		}
	}
	s.transfers.release()
	for i := range got {
		if !slices.Equal(got[i][0], filled(s, i)) {
			t.Errorf("transfer %d: another state", i)
		}
	}
	if len(s.transfers.active) > 0 || len(s.transfers.idle) > 0 {
		t.Errorf("left: %d transfers, %d buffers", len(s.transfers.active), len(s.transfers.idle))
	}
}

// What is saved of slots comes back to whichever slot, also after another choice of slots was saved, as it was at the
// last time.
func TestSaved(t *testing.T) {
	s := made(t, 4)
	write := func(slot, i int) {
		t.Helper()
		if err := s.Write(slot, filled(s, i)); err != nil {
			t.Fatal(err)
		}
	}
	save := func(slots ...int) {
		t.Helper()
		c, err := s.Save(slots)
		if err == nil {
			err = c.Wait()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	got := make([]float32, s.width)
	for round := range 3 {
		for slot := range 4 {
			write(slot, 10*round+slot)
		}
		save(2)
		save(3, 1, 0)
		for slot := range 4 {
			write(slot, 99)
		}
		for i, slot := range []int{3, 1, 0} {
			if err := errors.Join(s.Restore(i, 2), s.Read(2, got)); err != nil || !slices.Equal(got, filled(s, 10*round+slot)) {
				t.Errorf("round %d: slot %d did not come back (%v)", round, slot, err)
			}
		}
	}
	if err := s.Restore(3, 0); err == nil {
		t.Error("want no fourth of three")
	}
}
