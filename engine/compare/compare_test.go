package compare

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

var compared = []int{1, 60, 0, 7, 7, 31, 12}

func prober(t *testing.T, m *model.Model, d device) op.Prober {
	t.Helper()
	e, err := d.prober(m, Sizes(len(compared)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// A device agrees with the reference, which is another executor also for the CPU.
func TestPasses(t *testing.T) {
	m := golden.Tiny(t)
	eachDevice(t, func(t *testing.T, d device) {
		dev := prober(t, m, d)
		r, err := Run(t.Context(), m, referenceProber(t, m), dev, compared)
		if err != nil {
			t.Fatal(err)
		}
		if r.Verdict != "pass" || r.FirstBad != nil || r.Top1Agree != 1 || r.Device != dev.Device() || !(r.KL < 1e-6) {
			t.Errorf("%s: %+v", r, r)
		}
		for i, s := range m.Program.Steps {
			if o := r.Ops[i]; o.Op != s.Name || o.Layer != s.Layer || !o.OK || !(o.NMSE < 1e-10) || d.isCPU() != (o.Kernels == nil) {
				t.Errorf("op %d (%s): %+v", i, s.Name, o)
			}
		}
		if extra := r.Ops[len(m.Program.Steps):]; len(extra) > 1 || len(extra) == 1 && extra[0].Op != drawOp {
			t.Errorf("ops beside the program's: %+v", extra)
		}
		if !strings.HasPrefix(r.Reference, "reference") || r.MaxAbs == 0 {
			t.Errorf("want another executor for the reference, got %s", r)
		}
	})
}

// spoiled changes what one step, or Forward, leaves.
type spoiled struct {
	op.Prober
	prog   *op.Program
	at     int // step, or -1 for the logits of Forward
	change func(float32) float32
}

func (s *spoiled) RunSteps(from, to int) error {
	if err := s.Prober.RunSteps(from, to); err != nil || to-1 != s.at {
		return err
	}
	o := s.written()
	data, err := s.Read(o)
	if err != nil {
		return err
	}
	for j, v := range data {
		data[j] = s.change(v)
	}
	return s.Write(o, data)
}

// written returns the first operand that the step writes.
func (s *spoiled) written() (first *op.Operand) {
	s.prog.Steps[s.at].Op.Operands(func(_ string, v op.View, a op.Access) {
		if a&op.Write != 0 && first == nil {
			first = v.Of
		}
	})
	return first
}

func (s *spoiled) Logits(i int) []float32 {
	l := slices.Clone(s.Prober.Logits(i))
	if s.at < 0 {
		for j, v := range l {
			l[j] = s.change(v)
		}
	}
	return l
}

// An op that is off by a thousandth, or gives a NaN, is named, on either device; so are logits that only differ when
// the device runs on its own. The report is JSON all the same.
func TestCatches(t *testing.T) {
	m := golden.Tiny(t)
	changes := map[string]func(float32) float32{
		"thousandth": func(v float32) float32 { return v * 1.0015 }, // and a half: a mere one is at the logits' limit
		"NaN":        func(float32) float32 { return float32(math.NaN()) },
		"infinity":   func(float32) float32 { return float32(math.Inf(1)) },
	}
	eachDevice(t, func(t *testing.T, d device) {
		ref, dev := referenceProber(t, m), prober(t, m, d)
		for name, change := range changes {
			for at := -1; at < len(m.Program.Steps); at++ {
				if name != "thousandth" && at > 5 {
					break
				}
				r, err := Run(t.Context(), m, ref, &spoiled{dev, m.Program, at, change}, compared)
				if err != nil {
					t.Fatal(err)
				}
				if r.Verdict != "fail" {
					t.Errorf("%s in step %d: verdict %s", name, at, r.Verdict)
				}
				if _, err := json.Marshal(r); err != nil {
					t.Errorf("%s in step %d: %v", name, at, err)
				}
				named := at
				if at < 0 { // the op that makes the logits, if no other is to blame
					named = len(m.Program.Steps) - 1
					for m.Program.Steps[named].Name != "head" {
						named--
					}
				}
				want := m.Program.Steps[named].Name
				if r.FirstBad == nil || *r.FirstBad != want {
					t.Errorf("%s in %s: %s", name, want, r)
				}
				for i, o := range r.Ops {
					if o.OK != (i == named) {
						continue
					}
					t.Errorf("%s in %s: op %s: %+v", name, want, o.Op, o)
				}
				if !strings.Contains(r.String(), want) {
					t.Errorf("%q does not name %s", r, want)
				}
			}
		}
	})
}

// broken fails in one step.
type broken struct {
	op.Prober
	err error
}

func (b broken) RunStep(int) error       { return b.err }
func (b broken) RunSteps(int, int) error { return b.err }

// Errors of either executor come back.
func TestErrors(t *testing.T) {
	m := golden.Tiny(t)
	good, boom := referenceProber(t, m), errors.New("boom")
	for _, pair := range [][2]op.Prober{{good, broken{good, boom}}, {broken{good, boom}, good}} {
		if _, err := Run(t.Context(), m, pair[0], pair[1], compared); !errors.Is(err, boom) {
			t.Errorf("want the executor's error, got %v", err)
		}
	}
	for want, tokens := range map[string][]int{"at least one row": nil, "token below": {m.Vocab}, "at most 54 rows": make([]int, 55)} {
		if _, err := Run(t.Context(), m, good, referenceProber(t, m), tokens); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}

// impatient cancels while a step runs.
type impatient struct {
	op.Prober
	cancel func()
}

func (p impatient) RunSteps(from, to int) error {
	p.cancel()
	return p.Prober.RunSteps(from, to)
}

func (p impatient) Forward(b *op.Batch) error {
	p.cancel()
	return p.Prober.Forward(b)
}

// A comparison ends when its context does, at the next step.
func TestInterrupted(t *testing.T) {
	m := golden.Tiny(t)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := Run(ctx, m, referenceProber(t, m), impatient{referenceProber(t, m), cancel}, compared)
	if !errors.Is(err, context.Canceled) || r != nil {
		t.Errorf("got %v, %v", r, err)
	}
}

// The measures, on numbers worked out by hand.
func TestMeasures(t *testing.T) {
	if d, n := difference([]float32{1, 2, 2}, []float32{1, 2, 4}); d != 2 || n != 4.0/21 {
		t.Errorf("difference %v, NMSE %v", d, n)
	}
	if d, n := difference([]float32{0, 1e-3}, []float32{0, 0}); !(d > 9e-4) || !(n > 1) {
		t.Errorf("difference from zero %v, NMSE %v", d, n)
	}
	if d, n := difference(nil, nil); d != 0 || n != 0 {
		t.Errorf("difference of nothing %v, NMSE %v", d, n)
	}
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1))} {
		for _, c := range [][2][]float32{{{1, bad, 9}, {1, 2, 3}}, {{1, 2, 3}, {1, bad, 9}}} {
			if d, n := difference(c[0], c[1]); d != math.MaxFloat64 || n != math.MaxFloat64 {
				t.Errorf("difference of %v from %v is %v, NMSE %v", c[0], c[1], d, n)
			}
		}
	}
	ln3 := float32(math.Log(3))
	// Probabilities (1/4, 3/4) and (1/2, 1/2).
	want := 0.25*math.Log(0.5) + 0.75*math.Log(1.5)
	if got := divergence([]float32{100, 100 + ln3}, []float32{-5, -5}); math.Abs(got-want) > 1e-5 {
		t.Errorf("divergence %v, want %v", got, want)
	}
	if got := divergence([]float32{1, 2, 3}, []float32{1, 2, 3}); got != 0 {
		t.Errorf("divergence of equals: %v", got)
	}
}
