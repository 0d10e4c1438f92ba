package opcase

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// Case is one op with its operands, values and batch.
type Case struct {
	Name  string
	Build func(g *Gen) op.Op
	Seqs  []int // rows of each sequence
	Outs  int   // wanted rows of each sequence, from its end
	Perf  bool  // of a size worth measuring
}

// Guard is how many unused elements lie around each operand of a case. It is larger than any load of a kernel, and odd.
const Guard = 77

// Uncovered returns the methods of op.Backend that have no case.
var Uncovered = sync.OnceValue(func() (missing []string) {
	seen := make(map[string]bool)
	for _, c := range Cases() {
		seen[NameOf(c.Build(newGen()))] = true
	}
	b := reflect.TypeFor[op.Backend]()
	for i := range b.NumMethod() {
		if name := b.Method(i).Name; !seen[name] {
			missing = append(missing, name)
		}
	}
	return missing
})

// NameOf returns the name of an op's type, for example "MatMul".
func NameOf(o op.Op) string { return strings.TrimPrefix(reflect.TypeOf(o).String(), "*op.") }

// Setup is a case ready to run.
type Setup struct {
	Prog  *op.Program // of one step
	Sizes op.Sizes    // of executors

	gen    *Gen
	batch  op.Batch
	ref    *oracle
	inputs map[int][]float32 // by operand ID
}

// Setup builds the case. The operands have the same values each time.
func (c *Case) Setup() (*Setup, error) {
	g := newGen()
	o := c.Build(g)
	g.Emit(0, c.Name, o)
	s := &Setup{gen: g, Prog: g.Unchecked()}
	s.Prog.Vocab = vocab
	if err := o.Check(); err != nil {
		return nil, err
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
	s.Sizes = op.Sizes{Slots: len(c.Seqs) + 2, Rows: rows + 3, Seqs: len(c.Seqs) + 1, Outs: len(s.batch.Outs) + 1}
	err := s.judge()
	return s, err
}

// slotOf spreads sequences over slots in no order.
func slotOf(i, n int) int { return (n - i) % (n + 1) }

const vocab = 61

// judge has the oracle draw the inputs and do the op.
func (s *Setup) judge() error {
	s.ref, s.inputs = newOracle(s), map[int][]float32{}
	for _, id := range slices.Sorted(maps.Keys(s.gen.fill)) { // in one order, so that a case has the same values each time
		s.inputs[id] = s.ref.fill(s.Prog.Operands[id], s.gen.fill[id])
	}
	return s.Prog.Steps[0].Op.Apply(s.ref)
}

// Slim drops the oracle's weights, of eight bytes an element. What a case is checked by stays.
func (s *Setup) Slim() {
	for _, o := range s.Prog.Of(op.Weight) {
		delete(s.ref.vals, o.ID)
	}
}

// Start stages the batch on an executor of the case's program, and writes the inputs.
func (s *Setup) Start(e op.Prober) error {
	if err := e.Stage(&s.batch); err != nil {
		return err
	}
	return s.write(e)
}

func (s *Setup) write(e op.Prober) error {
	for id, data := range s.inputs {
		if err := e.Write(s.Prog.Operands[id], data); err != nil {
			return err
		}
	}
	return nil
}

// garbled puts finite garbage into what the batch has of all operands, so that nothing depends on fresh memory being
// zero, and NaN everywhere else, which no kernel may read.
func (s *Setup) garbled(e op.Prober) error {
	scratch, state, err := e.Arenas()
	if err != nil {
		return err
	}
	for _, arena := range [][]float32{scratch, state} {
		for i := range arena {
			arena[i] = float32(math.NaN())
		}
	}
	for _, o := range s.Prog.Operands {
		if o.Kind == op.State {
			for _, q := range s.batch.Seqs {
				garbage(state[e.Plan().Offset[o.ID]+int(q.Slot)*o.Stride():][:o.Stride()], -1e6)
			}
		} else if o.Kind != op.Weight {
			garbage(scratch[e.Plan().Offset[o.ID]:][:s.batch.Count(o.Kind)*o.Stride()], 1e6)
		}
	}
	return e.SetArenas(scratch, state)
}

func garbage(data []float32, scale float32) {
	for i := range data {
		data[i] = scale + float32(i%1013)
	}
}

// Check has an executor of the case's program run the step by run, and judges what it left, whose results are to be as
// accurate as a says. The executor has Guard elements around each operand. An error is the executor's own; what it
// computed wrong is in the result.
func (s *Setup) Check(e op.Prober, a Accuracy, run func() error) (Result, error) {
	var r Result
	if err := e.Stage(&s.batch); err != nil {
		return r, err
	}
	if err := s.garbled(e); err != nil {
		return r, err
	}
	if err := s.write(e); err != nil {
		return r, err
	}
	before, stateBefore, err := e.Arenas()
	if err != nil {
		return r, err
	}
	sum, err := e.WeightSum()
	if err != nil {
		return r, err
	}
	if err := run(); err != nil {
		return r, err
	}
	if err := s.results(e, a, &r); err != nil {
		return r, err
	}
	after, stateAfter, err := e.Arenas()
	if err != nil {
		return r, err
	}
	writable, writableState := s.writable(e.Plan(), len(before), len(stateBefore))
	r.same("scratch", before, after, writable)
	r.same("state", stateBefore, stateAfter, writableState)
	if now, err := e.WeightSum(); err != nil {
		return r, err
	} else if now != sum {
		r.faultf("weights changed")
	}
	return r, nil
}

// results compares what the step wrote with the oracle.
func (s *Setup) results(e op.Prober, a Accuracy, r *Result) (err error) {
	done := make(map[int]bool)
	s.Prog.Steps[0].Op.Operands(func(name string, v op.View, access op.Access) {
		if access&op.Write == 0 || done[v.Of.ID] || err != nil {
			return
		}
		done[v.Of.ID] = true
		var got []float32
		if got, err = e.Read(v.Of); err == nil {
			r.compare(name, got, s.ref.flat(v.Of), a)
		}
	})
	return err
}

// writable marks the elements of scratch and state that the step may write.
func (s *Setup) writable(plan *op.Plan, scratch, state int) (inScratch, inState []bool) {
	inScratch, inState = make([]bool, scratch), make([]bool, state)
	s.Prog.Steps[0].Op.Operands(func(_ string, v op.View, a op.Access) {
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
				mark(inState, int(q.Slot))
			}
			return
		}
		for i := range s.batch.Count(v.Of.Kind) {
			mark(inScratch, i)
		}
	})
	return inScratch, inState
}

// Result is what a case says of an executor.
type Result struct {
	MaxAbs float64  // largest difference from the oracle; math.MaxFloat64 if a result is not finite
	NMSE   float64  // the largest normalised mean square error of an operand, likewise
	Faults []string // what is wrong, nothing if all is right
}

func (r *Result) faultf(format string, args ...any) {
	r.Faults = append(r.Faults, fmt.Sprintf(format, args...))
}

// same wants every element that must not be written as it was.
func (r *Result) same(what string, was, is []float32, writable []bool) {
	for i := range was {
		if !writable[i] && math.Float32bits(was[i]) != math.Float32bits(is[i]) {
			r.faultf("%s element %d, which the step must not write: was %v, is %v", what, i, was[i], is[i])
			return
		}
	}
}
