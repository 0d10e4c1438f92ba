package cpu

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/cpu/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

func openModel(tb testing.TB, m *model.Model, s op.Sizes) op.Executor {
	return at("", 0)(tb, m.Program, s, 0)
}

// Each level keeps all properties to the last bit, with more workers than there are cores.
func TestProperties(t *testing.T) {
	eachLevel(t, func(t *testing.T, level string) {
		golden.ExactProperties(t, func(tb testing.TB, m *model.Model, s op.Sizes) op.Executor {
			return at(level, 5)(tb, m.Program, s, 0)
		})
	})
}

func TestClosed(t *testing.T) { golden.Closed(t, openModel) }

// load makes an executor and closes it.
func load(prog *op.Program, o Options) error {
	e, err := New(prog, o)
	if err == nil {
		err = e.Close()
	}
	return err
}

func TestNotFinite(t *testing.T) {
	eachLevel(t, func(t *testing.T, level string) {
		golden.NotFinite(t, func(prog *op.Program, s op.Sizes) error { return load(prog, Options{Sizes: s, Level: level}) })
	})
}

// Progress counts every byte of the weights once and ends at all of them.
func TestProgress(t *testing.T) {
	golden.Progress(t, func(prog *op.Program, s op.Sizes, progress func(done, all int64) error) error {
		return load(prog, Options{Sizes: s, Progress: progress})
	})
}

// logits runs tokens in chunks and returns the logits after each.
func logits(tb testing.TB, e op.Executor, tokens []int, chunk int) (all []float32) {
	tb.Helper()
	if err := e.ResetState(0); err != nil {
		tb.Fatal(err)
	}
	for part := range slices.Chunk(tokens, chunk) {
		var b op.Batch
		b.Add(0, part, len(part))
		if err := e.Forward(&b); err != nil {
			tb.Fatal(err)
		}
		for i := range part {
			all = append(all, e.Logits(i)...)
		}
	}
	return all
}

func sameBits(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
}

// The number of threads and the chunks change no bit, and levels with a fused multiply-add have the same bits.
func TestSameBits(t *testing.T) {
	tokens := golden.HeldOut(t, 30)[0]
	m := golden.Demo(t, 0)
	s := op.Sizes{Slots: 1, Rows: 64, Seqs: 1, Outs: 64}
	var fused []float32
	for _, level := range Levels() {
		want := logits(t, at(level, 1)(t, m.Program, s, 0), tokens, 1)
		for _, threads := range []int{2, 5} {
			e := at(level, threads)(t, m.Program, s, 0)
			for _, chunk := range []int{1, 2, 9, 30} {
				if got := logits(t, e, tokens, chunk); !sameBits(got, want) {
					t.Errorf("%s, %d threads, chunks of %d: other logits", level, threads, chunk)
				}
			}
		}
		if level == "generic" {
			continue
		}
		if fused != nil && !sameBits(want, fused) {
			t.Errorf("%s: other logits than the level before", level)
		}
		fused = want
	}
}

// A pass allocates nothing.
func TestAllocatesNothing(t *testing.T) {
	m := golden.Demo(t, 0)
	e := at("", 2)(t, m.Program, op.Sizes{Slots: 3, Rows: 16, Seqs: 3, Outs: 3}, 0)
	for _, rows := range []int{1, 5} {
		var b op.Batch
		for slot := range 3 {
			b.Add(slot, make([]int, rows), 1)
		}
		if n := testing.AllocsPerRun(20, func() {
			if err := e.Forward(&b); err != nil {
				t.Fatal(err)
			}
		}); n >= 1 {
			t.Errorf("%d rows: %g allocations", rows, n)
		}
	}
}

// A level is one that the processor has, by Options or by the environment. Another one is refused with the list.
func TestLevels(t *testing.T) {
	m := golden.Tiny(t)
	s := op.Sizes{Slots: 1, Rows: 1, Seqs: 1, Outs: 1}
	all := Levels()
	device := func(o Options) string {
		t.Helper()
		o.Sizes, o.Threads = s, 2
		e, err := New(m.Program, o)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = e.Close() }()
		return strings.ToLower(strings.ReplaceAll(e.Device(), "-", ""))
	}
	for _, level := range all {
		want := "cpu (2 threads, " + level + ")"
		if got := device(Options{Level: level}); got != want {
			t.Errorf("want %q, got %q", want, got)
		}
		t.Setenv("RWKV_CPU", strings.ToUpper(level))
		if got := device(Options{}); got != want || !strings.HasSuffix(Arithmetic(), level) {
			t.Errorf("RWKV_CPU: want %q, got %q (%s)", want, got, Arithmetic())
		}
	}
	t.Setenv("RWKV_CPU", "")
	if got := device(Options{}); !strings.Contains(got, all[len(all)-1]) {
		t.Errorf("want the best level, got %q", got)
	}
	t.Setenv("RWKV_CPU", "sse9")
	if err := load(m.Program, Options{Sizes: s}); err == nil || !strings.Contains(err.Error(), "RWKV_CPU: want one of "+strings.Join(all, ", ")) ||
		!strings.Contains(err.Error(), `"sse9"`) {
		t.Errorf("an unknown level: %v", err)
	}
}

// What kernels lack is an error that names the weight, before anything is run.
func TestMissing(t *testing.T) {
	for want, change := range map[string]func(p *op.Part){
		"Act: no kernel has Act(99)":         func(p *op.Part) { p.Act = 99 },
		"Combine: no kernel has Combine(99)": func(p *op.Part) { p.Combine, p.From = 99, p.Y },
	} {
		prog := golden.Tiny(t).Program
		i := slices.IndexFunc(prog.Steps, func(s op.Step) bool { _, ok := s.Op.(*op.MatMul); return ok })
		p := &prog.Steps[i].Op.(*op.MatMul).Parts[0]
		change(p)
		err := load(prog, Options{Sizes: op.Sizes{Slots: 1, Rows: 1, Seqs: 1, Outs: 1}})
		var missing *kernel.MissingError
		if !errors.As(err, &missing) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), p.W.Source.Name) {
			t.Errorf("want %s of %s, got %v", want, p.W.Source.Name, err)
		}
	}
}
