package vulkan

import (
	"errors"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// counting returns a program whose every step adds 1 to the row that the first makes: y = 1*one, y += 1*one, …
func counting(t *testing.T, k *Kernels, steps int) (*Prober, *op.Operand) {
	t.Helper()
	var b op.Builder
	x, y := b.Scratch("x", op.Row, 8), b.Scratch("y", op.Row, 8)
	table := b.Weight(tensor.FromFloats("table", []int{1, 8}, []float32{1, 0, 0, 0, 0, 0, 0, 0}), 1, 8)
	ones := make([]float32, 64)
	for i := range 8 {
		ones[8*i] = 1
	}
	w := b.Weight(tensor.FromFloats("w", []int{8, 8}, ones), 8, 8)
	b.Emit(-1, "x", &op.Embed{Table: table, Y: x})
	b.Emit(-1, "set", &op.MatMul{Parts: []op.Part{{W: w, X: x.All(), Y: y.All()}}})
	add := &op.MatMul{Parts: []op.Part{{W: w, X: x.All(), Combine: op.Add, From: y.All(), Y: y.All()}}}
	for range steps - 2 {
		b.Emit(-1, "add", add)
	}
	prog := b.Unchecked()
	prog.Vocab = 1
	e, err := newProber(k, prog, Options{Sizes: op.Sizes{Slots: 1, Rows: 1, Seqs: 1}, Loads: profile.Buffers})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e, y
}

// Timings does each step once, in order, however many there are, and Forward counts its waiting.
func TestTimings(t *testing.T) {
	k := kernels(t)
	const steps = gpu.MaxTimestamps + 100
	e, y := counting(t, k, steps)
	var b op.Batch
	b.Add(0, []int{0}, 0)
	start := time.Now()
	times, err := e.Timings(&b)
	wall := time.Since(start)
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
	if len(times) != steps || sum <= 0 || sum > wall {
		t.Errorf("%d steps in %s, of %s", len(times), sum, wall)
	}
	if err := e.Stage(&b); err != nil {
		t.Fatal(err)
	}
	if got, err := e.Read(y); err != nil || got[0] != steps-1 {
		t.Errorf("want %d, got %v, %v", steps-1, got, err)
	}
	if e.Waited() != 0 {
		t.Errorf("waited %s before any Forward", e.Waited())
	}
	start = time.Now()
	if err := e.Forward(&b); err != nil {
		t.Fatal(err)
	}
	if w := e.Waited(); w <= 0 || w > time.Since(start) {
		t.Errorf("waited %s of %s", w, time.Since(start))
	}
}

func TestNoTimestamps(t *testing.T) {
	k := kernels(t, gpu.DeviceOptions{FeatureOverride: func(f *gpu.Features) { f.Timestamps = false }})
	e, _ := counting(t, k, 3)
	var b op.Batch
	b.Add(0, []int{0}, 0)
	if _, err := e.Timings(&b); !errors.Is(err, gpu.ErrNoTimestamps) {
		t.Error(err)
	}
}
