package vulkan

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

func modelOpener(k *Kernels, product string) golden.Open {
	return func(tb testing.TB, m *model.Model, s op.Sizes) op.Executor {
		return opener(k, product)(tb, m.Program, s, 0)
	}
}

func TestProperties(t *testing.T) { golden.Properties(t, modelOpener(kernels(t), "")) }

func TestClosed(t *testing.T) { golden.Closed(t, modelOpener(kernels(t), "")) }

func TestNotFinite(t *testing.T) {
	numbers(t)
	k := kernels(t)
	golden.NotFinite(t, func(prog *op.Program, s op.Sizes) error {
		e, err := newProber(k, prog, Options{Sizes: s})
		if err == nil {
			_ = e.Close()
		}
		return err
	})
}

// Progress counts every byte of the weights once, also where a weight is bound in pieces.
func TestProgress(t *testing.T) {
	k := kernels(t, gpu.DeviceOptions{LimitOverride: func(l *gpu.Limits) { l.MaxStorageBufferRange = 32 << 10 }})
	golden.Progress(t, func(prog *op.Program, s op.Sizes, progress func(done, all int64) error) error {
		e, err := newProber(k, prog, Options{Sizes: s, Progress: progress})
		if err != nil {
			return err
		}
		return e.Close()
	})
}

// A device that binds too little for one row of a matrix is told which.
func TestRowBeyondBinding(t *testing.T) {
	k := kernels(t, gpu.DeviceOptions{LimitOverride: func(l *gpu.Limits) { l.MaxStorageBufferRange = 64 }})
	e, err := newProber(k, golden.Tiny(t).Program, Options{Sizes: op.Sizes{Slots: 1, Rows: 1, Seqs: 1, Outs: 1}})
	if err == nil {
		_ = e.Close()
		t.Fatal("no error")
	}
	if want := "a row takes"; !strings.Contains(err.Error(), want) {
		t.Fatalf("want an error with %q, got %q", want, err)
	}
}

// More shapes than are kept recorded, then the first ones again: a recording that was dropped is made anew.
func TestManyShapes(t *testing.T) {
	m := golden.Tiny(t)
	s := op.Sizes{Slots: 1, Rows: 12, Seqs: 1, Outs: 12}
	e := opener(kernels(t), "")(t, m.Program, s, 0)
	tokens := []int{3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8}
	var want [13]float32 // first logit after so many tokens
	shapes := 0
	for range 2 {
		for rows := 1; rows <= s.Rows; rows++ {
			for outs := 0; outs <= rows; outs++ {
				if err := e.ResetState(0); err != nil {
					t.Fatal(err)
				}
				var b op.Batch
				b.Add(0, tokens[:rows], outs)
				if err := e.Forward(&b); err != nil {
					t.Fatal(err)
				}
				shapes++
				if outs == 0 {
					continue
				}
				got := e.Logits(outs - 1)[0]
				if want[rows] == 0 {
					want[rows] = got
				}
				if d := math.Abs(float64(got - want[rows])); !(d < 1e-4) {
					t.Fatalf("%d rows, %d outs: want %v, got %v", rows, outs, want[rows], got)
				}
			}
		}
	}
	if shapes <= 2*maxShapes {
		t.Fatalf("%d shapes do not exceed the %d that are kept", shapes/2, maxShapes)
	}
}

// A pass of a shape that was met before allocates nothing.
func TestForwardAllocatesNothing(t *testing.T) {
	k := kernels(t)
	s := op.Sizes{Slots: 3, Rows: 8, Seqs: 3, Outs: 3}
	e := opener(k, "")(t, golden.Tiny(t).Program, s, 0).(*Prober)
	ticking(e, time.Microsecond) // no hiccup of the machine divides a pass anew
	for _, seqs := range []int{1, 3} {
		var b op.Batch
		for slot := range seqs {
			b.Add(slot, []int{slot, 7}, 1)
		}
		run := func() {
			if err := e.Forward(&b); err != nil {
				t.Fatal(err)
			}
			if l := e.Logits(seqs - 1); len(l) == 0 {
				t.Fatal("no logits")
			}
		}
		run()
		run() // known by now to be short
		if n := gputest.Allocs(50, run); n != 0 {
			t.Errorf("%d sequences: %v allocations a pass, want none", seqs, n)
		}
	}
}
