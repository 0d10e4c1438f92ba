// Package optest is the conformance suite of op backends: cases for every op, judged by a float64 oracle written from
// the formulas alone. Each case is a program of one step, so a backend's planning, upload and read-back are tested
// with it. The same cases are the backend's benchmarks.
package optest

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// Open makes an executor for a program with guard unused elements around each scratch and state operand.
type Open func(tb testing.TB, prog *op.Program, s op.Sizes, guard int) op.Prober

// Case is one op with its operands, values and batch.
type Case struct {
	Name  string
	Build func(g *Gen) op.Op
	Seqs  []int // rows of each sequence
	Outs  int   // wanted rows of each sequence, from its end
	Perf  bool  // of a size worth measuring
}

// guard is larger than any load of a kernel, and odd.
const guard = 77

// Run tests every case on the executors that open makes.
func Run(t *testing.T, open Open) { RunIf(t, open, func(string) bool { return true }) }

// RunIf tests the cases whose name want accepts; in a short run without those of a useful size. To accept none is a
// failure.
func RunIf(t *testing.T, open Open, want func(name string) bool) {
	if missing := uncovered(); len(missing) > 0 {
		t.Errorf("ops without a conformance case: %v", missing)
	}
	none := true
	for _, c := range Cases() {
		if !(c.Perf && testing.Short()) && want(c.Name) {
			none = false
			t.Run(c.Name, func(t *testing.T) { c.run(t, open) })
		}
	}
	if none {
		t.Error("none of the cases is wanted: nothing is tested")
	}
}

// uncovered returns the methods of op.Backend that have no case.
var uncovered = sync.OnceValue(func() (missing []string) {
	seen := make(map[string]bool)
	for _, c := range Cases() {
		g := newGen()
		seen[strings.TrimPrefix(reflect.TypeOf(c.Build(g)).String(), "*op.")] = true
	}
	b := reflect.TypeFor[op.Backend]()
	for i := range b.NumMethod() {
		if name := b.Method(i).Name; !seen[name] {
			missing = append(missing, name)
		}
	}
	return missing
})

// Gen builds a case's operands and their values.
type Gen struct {
	*op.Builder
	rng    *rand.Rand
	fill   map[int]func() float32 // by operand ID
	nextID int
}

func newGen() *Gen {
	return &Gen{Builder: new(op.Builder), rng: rand.New(rand.NewPCG(7, 11)), fill: make(map[int]func() float32)}
}

// normal returns normally distributed values.
func (g *Gen) normal(scale float64) func() float32 {
	return func() float32 { return float32(g.rng.NormFloat64() * scale) }
}

// uniform returns evenly distributed values.
func (g *Gen) uniform(from, to float64) func() float32 {
	return func() float32 { return float32(from + (to-from)*g.rng.Float64()) }
}

func (g *Gen) name() string {
	g.nextID++
	return fmt.Sprintf("t%d", g.nextID)
}

// In adds scratch or state that holds values before the step.
func (g *Gen) In(k op.Kind, width int, fill func() float32) *op.Operand {
	name := g.name()
	var o *op.Operand
	if k == op.State {
		o = g.State(name, width, 0)
	} else {
		o = g.Scratch(name, k, width)
	}
	g.fill[o.ID] = fill
	return o
}

// Result adds scratch that only the step writes.
func (g *Gen) Result(k op.Kind, width int) *op.Operand { return g.Scratch(g.name(), k, width) }

// Param adds a weight vector.
func (g *Gen) Param(n int, fill func() float32) *op.Operand { return g.Matrix(tensor.F32, fill, n) }

// Matrix adds a weight of a storage type, whose values are rounded to the type. For a block type, fill gives the
// scales.
func (g *Gen) Matrix(typ tensor.Type, fill func() float32, shape ...int) *op.Operand {
	n := 1
	for _, d := range shape {
		n *= d
	}
	if typ.IsBlock() {
		return g.Weight(tensor.FromBytes(g.name(), typ, shape, g.blocks(typ, n, fill)), shape...)
	}
	f := make([]float32, n)
	for i := range f {
		f[i] = fill()
	}
	data := make([]byte, typ.Bytes(n))
	typ.Encode(data, f)
	return g.Weight(tensor.FromBytes(g.name(), typ, shape, data), shape...)
}

// blocks returns blocks of n elements: any bytes, but for scales and minima.
func (g *Gen) blocks(typ tensor.Type, n int, scale func() float32) []byte {
	data := make([]byte, typ.Bytes(n))
	for i := range data {
		data[i] = byte(g.rng.Uint32())
	}
	_, size := typ.Block()
	for block := 0; block < len(data); block += size {
		for _, at := range typ.Halves() {
			binary.LittleEndian.PutUint16(data[block+at:], tensor.FloatToF16(scale()))
		}
	}
	return data
}

// setup is a case ready to run.
type setup struct {
	prog  *op.Program
	gen   *Gen
	batch op.Batch
	sizes op.Sizes
}

func (c *Case) setup(tb testing.TB) *setup {
	g := newGen()
	o := c.Build(g)
	g.Emit(0, c.Name, o)
	s := &setup{gen: g, prog: g.Unchecked()}
	s.prog.Vocab = vocab
	if err := o.Check(); err != nil {
		tb.Fatal(err)
	}
	rows := 0
	for i, n := range c.Seqs {
		tokens := make([]int, n)
		for j := range tokens {
			tokens[j] = g.rng.IntN(vocab)
		}
		s.batch.Add(slotOf(i, len(c.Seqs)), tokens, c.Outs)
		rows += n
	}
	s.sizes = op.Sizes{Slots: len(c.Seqs) + 2, Rows: rows + 3, Seqs: len(c.Seqs) + 1, Outs: len(s.batch.Outs) + 1}
	return s
}

// slotOf spreads sequences over slots in no order.
func slotOf(i, n int) int { return (n - i) % (n + 1) }

const vocab = 61

func (c *Case) run(t *testing.T, open Open) {
	s := c.setup(t)
	e := open(t, s.prog, s.sizes, guard)
	ref := newOracle(s)
	if err := e.Stage(&s.batch); err != nil {
		t.Fatal(err)
	}
	s.fillArenas(t, e)
	for _, id := range slices.Sorted(maps.Keys(s.gen.fill)) { // in one order, so that a case has the same values each time
		o := s.prog.Operands[id]
		data := ref.fill(o, s.gen.fill[id])
		if err := e.Write(o, data); err != nil {
			t.Fatal(err)
		}
	}
	scratch, state, err := e.Arenas()
	if err != nil {
		t.Fatal(err)
	}
	sum, err := e.WeightSum()
	if err != nil {
		t.Fatal(err)
	}
	if err := e.RunStep(0); err != nil {
		t.Fatal(err)
	}
	if err := s.prog.Steps[0].Op.Apply(ref); err != nil {
		t.Fatal(err)
	}
	s.checkResults(t, e, ref)
	s.checkUntouched(t, e, scratch, state)
	if after, err := e.WeightSum(); err != nil || after != sum {
		t.Errorf("weights changed (%v)", err)
	}
}

// fillArenas puts finite garbage into what the batch has of all operands, so that nothing depends on fresh memory being
// zero, and NaN everywhere else, which no kernel may read.
func (s *setup) fillArenas(t *testing.T, e op.Prober) {
	scratch, state, err := e.Arenas()
	if err != nil {
		t.Fatal(err)
	}
	for _, arena := range [][]float32{scratch, state} {
		for i := range arena {
			arena[i] = float32(math.NaN())
		}
	}
	for _, o := range s.prog.Operands {
		if o.Kind == op.State {
			for _, q := range s.batch.Seqs {
				garbage(state[e.Plan().Offset[o.ID]+int(q.Slot)*o.Stride():][:o.Stride()], -1e6)
			}
		} else if o.Kind != op.Weight {
			garbage(scratch[e.Plan().Offset[o.ID]:][:s.batch.Count(o.Kind)*o.Stride()], 1e6)
		}
	}
	if err := e.SetArenas(scratch, state); err != nil {
		t.Fatal(err)
	}
}

func garbage(data []float32, scale float32) {
	for i := range data {
		data[i] = scale + float32(i%1013)
	}
}

// checkResults compares what the step wrote with the oracle.
func (s *setup) checkResults(t *testing.T, e op.Prober, ref *oracle) {
	done := make(map[int]bool)
	s.prog.Steps[0].Op.Operands(func(name string, v op.View, a op.Access) {
		if a&op.Write == 0 || done[v.Of.ID] {
			return
		}
		done[v.Of.ID] = true
		got, err := e.Read(v.Of)
		if err != nil {
			t.Fatal(err)
		}
		Compare(t, name, got, ref.flat(v.Of))
	})
}

// checkUntouched wants every element outside the written views as it was.
func (s *setup) checkUntouched(t *testing.T, e op.Prober, scratch, state []float32) {
	after, stateAfter, err := e.Arenas()
	if err != nil {
		t.Fatal(err)
	}
	plan := e.Plan()
	writable, writableState := make([]bool, len(scratch)), make([]bool, len(state))
	s.prog.Steps[0].Op.Operands(func(_ string, v op.View, a op.Access) {
		if a&op.Write == 0 {
			return
		}
		mark := func(list []bool, i int) {
			at := plan.Offset[v.Of.ID] + i*v.Of.Stride() + v.Off
			for j := range v.Len {
				list[at+j] = true
			}
		}
		if v.Of.Kind == op.State {
			for _, q := range s.batch.Seqs {
				mark(writableState, int(q.Slot))
			}
			return
		}
		for i := range s.batch.Count(v.Of.Kind) {
			mark(writable, i)
		}
	})
	same := func(what string, a, b []float32, writable []bool) {
		for i := range a {
			if !writable[i] && math.Float32bits(a[i]) != math.Float32bits(b[i]) {
				t.Fatalf("%s element %d, which the step must not write: was %v, is %v", what, i, a[i], b[i])
			}
		}
	}
	same("scratch", scratch, after, writable)
	same("state", state, stateAfter, writableState)
}

// Compare wants got within rounding of want: no element further than 1e-5 of the largest, a normalised mean square
// error below 1e-10, and nothing that is not finite.
func Compare(t testing.TB, what string, got []float32, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: want %d elements, got %d", what, len(want), len(got))
		return
	}
	var largest, sum, errSum, worst float64
	at := 0
	for i, w := range want {
		d := math.Abs(float64(got[i]) - w)
		if !tensor.IsFinite(got[i]) || math.IsNaN(w) || math.IsInf(w, 0) {
			t.Errorf("%s: element %d: want %v, got %v", what, i, w, got[i])
			return
		}
		if d > worst {
			worst, at = d, i
		}
		largest = max(largest, math.Abs(w))
		sum += w * w
		errSum += d * d
	}
	if limit := 1e-5*largest + 1e-9; worst > limit {
		t.Errorf("%s: element %d: want %v, got %v: off by %.3g, at most %.3g", what, at, want[at], got[at], worst, limit)
	}
	if nmse := errSum / (sum + 1e-30); nmse > 1e-10 && errSum > 1e-16 {
		t.Errorf("%s: normalised mean square error %.3g, at most 1e-10", what, nmse)
	}
}
