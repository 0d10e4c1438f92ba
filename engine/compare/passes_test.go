package compare

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// hasty is a device on which a step is wrong where others run before it, as without a barrier between them.
type hasty struct {
	op.Prober
	prog *op.Program
	at   int
}

func (h *hasty) RunSteps(from, to int) error {
	if from >= h.at || to <= h.at {
		return h.Prober.RunSteps(from, to)
	}
	wrong := spoiled{h.Prober, h.prog, h.at, func(v float32) float32 { return v + 0.5*max(v, -v) }}
	if err := h.Prober.RunSteps(from, h.at); err != nil {
		return err
	}
	if err := wrong.RunSteps(h.at, h.at+1); err != nil || to == h.at+1 {
		return err
	}
	return h.Prober.RunSteps(h.at+1, to)
}

func (h *hasty) ForwardContext(_ context.Context, b *op.Batch) error {
	if err := h.Stage(b); err != nil {
		return err
	}
	return h.RunSteps(0, len(h.prog.Steps))
}

// What is wrong only among other ops is found, and named.
func TestFindsAmongOthers(t *testing.T) {
	m := golden.Tiny(t)
	eachDevice(t, func(t *testing.T, d device) {
		ref, dev := referenceProber(t, m), prober(t, m, d)
		for at := 1; at < len(m.Program.Steps)-1; at += 3 { // the last hands the logits to the host
			want := m.Program.Steps[at].Name
			if _, ok := m.Program.Steps[at].Op.(*op.ShiftMix); ok {
				continue // its first result is kept by some devices in a place that the test does not know
			}
			r, err := Run(t.Context(), m, ref, &hasty{dev, m.Program, at}, compared)
			if err != nil {
				t.Fatal(err)
			}
			if r.Verdict != "fail" || r.FirstBad == nil || *r.FirstBad != want {
				t.Errorf("wrong among others: %s: %s", want, r)
			}
		}
	})
}

// stray writes an element next to what a step may write, in one kind of pass.
type stray struct {
	op.Prober
	state bool
	rows  int // of the pass
	at    int
	batch op.Batch
}

func (s *stray) Stage(b *op.Batch) error {
	s.batch = *b
	return s.Prober.Stage(b)
}

func (s *stray) RunSteps(from, to int) error {
	if err := s.Prober.RunSteps(from, to); err != nil || from != s.at || len(s.batch.Tokens) != s.rows {
		return err
	}
	scratch, state, err := s.Arenas()
	if err != nil {
		return err
	}
	if s.state {
		state[len(state)-1]++
	} else {
		scratch[len(scratch)-1]++
	}
	return s.SetArenas(scratch, state)
}

// A step that writes where it must not is named, in whichever pass it does, and whether it meets a slot of no sequence
// or other scratch.
func TestFindsStrayWrites(t *testing.T) {
	m := golden.Tiny(t)
	eachDevice(t, func(t *testing.T, d device) {
		ref, dev := referenceProber(t, m), prober(t, m, d)
		for _, rows := range []int{13, len(compared), 54, 1, 2, 5} {
			for _, state := range []bool{false, true} {
				r, err := Run(t.Context(), m, ref, &stray{Prober: dev, state: state, rows: rows, at: 2}, compared)
				if err != nil {
					t.Fatal(err)
				}
				if want := m.Program.Steps[2].Name; r.FirstBad == nil || *r.FirstBad != want || !r.Ops[2].Stray {
					t.Errorf("stray write (state: %v) in %s, in the pass of %d rows: %s", state, want, rows, r)
				}
			}
		}
	})
}

// misdrawing draws another id once, the ones from made-up logits counted last.
type misdrawing struct {
	*vulkan.Prober
	at, made int
}

func (m *misdrawing) Decode(draws []vulkan.Draw, n int) ([]uint32, error) {
	ids, err := m.Prober.Decode(draws, n)
	if err == nil && m.at >= 0 && m.at < len(ids) {
		ids = slices.Clone(ids)
		ids[m.at] ^= 1
	}
	m.made = len(ids)
	return ids, err
}

func (m *misdrawing) DrawFrom(draws []vulkan.Draw, logits []float32) ([]uint32, error) {
	ids, err := m.Prober.DrawFrom(draws, logits)
	if i := m.at - m.made; err == nil && i >= 0 && i < len(ids) {
		ids[i] ^= 1
	}
	m.made += len(ids)
	return ids, err
}

// Where the device draws, its ids are compared, whichever sequence and step they are of; elsewhere there is no draw.
func TestDraws(t *testing.T) {
	m := golden.Tiny(t)
	eachDevice(t, func(t *testing.T, d device) {
		if d.isCPU() {
			t.Skip("the CPU is what draws are compared with")
		}
		ref := referenceProber(t, m)
		for _, draws := range []vulkan.Draws{vulkan.HostDraws, vulkan.DeviceDraws} {
			dev := prober(t, m, device{kernels: d.kernels, draws: draws})
			for _, at := range []int{-1, 0, 13, drawSteps*len(drawn) - 1, drawSteps * len(drawn), (drawSteps+madeRounds)*len(drawn) - 1} {
				r, err := Run(t.Context(), m, ref, &misdrawing{Prober: dev.(*vulkan.Prober), at: at}, compared)
				if err != nil {
					t.Fatal(err)
				}
				last := r.Ops[len(r.Ops)-1]
				if (last.Op == drawOp) != (draws == vulkan.DeviceDraws) {
					t.Errorf("%s: the last op is %s", draws, last.Op)
				}
				if last.Op != drawOp {
					continue
				}
				if wrong := r.FirstBad != nil && *r.FirstBad == drawOp; wrong != (at >= 0) || last.OK == wrong || len(last.Kernels) != 2 {
					t.Errorf("id %d changed: %s: %+v", at, r, last)
				}
			}
		}
	})
}

// spoiling has no logits any more once it has drawn.
type spoiling struct {
	*vulkan.Prober
	drew bool
}

func (s *spoiling) Decode(draws []vulkan.Draw, n int) ([]uint32, error) {
	s.drew = true
	return s.Prober.Decode(draws, n)
}

func (s *spoiling) Logits(i int) []float32 {
	l := slices.Clone(s.Prober.Logits(i))
	if s.drew {
		l[0] = float32(math.NaN())
	}
	return l
}

// A draw that spoils what the device calculates from then on is to blame for that, and not the model.
func TestFindsSpoilingDraws(t *testing.T) {
	m := golden.Tiny(t)
	eachDevice(t, func(t *testing.T, d device) {
		if d.isCPU() {
			t.Skip("the CPU is what draws are compared with")
		}
		d.draws = vulkan.DeviceDraws
		r, err := Run(t.Context(), m, referenceProber(t, m), &spoiling{Prober: prober(t, m, d).(*vulkan.Prober)}, compared)
		if err != nil {
			t.Fatal(err)
		}
		if last := r.Ops[len(r.Ops)-1]; r.Verdict != "fail" || *r.FirstBad != drawOp || last.OK || !last.Stray || len(last.Kernels) != 2 {
			t.Errorf("%s: %+v", r, last)
		}
	})
}

// restless changes a slot's state once tokens are drawn.
type restless struct {
	*vulkan.Prober
	view op.View
	slot int
}

func (r *restless) Decode(draws []vulkan.Draw, n int) ([]uint32, error) {
	ids, err := r.Prober.Decode(draws, n)
	if err != nil {
		return nil, err
	}
	data, err := r.Read(r.view.Of)
	if err != nil {
		return nil, err
	}
	data[r.slot*r.view.Of.Width+r.view.Off]++
	return ids, r.Write(r.view.Of, data)
}

// What draws leave in the slots of sequences, whether they ended or not, is compared, and the op is named that works on
// it.
func TestFindsStatesAfterDraws(t *testing.T) {
	m := golden.Tiny(t)
	eachDevice(t, func(t *testing.T, d device) {
		if d.isCPU() {
			t.Skip("the CPU is what draws are compared with")
		}
		ref := referenceProber(t, m)
		dev := prober(t, m, device{kernels: d.kernels, draws: vulkan.DeviceDraws})
		tried := 0
		for i := 0; i < len(m.Program.Steps); i++ {
			var view op.View
			switch o := m.Program.Steps[i].Op.(type) {
			case *op.ShiftMix:
				view = o.State.Slice(o.StateOff, o.X.Width)
			case *op.WKV7:
				view = o.State.All()
			default:
				continue
			}
			tried++
			r, err := Run(t.Context(), m, ref, &restless{dev.(*vulkan.Prober), view, 1 + i%len(drawn)}, compared)
			if err != nil {
				t.Fatal(err)
			}
			if want := m.Program.Steps[i].Name; r.Verdict != "fail" || *r.FirstBad != want || r.Ops[i].OK || r.Ops[i].Pass != drawPass {
				t.Errorf("a change of %s: %s, %+v", want, r, r.Ops[i])
			}
		}
		if tried == 0 {
			t.Error("no step works on states")
		}
	})
}

// compare runs every kernel, in its op, that prompts and texts run on the device, of one sequence or of several.
func TestMeetsKernels(t *testing.T) {
	m := golden.Demo(t, 0)
	const longest = 256
	eachDevice(t, func(t *testing.T, d device) {
		if d.isCPU() {
			t.Skip("the CPU has no kernels")
		}
		r, err := Run(t.Context(), m, referenceProber(t, m), prober(t, m, d), compared)
		if err != nil {
			t.Fatal(err)
		}
		e, err := d.prober(m, op.Sizes{Slots: 8, Rows: longest, Seqs: 8, Outs: 8})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		}()
		for _, rows := range [][]int{{longest}, {40}, {12}, {3}, {1}, {1, 1, 1}, {1, 1, 1, 1, 1, 1, 1, 1}, {17, 20, 1}} {
			var b op.Batch
			for slot, n := range rows {
				b.Add(slot, make([]int, n), 1)
			}
			if err := e.Stage(&b); err != nil {
				t.Fatal(err)
			}
			for i, s := range m.Program.Steps {
				if err := e.RunSteps(i, i+1); err != nil {
					t.Fatal(err)
				}
				for _, name := range e.(kernelNamer).Kernels() {
					if !slices.Contains(r.Ops[i].Kernels, name) {
						t.Errorf("sequences of %v rows: %s runs %s, compare met %q", rows, s.Name, name, r.Ops[i].Kernels)
					}
				}
			}
		}
	})
}
