package golden

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// badBatches: a batch that is refused leaves every slot as it was.
func (p *properties) badBatches(t *testing.T) {
	p.scatter(t)
	before := p.states(t)
	for _, c := range []struct {
		name, want string
		make       func(b *op.Batch)
	}{
		{"empty", "at least one row", func(*op.Batch) {}},
		{"token", fmt.Sprintf("token below %d", p.m.Vocab), func(b *op.Batch) { b.Add(0, []int{1, p.m.Vocab}, 1) }},
		{"negative token", fmt.Sprintf("token below %d", p.m.Vocab), func(b *op.Batch) { b.Add(0, []int{-1}, 1) }},
		{"slot", fmt.Sprintf("slot below %d", sizes.Slots), func(b *op.Batch) { b.Add(sizes.Slots, []int{1}, 1) }},
		{"negative slot", fmt.Sprintf("slot below %d", sizes.Slots), func(b *op.Batch) { b.Add(-1, []int{1}, 1) }},
		{"slot twice", "both in slot 2", func(b *op.Batch) { b.Add(2, []int{1}, 1); b.Add(2, []int{1}, 1) }},
		{"rows", fmt.Sprintf("at most %d rows", sizes.Rows), func(b *op.Batch) { b.Add(0, p.tokens(sizes.Rows+1), 1) }},
		{"sequences", fmt.Sprintf("at most %d sequences", sizes.Seqs), func(b *op.Batch) {
			for slot := range sizes.Slots {
				b.Add(slot, []int{1}, 1)
			}
		}},
	} {
		var b op.Batch
		c.make(&b)
		wantError(t, c.name, p.e.Forward(&b), c.want)
	}
	for slot, after := range p.states(t) {
		wantSame(t, fmt.Sprintf("slot %d after refused batches", slot), after, before[slot])
	}
}

// badStates: lengths and slots that do not exist are refused, and nothing changes.
func (p *properties) badStates(t *testing.T) {
	p.scatter(t)
	before := p.states(t)
	n := p.m.Program.StateLen()
	length := fmt.Sprintf("want %d elements", n)
	for _, bad := range []int{0, n - 1, n + 1} {
		wantError(t, "ReadState", p.e.ReadState(0, make([]float32, bad)), length)
		wantError(t, "WriteState", p.e.WriteState(0, make([]float32, bad)), length)
	}
	slot := fmt.Sprintf("want a slot below %d", sizes.Slots)
	for _, bad := range []int{-1, sizes.Slots, 1 << 40} {
		wantError(t, "ReadState", p.e.ReadState(bad, make([]float32, n)), slot)
		wantError(t, "WriteState", p.e.WriteState(bad, make([]float32, n)), slot)
		wantError(t, "ResetState", p.e.ResetState(bad), slot)
		wantError(t, "CopyState to", p.e.CopyState(bad, 0), slot)
		wantError(t, "CopyState from", p.e.CopyState(0, bad), slot)
		wantError(t, "CopyState onto itself", p.e.CopyState(bad, bad), slot)
	}
	for i, after := range p.states(t) {
		wantSame(t, fmt.Sprintf("slot %d after refused calls", i), after, before[i])
	}
}

// wantError wants an error of one line that contains a text.
func wantError(t *testing.T, what string, err error, want string) {
	t.Helper()
	switch {
	case err == nil:
		t.Errorf("%s: want an error with %q, got none", what, want)
	case !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n"):
		t.Errorf("%s: want an error of one line with %q, got %q", what, want, err)
	}
}

// Closed closes an executor and wants everything after it refused, not to crash; a second Close does nothing.
func Closed(t *testing.T, open Open) {
	m := Parse(t, synthetics[1].tensors(1))
	e := open(t, m, sizes)
	var b op.Batch
	b.Add(0, []int{1, 2}, 1)
	must(t, e.Forward(&b))
	must(t, e.Close())
	state := make([]float32, m.Program.StateLen())
	for name, err := range map[string]error{
		"Forward": e.Forward(&b), "ReadState": e.ReadState(0, state), "WriteState": e.WriteState(0, state),
		"ResetState": e.ResetState(0), "CopyState": e.CopyState(1, 0),
	} {
		wantError(t, name, err, "closed")
	}
	if p, ok := e.(op.Prober); ok {
		closedProber(t, p, m.Program)
	}
	must(t, e.Close())
}

func closedProber(t *testing.T, p op.Prober, prog *op.Program) {
	x := prog.Of(op.Row)[0]
	_, readErr := p.Read(x)
	_, weightErr := p.Read(prog.Of(op.Weight)[0])
	_, _, arenasErr := p.Arenas()
	_, sumErr := p.WeightSum()
	for name, err := range map[string]error{
		"Stage": p.Stage(&op.Batch{}), "RunStep": p.RunStep(0), "RunSteps": p.RunSteps(0, 1), "Read": readErr, "Read of a weight": weightErr,
		"Write": p.Write(x, make([]float32, 2*x.Width)), "Arenas": arenasErr, "WeightSum": sumErr,
		"SetArenas": p.SetArenas(make([]float32, p.Plan().Scratch), make([]float32, p.Plan().State)),
	} {
		wantError(t, name, err, "closed")
	}
}

// NotFinite gives models with a NaN or an infinity among the weights to open, which has to name the tensor, as the file
// has it, and the element.
func NotFinite(t *testing.T, open func(*op.Program, op.Sizes) error) {
	rng := rand.New(rand.NewPCG(8, 9))
	bad := []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))}
	for i, s := range synthetics {
		tensors := s.tensors(uint64(i))
		for j, at := range rng.Perm(len(tensors))[:12] {
			x := tensors[at]
			f, err := x.Floats()
			must(t, err)
			element := rng.IntN(len(f))
			f[element] = bad[j%len(bad)]
			data := make([]byte, x.Type.Bytes(len(f)))
			x.Type.Encode(data, f)
			list := slices.Clone(tensors)
			list[at] = tensor.FromBytes(x.Name, x.Type, x.Shape, data)
			var got *op.NotFiniteError
			if err := open(Parse(t, list).Program, sizes); !errors.As(err, &got) || got.Tensor != x.Name || got.Index != element {
				t.Errorf("%v in %s at %d: got error %v", f[element], x, element, err)
			}
		}
	}
}

// Progress wants loading to report growing counts that end at the weights' size, and to end when it is told to.
func Progress(t *testing.T, load func(prog *op.Program, s op.Sizes, progress func(done, all int64) error) error) {
	for i, s := range synthetics {
		m := Parse(t, s.tensors(uint64(i)))
		var size, last int64
		for _, w := range m.Program.Of(op.Weight) {
			size += int64(w.Source.Type.Bytes(w.Width))
		}
		err := load(m.Program, sizes, func(done, all int64) error {
			if done <= last || done > all || all != size {
				t.Errorf("%s: progress %d of %d after %d, the weights have %d bytes", s, done, all, last, size)
			}
			last = done
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if last != size {
			t.Errorf("%s: progress ended at %d of %d bytes", s, last, size)
		}
		enough, calls := errors.New("enough"), 0
		err = load(m.Program, sizes, func(int64, int64) error {
			if calls++; calls == 3 {
				return enough
			}
			return nil
		})
		if !errors.Is(err, enough) || calls != 3 {
			t.Errorf("%s: told to end at the third weight, loading went on to %d and gave %v", s, calls, err)
		}
	}
}
