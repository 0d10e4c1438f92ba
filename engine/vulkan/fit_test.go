package vulkan

import (
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// Fit gives the most rows whose scratch can be bound, never fewer than the sequences need.
func TestFit(t *testing.T) {
	prog := golden.Tiny(t).Program
	bytes := func(s op.Sizes) int { return 4 * op.NewPlan(prog, s, 0).Scratch }
	for _, limit := range []int{1, 1 << 14, 100_000, 1 << 20, 1 << 30} {
		for _, groups := range []int{64, 1 << 16} {
			l := gpu.Limits{MaxStorageBufferRange: limit, MaxWorkgroupCount: [3]int{groups, groups, groups}}
			asked := op.Sizes{Slots: 3, Rows: 5000, Seqs: 3, Outs: 16}
			s := Fit(l, prog, asked)
			if s.Rows < asked.Seqs || s.Rows > asked.Rows || s.Outs > s.Rows || s.Slots != asked.Slots {
				t.Fatalf("limit %d, %d groups: %+v", limit, groups, s)
			}
			if s.Rows > asked.Seqs && (bytes(s) > limit || s.Rows*2 > groups) {
				t.Errorf("limit %d, %d groups: %d rows take %d bytes", limit, groups, s.Rows, bytes(s))
			}
			more := s
			if more.Rows++; more.Rows <= min(asked.Rows, groups/2) && bytes(more) <= limit {
				t.Errorf("limit %d, %d groups: %d rows, %d would fit", limit, groups, s.Rows, more.Rows)
			}
		}
	}
}

// A kernel that cannot be made is an error, and leaves nothing behind: the device says so when it closes.
func TestRefusedKernel(t *testing.T) {
	k := kernels(t, gpu.DeviceOptions{LimitOverride: func(l *gpu.Limits) { l.MaxStorageBuffers = 5 }})
	prog := golden.Tiny(t).Program
	e, err := newProber(k, prog, Options{Sizes: op.Sizes{Slots: 1, Rows: 1, Seqs: 1, Outs: 1}, Loads: profile.Buffers})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	var b op.Batch
	b.Add(0, []int{1}, 1)
	if err := e.Forward(&b); err == nil {
		t.Error("a kernel with too many buffers ran")
	}
}

// A row of weights that one binding holds only without the padding behind it is told, as one that it does not hold.
func TestRowBesidePadding(t *testing.T) {
	const cols = 4096
	for _, limit := range []int{4*cols - 4, 4 * cols} {
		k := kernels(t, gpu.DeviceOptions{LimitOverride: func(l *gpu.Limits) { l.MaxStorageBufferRange = limit }})
		var b op.Builder
		x, y := b.Scratch("x", op.Row, cols), b.Scratch("y", op.Row, 8)
		w := tensor.FromFloats("w", []int{8, cols}, make([]float32, 8*cols))
		b.Emit(-1, "product", &op.MatMul{Parts: []op.Part{{W: b.Weight(w, w.Shape...), X: x.All(), Y: y.All()}}})
		prog := b.Unchecked()
		prog.Vocab = 1
		e, err := newProber(k, prog, Options{Sizes: op.Sizes{Slots: 1, Rows: 1, Seqs: 1}, Loads: profile.Buffers})
		if err == nil {
			t.Errorf("%d bytes: no error", limit)
			_ = e.Close()
		} else if !strings.Contains(err.Error(), "a row takes 16384 bytes") {
			t.Errorf("%d bytes: %v", limit, err)
		}
	}
}
