package vulkan

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/form"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/op/optest"
)

// Decode in sparse forms agrees with the references for every version.
func TestSparseGolden(t *testing.T) {
	numbers(t)
	golden.RunDecode(t, true, modelOpener(kernels(t), form.Sparse))
}

// discrete returns kernels of the shape that graphics cards have, in which the subgroups of a workgroup share a panel.
func discrete(t *testing.T) *Kernels {
	k := NewKernels(kernels(t).set.Dev)
	t.Cleanup(k.Release)
	info := k.set.Dev.Info()
	info.Type = gpu.Discrete
	k.set.Is = profile.Of(info)
	return k
}

func TestSparseShared(t *testing.T) {
	numbers(t)
	optest.RunIf(t, opener(discrete(t), form.Sparse), func(name string) bool { return strings.Contains(name, "/zeros") })
}

// zerosOf returns the products whose input has many zeros.
func zerosOf(e *Prober) (list []*kernel.Zeros) {
	tuned := e.env.Tuned
	e.env.Tuned = true
	defer func() { e.env.Tuned = tuned }()
	for _, c := range choicesOf(e, kernel.Shape{Rows: 1, Seqs: 1}) {
		if z, ok := c.Work.(*kernel.Zeros); ok {
			list = append(list, z)
		}
	}
	return list
}

// The tuner measures sparse forms with the model's own activations, and the state stays as it was; what it keeps
// decides what the next executor runs.
func TestSparseTuned(t *testing.T) {
	k, m := kernels(t), golden.Tiny(t)
	sizes := op.Sizes{Slots: 1, Rows: 1, Seqs: 1, Outs: 1}
	run := func(tuner *tune.Tuner) (*Prober, []float32) {
		t.Helper()
		e := execWith(t, k, m.Program, Options{Sizes: sizes, Tuner: tuner})
		for _, tokens := range [][]int{{4}, {5}} {
			var b op.Batch
			b.Add(0, tokens, 1)
			if err := e.Forward(&b); err != nil {
				t.Fatal(err)
			}
		}
		last := e.Logits(0)
		return e, last
	}
	_, want := run(nil)
	tuner := tune.New("", true, nil)
	tuner.Budget = time.Hour
	e, got := run(tuner)
	near(t, got, want)
	if n := len(zerosOf(e)); n != m.Config.Layers {
		t.Fatalf("want a sparse product for each of %d layers, got %d", m.Config.Layers, n)
	}
	var zeros *tune.Choice
	for _, c := range choicesOf(e, kernel.Shape{Rows: 1, Seqs: 1}) {
		if _, ok := c.Work.(*kernel.Zeros); ok {
			zeros = &c.Choice
		}
	}
	if _, settled := tuner.Chosen(zeros); !settled {
		t.Fatalf("want %q measured, got %v", zeros.Key, tuner.Known())
	}
	for _, f := range zeros.Forms {
		tuner.Keep(zeros, f, time.Millisecond)
		e, got := run(tuner)
		near(t, got, want)
		for _, z := range zerosOf(e) {
			if have := z.PanelRows(); have > 0 != (f.Kernel == form.Sparse) || have > 0 && have != f.Rows {
				t.Errorf("%s: want weights in panels for sparse forms alone, got %d", f, have)
			}
		}
	}
}

func near(t *testing.T, got, want []float32) {
	t.Helper()
	for i, w := range want {
		if d := math.Abs(float64(got[i] - w)); !(d < 1e-4) {
			t.Fatalf("logit %d: want %v, got %v", i, w, got[i])
		}
	}
}

// A second copy of weights is only made where the device has memory to spare, for all of them twice.
func TestSparseRoom(t *testing.T) {
	for _, room := range []bool{true, false} {
		e := opener(kernels(t), "")(t, golden.Tiny(t).Program, op.Sizes{Slots: 1, Rows: 1, Seqs: 1, Outs: 1}, 0).(*Prober)
		asked := 0
		e.env.HasRoom = func(bytes int) bool {
			asked = bytes
			return room
		}
		zeros, bytes := zerosOf(e), 0
		for _, z := range zeros {
			bytes += z.Bytes
		}
		if asked == 0 || room == (len(zeros) == 0) || room && asked != 2*bytes {
			t.Errorf("room %t: asked for %d bytes for %d products of %d", room, asked, len(zeros), bytes)
		}
	}
}
