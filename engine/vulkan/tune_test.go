package vulkan

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/layout"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// tuningProgram is a product with two parts and a residual one, of a type.
func tuningProgram(typ tensor.Type) *op.Program {
	const k, m = 256, 512
	var b op.Builder
	weight := func(rows, cols int) *op.Operand {
		data := make([]byte, typ.Bytes(rows*cols))
		if typ.IsBlock() {
			for i := range data {
				data[i] = byte(i*i>>3) &^ 0x40 // bit 6 clear keeps the scales finite
			}
		} else {
			x := make([]float32, rows*cols)
			for i := range x {
				x[i] = float32(math.Sin(float64(i * i)))
			}
			typ.Encode(data, x)
		}
		return b.Weight(tensor.FromBytes("w", typ, []int{rows, cols}, data), rows, cols)
	}
	x, y, z := b.Scratch("x", op.Row, k), b.Scratch("y", op.Row, m), b.Scratch("z", op.Row, m)
	b.Emit(-1, "first", &op.MatMul{Parts: []op.Part{
		{W: weight(m, k), X: x.All(), Y: y.All()}, {W: weight(m, k), X: x.All(), Act: op.Tanh, Y: z.All()}}})
	b.Emit(-1, "second", &op.MatMul{Parts: []op.Part{
		{W: weight(k, m), X: y.All(), Combine: op.Add, From: x.All(), Y: x.All()}}})
	prog := b.Unchecked()
	prog.Vocab = 1
	return prog
}

func tuned1(t *testing.T, k *Kernels, tuner *Tuner, rows int) *Exec {
	t.Helper()
	e, err := New(k, tuningProgram(tensor.F16), Options{Sizes: op.Sizes{Slots: 1, Rows: rows, Seqs: 1}, Tuner: tuner})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	var b op.Batch
	b.Add(0, make([]int, rows), 0)
	if err := e.Forward(&b); err != nil {
		t.Fatal(err)
	}
	return e
}

// choosing returns the shared kernels, without those that leave no choice, and with the way to load known.
func choosing(t *testing.T) *Kernels {
	k := kernels(t)
	if _, err := k.measure(nil); err != nil {
		t.Fatal(err)
	}
	narrow, quads := k.shape.Narrow.Usual, k.shape.Narrow.Quads
	k.shape.Narrow.Usual, k.shape.Narrow.Quads = false, false
	t.Cleanup(func() { k.shape.Narrow.Usual, k.shape.Narrow.Quads = narrow, quads })
	return k
}

// What was measured once is kept, and taken from the file by the next process.
func TestTunerKeeps(t *testing.T) {
	k, path := choosing(t), filepath.Join(t.TempDir(), "cache", "tuning.json")
	var told []string
	notice := func(s string) { told = append(told, s) }
	first := NewTuner(path, false, notice)
	first.Budget = time.Hour
	want := 0
	for _, n := range []int{1, 40} {
		e := tuned1(t, k, first, n)
		for _, units := range e.ops.matMuls {
			if len(k.shape.candidates(&units[0].Unit, uint32(n))) > 1 {
				want++
			}
		}
	}
	if want < 2 || len(first.found) != want || len(told) != 1 || !strings.Contains(told[0], "measuring") {
		t.Errorf("want %d products measured and one notice, got %v, %q", want, first.found, told)
	}
	second := NewTuner(path, false, notice)
	second.Budget = 0
	e := tuned1(t, k, second, 1)
	if len(second.found) != want || len(told) != 1 {
		t.Errorf("want what was kept and no more notices, got %v, %q", second.found, told)
	}
	u := &e.ops.matMuls[e.prog.Steps[0].Op.(*op.MatMul)][0]
	f, open := e.form(u, 1)
	if have := first.found[e.tuningKey(u, 1)]; open != nil || !f.kept().same(have) {
		t.Errorf("want the form that was kept, %v, got %v (%v)", have, f, open)
	}
	if fresh := NewTuner(path, true, nil); len(fresh.found) != 0 {
		t.Errorf("want nothing kept of a fresh start, got %v", fresh.found)
	}
}

// Choices made for other kernels are not taken, and of those in the file only forms that would be measured: a file that was
// damaged or changed by hand costs a measurement.
func TestTunerFile(t *testing.T) {
	k, path := choosing(t), filepath.Join(t.TempDir(), "tuning.json")
	first := NewTuner(path, true, nil)
	e := tuned1(t, k, first, 1)
	u := &e.ops.matMuls[e.prog.Steps[0].Op.(*op.MatMul)][0]
	key := e.tuningKey(u, 1)
	write := func(f tuningFile) {
		t.Helper()
		data, err := json.Marshal(f)
		if err == nil {
			err = os.WriteFile(path, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	write(tuningFile{Kernels: "other", Found: first.found})
	if have := NewTuner(path, false, nil).found; len(have) != 0 {
		t.Errorf("want nothing taken that other kernels were measured for, got %v", have)
	}
	for _, bad := range []tuned{{}, {Kernel: "vec", Rows: 1 << 31, Tokens: 1}, {Kernel: "vec", Rows: 2}, {Kernel: "none", Rows: 2, Tokens: 1},
		{Kernel: "auto", Rows: 4, Tokens: 1}, {Kernel: "vec", Rows: 3, Tokens: 7}} {
		bad.Among = first.found[key].Among
		write(tuningFile{Kernels: kernelSum(), Found: map[string]tuned{key: bad}})
		e.tuner = NewTuner(path, false, nil)
		f, open := e.form(u, 1)
		if open == nil || f != k.shape.usual(&u.Unit, 1) {
			t.Fatalf("%+v: want the usual form and the wish for a better one, got %v, %v", bad, f, open)
		}
		if err := open.measure(t.Context(), time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		f, open = e.form(u, 1)
		if have := e.tuner.found[key]; open != nil || have.same(bad) || !have.same(f.kept()) {
			t.Errorf("%+v: want it measured anew, got %v, %v", bad, f, have)
		}
	}
}

// A budget that is spent, and a file that is none, leave the usual forms.
func TestTunerWithout(t *testing.T) {
	k, path := choosing(t), filepath.Join(t.TempDir(), "tuning.json")
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	var told []string
	tuner := NewTuner(path, false, func(s string) { told = append(told, s) })
	tuner.Budget = 0
	e := tuned1(t, k, tuner, 3)
	if len(told) != 1 || !strings.Contains(told[0], "tuning file ignored") || len(tuner.found) != 0 {
		t.Errorf("want one notice about the file and nothing measured, got %q, %v", told, tuner.found)
	}
	u := &e.ops.matMuls[e.prog.Steps[0].Op.(*op.MatMul)][0]
	if f, open := e.form(u, 3); open == nil || f != k.shape.usual(&u.Unit, 3) {
		t.Errorf("want the usual form %v and the wish for a better one, got %v (%v)", k.shape.usual(&u.Unit, 3), f, open)
	}
}

// Every form that the tuner may choose gives the same results, for a type of each way to unpack weights.
func TestCandidatesAlike(t *testing.T) {
	k := kernels(t)
	types := []tensor.Type{tensor.F16, tensor.Q6_K, tensor.Q8_0, tensor.Q4_0}
	if testing.Short() {
		types = types[:2]
	}
	for _, typ := range types {
		e, err := New(k, tuningProgram(typ), Options{Sizes: op.Sizes{Slots: 1, Rows: 40, Seqs: 1}})
		if err != nil {
			t.Fatal(err)
		}
		u := &e.ops.matMuls[e.prog.Steps[0].Op.(*op.MatMul)][0]
		for _, n := range []uint32{1, 7, 40} {
			trial := e.newTrial(u, n)
			list := k.shape.candidates(&u.Unit, n)
			want, err := trial.results(list[0])
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range list[1:] {
				if got, err := trial.results(f); err != nil || !alike(got, want, trial.before()) {
					t.Errorf("%s, %d tokens: %s differs from %s (%v)", typ, n, f, list[0], err)
				}
			}
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestAlike(t *testing.T) {
	want := []float32{1, -2, 3}
	for _, c := range []struct {
		got  []float32
		want bool
	}{
		{[]float32{1, -2, 3}, true}, {[]float32{1, -2.0001, 3}, true}, {[]float32{1, -2.01, 3}, false},
		{[]float32{1, float32(math.NaN()), 3}, false}, {[]float32{float32(math.Inf(1)), -2, 3}, false},
	} {
		if alike(c.got, want, []float32{0, 0, 0}) != c.want {
			t.Errorf("%v against %v: want %v", c.got, want, c.want)
		}
	}
	// What no product wrote does not make an error of small results smaller.
	if alike([]float32{0.001, 7}, []float32{0.0012, 7}, []float32{3, 7}) {
		t.Error("want 0.001 to differ from 0.0012 beside what was there before")
	}
}

// Lanes that cannot read one another's registers hand nothing round.
func TestCandidatesWithoutShuffle(t *testing.T) {
	for _, cpu := range []bool{false, true} {
		s := kernelShape{profile.Profile{CPU: cpu, Lanes: 8, MostGroups: 65535, Local: profile.Workgroups{Subgroups: 1, Reg: 8}}}
		for _, n := range []uint32{1, 8, 40} {
			for _, f := range s.candidates(&layout.Unit{Rows: 64}, n) {
				if f.kernel == Bcast {
					t.Errorf("cpu %v, %d tokens: want no form of %s, got %s", cpu, n, Bcast, f)
				}
			}
		}
	}
}
