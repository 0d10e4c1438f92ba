package golden

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// sizes of the executors that the properties are tried on: small, so that limits are met.
var sizes = op.Sizes{Slots: 7, Rows: 41, Seqs: 6, Outs: 41}

// rounding bounds the difference between two ways to the same result, as a share of the largest value: kernels that
// sum in another order differ by some 1e-7 an op, which layers and tokens add up.
const rounding = 2e-5

// Properties tries on random models what holds for every executor, whatever its arithmetic: that chunks, batches,
// order and neighbours do not matter, and that state is all there is of a sequence.
func Properties(t *testing.T, open Open) { tryProperties(t, open, rounding) }

// ExactProperties tries the same of an executor whose results never depend on chunks and batches, bit for bit.
func ExactProperties(t *testing.T, open Open) { tryProperties(t, open, 0) }

func tryProperties(t *testing.T, open Open, tolerance float64) {
	for i, s := range synthetics {
		t.Run(s.String(), func(t *testing.T) {
			m := Parse(t, s.tensors(uint64(i+1)))
			p := &properties{m: m, e: open(t, m, sizes), rng: rand.New(rand.NewPCG(uint64(i), 99)), tolerance: tolerance}
			for _, c := range []struct {
				name string
				try  func(*testing.T)
			}{
				{"chunks", p.chunks}, {"batches", p.batches}, {"order", p.order}, {"isolation", p.isolation},
				{"fork", p.fork}, {"state", p.state}, {"reset", p.reset}, {"wanted", p.wanted}, {"bad batches", p.badBatches},
				{"bad states", p.badStates},
			} {
				t.Run(c.name, c.try)
			}
		})
	}
}

type properties struct {
	m   *model.Model
	e   op.Executor
	rng *rand.Rand

	tolerance float64 // as a share of the largest value; 0: every bit is the same
}

// wantAlike compares two ways to the same result.
func (p *properties) wantAlike(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if p.tolerance == 0 {
		wantSame(t, what, got, want)
		return
	}
	wantClose(t, what, got, want, p.tolerance)
}

func (p *properties) tokens(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = p.rng.IntN(p.m.Vocab)
	}
	return list
}

// seq is a sequence's share of a batch.
type seq struct {
	slot   int
	tokens []int
	wanted int
}

// forward runs one batch and returns copies of all logits, by sequence and wanted row.
func (p *properties) forward(t *testing.T, list ...seq) [][][]float32 {
	t.Helper()
	var b op.Batch
	for _, s := range list {
		b.Add(s.slot, s.tokens, s.wanted)
	}
	if err := p.e.Forward(&b); err != nil {
		t.Fatal(err)
	}
	all := make([][][]float32, len(list))
	at := 0
	for i, s := range list {
		for range s.wanted {
			all[i] = append(all[i], slices.Clone(p.e.Logits(at)))
			at++
		}
	}
	return all
}

func (p *properties) read(t *testing.T, slot int) []float32 {
	t.Helper()
	state := make([]float32, p.m.Program.StateLen())
	if err := p.e.ReadState(slot, state); err != nil {
		t.Fatal(err)
	}
	return state
}

func (p *properties) resetAll(t *testing.T) {
	t.Helper()
	for slot := range sizes.Slots {
		must(t, p.e.ResetState(slot))
	}
}

// scatter gives every slot a different past.
func (p *properties) scatter(t *testing.T) {
	t.Helper()
	p.resetAll(t)
	for slot := range sizes.Slots {
		p.forward(t, seq{slot, p.tokens(2 + slot), 0})
	}
}

func (p *properties) states(t *testing.T) [][]float32 {
	t.Helper()
	var all [][]float32
	for slot := range sizes.Slots {
		all = append(all, p.read(t, slot))
	}
	return all
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// chunks: any chunking of the same tokens gives the same logits and state.
func (p *properties) chunks(t *testing.T) {
	tokens := p.tokens(sizes.Rows)
	must(t, p.e.ResetState(0))
	want := slices.Concat(Logits(t, p.e, 0, tokens, 1)...)
	wantState := p.read(t, 0)
	tries := 6
	if testing.Short() {
		tries = 3
	}
	for try := range tries {
		must(t, p.e.ResetState(0))
		var got []float32
		var cuts []int
		for at := 0; at < len(tokens); {
			n := min(1+p.rng.IntN(1+len(tokens)>>(try%4)), len(tokens)-at)
			cuts = append(cuts, n)
			for _, l := range p.forward(t, seq{0, tokens[at : at+n], n})[0] {
				got = append(got, l...)
			}
			at += n
		}
		p.wantAlike(t, fmt.Sprintf("logits in chunks of %v", cuts), got, want)
		p.wantAlike(t, fmt.Sprintf("state after chunks of %v", cuts), p.read(t, 0), wantState)
	}
}

// ragged returns sequences of unequal lengths in shuffled slots, all logits wanted.
func (p *properties) ragged(n int) []seq {
	slots := p.rng.Perm(sizes.Slots)
	list := make([]seq, n)
	left := sizes.Rows - n
	for i := range list {
		extra := p.rng.IntN(left/2 + 1)
		left -= extra
		list[i] = seq{slots[i], p.tokens(1 + extra), 1 + extra}
	}
	return list
}

// numbers returns the numbers of sequences to try, from least on: in a short run the least and the most.
func numbers(least int) (list []int) {
	for n := least; n <= sizes.Seqs; n++ {
		if !testing.Short() || n == least || n == sizes.Seqs {
			list = append(list, n)
		}
	}
	return list
}

// batches: a sequence in a batch gives what it gives alone.
func (p *properties) batches(t *testing.T) {
	for _, n := range numbers(2) {
		list := p.ragged(n)
		p.scatter(t)
		before := p.states(t)
		got := p.forward(t, list...)
		after := p.states(t)
		for i, s := range list {
			must(t, p.e.WriteState(s.slot, before[s.slot]))
			alone := p.forward(t, s)[0]
			p.wantAlike(t, fmt.Sprintf("logits of sequence %d of %d", i, n), slices.Concat(got[i]...), slices.Concat(alone...))
			p.wantAlike(t, fmt.Sprintf("state of sequence %d of %d", i, n), after[s.slot], p.read(t, s.slot))
		}
	}
}

// order: the order of a batch's sequences does not matter.
func (p *properties) order(t *testing.T) {
	list := p.ragged(sizes.Seqs)
	p.scatter(t)
	before := p.states(t)
	want := p.forward(t, list...)
	wantStates := p.states(t)
	for slot, s := range before {
		must(t, p.e.WriteState(slot, s))
	}
	perm := p.rng.Perm(len(list))
	shuffled := make([]seq, len(list))
	for i, from := range perm {
		shuffled[i] = list[from]
	}
	got := p.forward(t, shuffled...)
	for i, from := range perm {
		p.wantAlike(t, fmt.Sprintf("logits of sequence %d as number %d", from, i),
			slices.Concat(got[i]...), slices.Concat(want[from]...))
	}
	for slot, s := range p.states(t) {
		p.wantAlike(t, fmt.Sprintf("state of slot %d", slot), s, wantStates[slot])
	}
}

// isolation: a batch leaves the slots that are not in it as they are, bit for bit, and changes those that are.
func (p *properties) isolation(t *testing.T) {
	for _, n := range numbers(1) {
		list := p.ragged(n)
		p.scatter(t)
		before := p.states(t)
		p.forward(t, list...)
		for slot, after := range p.states(t) {
			in := slices.ContainsFunc(list, func(s seq) bool { return s.slot == slot })
			if !in {
				wantSame(t, fmt.Sprintf("slot %d, outside a batch of %d", slot, n), after, before[slot])
			} else if slices.Equal(after, before[slot]) {
				t.Fatalf("slot %d of a batch of %d did not change", slot, n)
			}
		}
	}
}

// fork: a copy of a slot has the same future, bit for bit, and neither disturbs the other.
func (p *properties) fork(t *testing.T) {
	p.scatter(t)
	tokens := p.tokens(9)
	must(t, p.e.CopyState(5, 2))
	start := p.read(t, 2)
	wantSame(t, "copy", p.read(t, 5), start)
	got := p.forward(t, seq{5, tokens, 9})[0]
	wantSame(t, "the original", p.read(t, 2), start)
	want := p.forward(t, seq{2, tokens, 9})[0]
	wantSame(t, "logits of the copy", slices.Concat(got...), slices.Concat(want...))
	wantSame(t, "state of the copy", p.read(t, 5), p.read(t, 2))
	must(t, p.e.CopyState(2, 2))
	wantSame(t, "a copy onto itself", p.read(t, 2), p.read(t, 5))
}

// state: what is read from a slot and written to another continues bit for bit.
func (p *properties) state(t *testing.T) {
	p.scatter(t)
	tokens := p.tokens(7)
	saved := p.read(t, 3)
	want := p.forward(t, seq{3, tokens, 7})[0]
	must(t, p.e.WriteState(0, saved))
	wantSame(t, "written state", p.read(t, 0), saved)
	got := p.forward(t, seq{0, tokens, 7})[0]
	wantSame(t, "logits from a written state", slices.Concat(got...), slices.Concat(want...))
	wantSame(t, "state from a written state", p.read(t, 0), p.read(t, 3))
}

// reset: a reset slot is like a fresh one.
func (p *properties) reset(t *testing.T) {
	p.scatter(t)
	must(t, p.e.ResetState(4))
	initial, err := p.m.Program.InitialState()
	must(t, err)
	wantSame(t, "state after a reset", p.read(t, 4), initial)
}

// wanted: which logits are asked for changes neither them nor the state.
func (p *properties) wanted(t *testing.T) {
	const n = 11
	p.scatter(t)
	tokens, saved := p.tokens(n), p.read(t, 1)
	all := p.forward(t, seq{1, tokens, n})[0]
	after := p.read(t, 1)
	for _, wanted := range []int{0, 1, 2, n - 1} {
		must(t, p.e.WriteState(1, saved))
		got := p.forward(t, seq{1, tokens, wanted})[0]
		for i, l := range got {
			p.wantAlike(t, fmt.Sprintf("logits %d of %d wanted", i, wanted), l, all[n-wanted+i])
		}
		wantSame(t, fmt.Sprintf("state with %d wanted", wanted), p.read(t, 1), after)
	}
}
