package engine

import (
	"strings"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
)

// PassTimes moves the state as Pass does and takes about as long; what was done is counted.
func TestPassTimes(t *testing.T) {
	eachDevice(t, func(t *testing.T, d *device.Device) {
		m := golden.Tiny(t)
		e, err := New(m, d, Options{Slots: 2, Chunk: 8})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = e.Close() }()
		a, b := newSeq(t, e), newSeq(t, e)
		ids := []int{1, 2, 3, 4}
		step(t, e, input{a, ids, 1})
		before := e.Stats().Work
		if before.Passes != 1 || before.OutPasses != 1 || before.Rows != 4 || before.Outs != 1 || (before.Waited > 0) == d.IsCPU() {
			t.Errorf("%+v", before)
		}
		start := time.Now()
		times, err := e.PassTimes([]Row{{Seq: b, Tokens: ids, Want: WantLogits, Each: func(int, []float32) error { return nil }}})
		if err != nil {
			t.Fatal(err)
		}
		var sum time.Duration
		for i, d := range times {
			if d < 0 {
				t.Errorf("step %d took %s", i, d)
			}
			sum += d
		}
		if len(times) != len(m.Program.Steps) || sum <= 0 || sum > time.Since(start) {
			t.Errorf("%d steps in %s, of %s", len(times), sum, time.Since(start))
		}
		want, got := mustState(t, e, a), mustState(t, e, b)
		for i := range want {
			if want[i] != got[i] {
				t.Fatalf("state element %d: want %v, got %v", i, want[i], got[i])
			}
		}
		step(t, e, input{a, make([]int, 20), 0})
		if w := e.Stats().Sub(before); w.Passes != 3 || w.OutPasses != 0 || w.Rows != 20 || w.Outs != 0 {
			t.Errorf("%+v", w)
		}
		if _, err := e.PassTimes([]Row{{Seq: a, Tokens: make([]int, 9)}}); err == nil || !strings.Contains(err.Error(), "fit one pass") {
			t.Errorf("two passes: %v", err)
		}
	})
}
