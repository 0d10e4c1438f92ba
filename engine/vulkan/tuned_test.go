package vulkan

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
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

// choosing returns the shared kernels, without those that leave no choice, and with the way to load known.
func choosing(t *testing.T) *Kernels {
	k := kernels(t)
	if _, err := k.Loads(nil); err != nil {
		t.Fatal(err)
	}
	narrow, quads := k.set.Is.Narrow.Usual, k.set.Is.Narrow.Quads
	k.set.Is.Narrow.Usual, k.set.Is.Narrow.Quads = false, false
	t.Cleanup(func() { k.set.Is.Narrow.Usual, k.set.Is.Narrow.Quads = narrow, quads })
	return k
}

// productChoice returns the choice of the program's i-th product.
func productChoice(e *Prober, i, rows int) *tune.Choice {
	return &e.steps[i].Choices(kernel.Shape{Rows: rows, Seqs: 1})[0].Choice
}

// What was measured once is kept, and taken from the file by the next process.
func TestTunerKeeps(t *testing.T) {
	k, path := choosing(t), filepath.Join(t.TempDir(), "cache", "tuning.json")
	var told []string
	notice := func(s string) { told = append(told, s) }
	tuned := func(tuner *tune.Tuner, rows int) *Prober {
		t.Helper()
		e := execWith(t, k, tuningProgram(tensor.F16), Options{Sizes: op.Sizes{Slots: 1, Rows: rows, Seqs: 1}, Tuner: tuner})
		var b op.Batch
		b.Add(0, make([]int, rows), 0)
		if err := e.Forward(&b); err != nil {
			t.Fatal(err)
		}
		return e
	}
	first := tune.New(path, false, notice)
	first.Budget = time.Hour
	want := 0
	for _, n := range []int{1, 40} {
		e := tuned(first, n)
		for i := range e.steps {
			if len(productChoice(e, i, n).Forms) > 1 {
				want++
			}
		}
	}
	if want < 2 || len(first.Known()) != want || len(told) != 1 || !strings.Contains(told[0], "measuring") {
		t.Errorf("want %d products measured and one notice, got %v, %q", want, first.Known(), told)
	}
	second := tune.New(path, false, notice)
	second.Budget = 0
	e := tuned(second, 1)
	if len(second.Known()) != want || len(told) != 1 {
		t.Errorf("want what was kept and no more notices, got %v, %q", second.Known(), told)
	}
	c := productChoice(e, 0, 1)
	if f, settled := second.Chosen(c); !settled || f != first.Known()[c.Key] {
		t.Errorf("want the form that was kept, %v, got %v", first.Known()[c.Key], f)
	}
	f, err := e.choose(kernel.Shape{Rows: 1, Seqs: 1})
	if err != nil || f.chosen[0][0] != first.Known()[c.Key] || len(f.open) != 0 {
		t.Errorf("want it recorded, got %v (%v)", f, err)
	}
	if fresh := tune.New(path, true, nil); len(fresh.Known()) != 0 {
		t.Errorf("want nothing kept of a fresh start, got %v", fresh.Known())
	}

	// A budget that is spent, and a file that is none, leave the usual forms.
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	told = nil
	without := tune.New(path, false, notice)
	without.Budget = 0
	e = tuned(without, 3)
	if len(told) != 1 || !strings.Contains(told[0], "tuning file ignored") || len(without.Known()) != 0 {
		t.Errorf("want one notice about the file and nothing measured, got %q, %v", told, without.Known())
	}
	c = productChoice(e, 0, 3)
	if f, settled := without.Chosen(c); settled || f != c.Forms[0] {
		t.Errorf("want the usual form %v and something to measure, got %v", c.Forms[0], f)
	}
}

// pausing returns a tuner with a budget that is spent, and a rest that does not end.
func pausing(t *testing.T) *tune.Tuner {
	t.Helper()
	tuner := tune.New("", true, nil)
	tuner.Budget = time.Nanosecond
	now, step := time.Now(), time.Hour
	tuner.Now = func() time.Time {
		now = now.Add(step)
		return now
	}
	for _, kind := range []tune.Kind{tune.Few, tune.Many} {
		c := tune.Choice{Kind: kind, Forms: []tune.Form{{}, {Rows: 1}}}
		err := tuner.Measure(t.Context(), &c, func() (tune.Trial, error) { return nil, errPause })
		if !errors.Is(err, errPause) {
			t.Fatal(err)
		}
	}
	step = 0
	return tuner
}

var errPause = errors.New("nothing to try")

// What was found for one pass is what another, recorded before, runs in from then on.
func TestTunerRenews(t *testing.T) {
	k, tuner := choosing(t), pausing(t)
	e := execWith(t, k, tuningProgram(tensor.F16), Options{Sizes: op.Sizes{Slots: 1, Rows: 1, Seqs: 1}, Tuner: tuner})
	var b op.Batch
	b.Add(0, []int{0}, 0)
	forward := func() *pass {
		t.Helper()
		if err := e.Forward(&b); err != nil {
			t.Fatal(err)
		}
		return e.shapes.entries[0].pass
	}
	ticking(e, time.Millisecond)
	forward()
	first := forward() // as one submission
	if again := forward(); again != first || len(first.open) == 0 || e.Settled() {
		t.Fatalf("want the pass as it was, with wishes open, got %v after %v", again, first)
	}
	for i := range e.steps {
		c := productChoice(e, i, 1)
		tuner.Keep(c, c.Forms[len(c.Forms)-1], time.Millisecond)
	}
	second := forward()
	if second == first || len(second.open) != 0 || !e.Settled() {
		t.Errorf("want the pass recorded anew, and nothing open, got %v", second.open)
	}
	if again := forward(); again != second {
		t.Error("want no pass recorded anew without a reason")
	}
}

// A form that was found before the measuring of another ends with an error is recorded all the same, by a later run.
func TestTunerRenewsAfterError(t *testing.T) {
	k, tuner := choosing(t), pausing(t)
	e := execWith(t, k, tuningProgram(tensor.F16), Options{Sizes: op.Sizes{Slots: 1, Rows: 1, Seqs: 1}, Tuner: tuner})
	var b op.Batch
	b.Add(0, []int{0}, 0)
	forward := func() (*pass, error) {
		err := e.Forward(&b)
		return e.shapes.entries[0].pass, err
	}
	ticking(e, time.Millisecond)
	for range 2 { // the second as one submission
		if _, err := forward(); err != nil {
			t.Fatal(err)
		}
	}
	first := e.shapes.entries[0].pass
	if len(first.open) < 2 {
		t.Fatalf("want two wishes, got %v", first.open)
	}
	found, fails := &first.open[0].Choice.Choice, &first.open[1].Choice.Choice
	tuner.Keep(found, found.Forms[len(found.Forms)-1], time.Millisecond)
	forms := fails.Forms
	fails.Forms = []tune.Form{forms[0], {Kernel: "no such kernel", Rows: 4, Tokens: 1}}
	tuner.Budget = 1000 * time.Hour
	if _, err := forward(); err == nil {
		t.Fatal("want the error of a kernel that there is not")
	}
	first.open[slices.IndexFunc(first.open, func(c openChoice) bool { return len(c.Forms) == 2 && c.Forms[1].Kernel == "no such kernel" })].Forms = forms
	tuner.Budget = 0 // nothing else is found
	if second, err := forward(); err != nil || second == first {
		t.Errorf("want the pass recorded anew (%v)", err)
	}
}

// What a file keeps of a form that is none of the list is no reason to record passes anew; with time the list is
// measured, which takes its place.
func TestTunerUnlisted(t *testing.T) {
	k := choosing(t)
	tuner := tune.New("", true, nil)
	e := execWith(t, k, tuningProgram(tensor.F16), Options{Sizes: op.Sizes{Slots: 1, Rows: 1, Seqs: 1}, Tuner: tuner})
	unlisted := tune.Form{Kernel: "of another version", Rows: 3, Tokens: 1}
	var keys []string
	for i := range e.steps {
		c := productChoice(e, i, 1)
		keys = append(keys, c.Key)
		tuner.Keep(c, unlisted, time.Millisecond)
	}
	var b op.Batch
	b.Add(0, []int{0}, 0)
	forward := func() *pass {
		t.Helper()
		if err := e.Forward(&b); err != nil {
			t.Fatal(err)
		}
		return e.shapes.entries[0].pass
	}
	ticking(e, time.Millisecond)
	tuner.Budget = 0
	forward()
	first := forward() // as one submission
	if again := forward(); again != first {
		t.Error("without time: want the pass as it was, got another")
	}
	for tuner.Budget = time.Hour; !e.Settled(); {
		before := len(e.shapes.entries[0].pass.open)
		if p := forward(); len(p.open) >= before {
			t.Fatalf("with time: want the forms measured, got %d wishes after %d", len(p.open), before)
		}
	}
	for _, key := range keys {
		if have := tuner.Known()[key]; have == unlisted {
			t.Errorf("%s: want a form of the list kept, got %v", key, have)
		}
	}
}

// What would take longer to measure than it could save is not: some tokens of one sequence. As many sequences' tokens,
// one token, and a whole prompt are.
func TestTunerWishes(t *testing.T) {
	k := choosing(t)
	e := execWith(t, k, tuningProgram(tensor.F16), Options{Sizes: op.Sizes{Slots: 4, Rows: 40, Seqs: 4}, Tuner: tune.New("", true, nil)})
	e.tuner.Budget = 0
	for s, wanted := range map[kernel.Shape]bool{{Rows: 1, Seqs: 1}: true, {Rows: 4, Seqs: 1}: false, {Rows: fewRows, Seqs: 1}: false,
		{Rows: fewRows + 1, Seqs: 1}: true, {Rows: 4, Seqs: 4}: true} {
		want := 0
		for _, c := range choicesOf(e, s) {
			if wanted && len(c.Forms) > 1 {
				want++
			}
		}
		var b op.Batch
		for i := range s.Seqs {
			b.Add(i, make([]int, s.Rows/s.Seqs), 0)
		}
		if err := e.Forward(&b); err != nil {
			t.Fatal(err)
		}
		p, err := e.shapes.get(s)
		if err != nil || len(p.open) != want {
			t.Errorf("%+v: want %d wishes, got %v (%v)", s, want, p.open, err)
		}
	}
}
