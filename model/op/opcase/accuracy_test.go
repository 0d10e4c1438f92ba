package opcase

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// bits rounds a number to so many of its leading bits.
func bits(n int) func(f float64) float64 {
	return func(f float64) float64 {
		fraction, exponent := math.Frexp(f)
		return math.Ldexp(math.RoundToEven(math.Ldexp(fraction, n)), exponent-n)
	}
}

// products returns the cases of products of many tokens, which alone may round.
func products() []Case {
	return slices.DeleteFunc(Cases(), func(c Case) bool {
		return !strings.HasPrefix(c.Name, "MatMul/") || c.Perf || slices.Max(c.Seqs) <= 8
	})
}

// computed returns what a case's products are if change changes the weights and the inputs.
func computed(t *testing.T, s *Setup, change func(p *op.Part, w, x []float64)) *oracle {
	t.Helper()
	r := newOracle(s)
	for id, data := range s.inputs {
		for i, v := range data {
			w := s.Prog.Operands[id].Width
			r.vals[id][i/w][i%w] = float64(v)
		}
	}
	o := s.Prog.Steps[0].Op.(*op.MatMul)
	for i := range o.Parts {
		p := &o.Parts[i]
		w := slices.Clone(r.weight(p.W))
		for t := range s.batch.Count(p.X.Of.Kind) {
			x := slices.Clone(r.at(p.X, t))
			change(p, w, x)
			copy(r.at(p.X, t), x)
		}
		r.vals[p.W.ID][0] = w
	}
	if err := o.Apply(r); err != nil {
		t.Fatal(err)
	}
	return r
}

// judged returns what is said of those results.
func judged(s *Setup, r *oracle, a Accuracy) Result {
	var said Result
	s.Prog.Steps[0].Op.Operands(func(name string, v op.View, access op.Access) {
		if access&op.Write == 0 {
			return
		}
		var got []float32
		for _, f := range r.flat(v.Of) {
			got = append(got, float32(f))
		}
		said.compare(name, got, s.ref.flat(v.Of), a)
	})
	return said
}

// What float16 loses is within Float16 in every case of a product, and far beyond Float32. What bfloat16 loses, with
// three bits less, is not, and no more is a product that leaves out an eighth of its inputs.
func TestFloat16(t *testing.T) {
	round := func(n int) func(p *op.Part, w, x []float64) {
		f := bits(n)
		return func(_ *op.Part, w, x []float64) {
			for i := range w {
				w[i] = f(w[i])
			}
			for i := range x {
				x[i] = f(x[i])
			}
		}
	}
	plain := 0
	for _, c := range products() {
		s, err := c.Setup()
		if err != nil {
			t.Fatal(err)
		}
		first := &s.Prog.Steps[0].Op.(*op.MatMul).Parts[0]
		if len(s.ref.weight(first.W))*s.batch.Count(first.X.Of.Kind) > 1<<20 { // which takes long
			continue
		}
		same := judged(s, computed(t, s, func(*op.Part, []float64, []float64) {}), Float32)
		half := judged(s, computed(t, s, round(11)), Float16)
		if len(same.Faults)+len(half.Faults) > 0 {
			t.Errorf("%s: %q, %q", c.Name, same.Faults, half.Faults)
		}
		if first.Act != op.Identity || first.Bias != nil {
			continue // which may take the difference away
		}
		plain++
		if r := judged(s, computed(t, s, round(11)), Float32); len(r.Faults) == 0 {
			t.Errorf("%s: float16 passes for float32: %+v", c.Name, r)
		}
		if r := judged(s, computed(t, s, round(8)), Float16); len(r.Faults) == 0 {
			t.Errorf("%s: bfloat16 passes for float16: %+v", c.Name, r)
		}
		if r := judged(s, computed(t, s, func(_ *op.Part, _, x []float64) { clear(x[:(len(x)+7)/8]) }), Float16); len(r.Faults) == 0 {
			t.Errorf("%s: an eighth may be missing: %+v", c.Name, r)
		}
	}
	if plain < 20 {
		t.Errorf("%d plain products", plain)
	}
}
