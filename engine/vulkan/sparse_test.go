package vulkan

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/op/optest"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// Decode in sparse forms agrees with the references for every version.
func TestSparseGolden(t *testing.T) { golden.RunDecode(t, true, modelOpener(kernels(t), Sparse)) }

// discrete returns kernels of the shape that graphics cards have, in which the subgroups of a workgroup share a panel.
func discrete(t *testing.T) *Kernels {
	k := NewKernels(kernels(t).dev)
	t.Cleanup(k.Release)
	info := k.dev.Info()
	info.Type = gpu.Discrete
	k.shape = shapeFor(info)
	return k
}

func TestSparseShared(t *testing.T) {
	optest.RunIf(t, opener(discrete(t), Sparse), func(name string) bool { return strings.Contains(name, "/zeros") })
}

// Every sparse form gives what a dense one does, whatever the device's shape.
func TestSparseAlike(t *testing.T) {
	for _, k := range []*Kernels{kernels(t), discrete(t)} {
		e := opener(k, Auto)(t, tuningProgram(tensor.F16), op.Sizes{Slots: 1, Rows: 1, Seqs: 1}, 0).(*Exec)
		u := &e.ops.matMuls[e.prog.Steps[1].Op.(*op.MatMul)][0]
		trial := e.newTrial(u, 1)
		x := gpu.Float32s(trial.input)
		for i := range x {
			if i%3 == 0 {
				x[i] = 0
			}
		}
		want, err := trial.results(k.shape.usual(&u.Unit, 1))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range k.shape.sparseForms() {
			if got, err := trial.results(f); err != nil || !alike(got, want, trial.before()) {
				t.Errorf("%s differs (%v)", f, err)
			}
		}
	}
}

// sparseUnits returns the units whose input has many zeros.
func sparseUnits(e *Exec) (list []*unit) {
	for _, units := range e.ops.matMuls {
		for i := range units {
			if units[i].sparse {
				list = append(list, &units[i])
			}
		}
	}
	return list
}

// The tuner measures sparse forms with the model's own activations, and the state stays as it was; what it keeps decides
// what the next executor runs.
func TestSparseTuned(t *testing.T) {
	k, m := kernels(t), golden.Tiny(t)
	sizes := op.Sizes{Slots: 1, Rows: 1, Seqs: 1, Outs: 1}
	run := func(tuner *Tuner) (*Exec, []float32) {
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
	tuner := NewTuner("", true, nil)
	tuner.Budget = time.Hour
	e, got := run(tuner)
	near(t, got, want)
	units := sparseUnits(e)
	if len(units) != m.Config.Layers {
		t.Fatalf("want a sparse product for each of %d layers, got %d", m.Config.Layers, len(units))
	}
	key := e.tuningKey(units[0], 1) + ", many zeros"
	measured, ok := tuner.found[key]
	if !ok {
		t.Fatalf("want %q measured, got %v", key, tuner.found)
	}
	for _, f := range append(e.sparseForms(units[0]), matMulForm{kernel: Vec, rows: 4, tokens: 1}) {
		found := zerosForm{f}.kept()
		found.Among = measured.Among
		tuner.found[key] = found
		e, got := run(tuner)
		near(t, got, want)
		for _, u := range sparseUnits(e) {
			if have := u.panels.buf != nil; have != (f.kernel == Sparse) || have && u.panels.rows != f.rows {
				t.Errorf("%s: want weights in panels for sparse forms alone, got %v", f, u.panels)
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

// A second copy of weights is only made where the device has memory to spare.
func TestSparseRoom(t *testing.T) {
	e := opener(kernels(t), Auto)(t, golden.Tiny(t).Program, op.Sizes{Slots: 1, Rows: 1, Seqs: 1, Outs: 1}, 0).(*Exec)
	if !e.roomForPanels() || e.panels.bytes == 0 {
		t.Fatalf("want room for a small model's panels, got %+v", e.panels)
	}
	e.panels = panelRoom{}
	sparseUnits(e)[0].Bytes = 1 << 50
	if e.roomForPanels() {
		t.Errorf("want no room for %d bytes", e.panels.bytes)
	}
}
