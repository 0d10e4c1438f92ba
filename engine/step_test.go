package engine

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
)

func randomTokens(rng *rand.Rand, n, vocab int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = rng.IntN(vocab)
	}
	return list
}

// Steps with more sequences, rows and wanted logits than a pass can hold give what one sequence at a time, token by
// token, gives.
func TestStepInManyPasses(t *testing.T) {
	const slots = 4
	m := golden.Tiny(t)
	rng := rand.New(rand.NewPCG(4, 2))
	eachDevice(t, func(t *testing.T, d *Device) {
		// A chunk of 5 rows: an input takes many passes, and with 24 wanted so do the outs.
		many, single := newEngine(t, m, d, Options{Slots: slots, Chunk: 5}), newEngine(t, m, d, Options{Slots: slots, Chunk: 1})
		for range slots {
			newSlot(t, many)
			newSlot(t, single)
		}
		for try := range 8 {
			var in []Input
			for _, s := range rng.Perm(slots)[:1+rng.IntN(slots)] {
				tokens := randomTokens(rng, rng.IntN(25), m.Vocab)
				in = append(in, Input{Slot(s), tokens, rng.IntN(len(tokens) + 1)})
			}
			got := step(t, many, in...)
			for i, x := range in {
				for j := range x.Tokens {
					l := step(t, single, Input{x.Slot, x.Tokens[j : j+1], 1})[0][0]
					at := j - (len(x.Tokens) - x.Wanted)
					if at < 0 {
						continue
					}
					if off := distance(got[i][at], l); !(off < 1e-4) {
						t.Fatalf("try %d, input %d of %d: logits after token %d of %d: off by %g", try, i, len(in), j, len(x.Tokens), off)
					}
				}
			}
		}
		for s := range Slot(slots) {
			a, err := many.State(s)
			if err != nil {
				t.Fatal(err)
			}
			b, err := single.State(s)
			if err != nil {
				t.Fatal(err)
			}
			if off := distance(a, b); !(off < 1e-4) {
				t.Errorf("state of slot %d: off by %g", s, off)
			}
		}
	})
}

// What is wrong with an input is said in one line, and no slot changes; an error from the caller comes back.
func TestStepErrors(t *testing.T) {
	m := golden.Tiny(t)
	e := newEngine(t, m, &Device{}, Options{Slots: 3})
	a, b := newSlot(t, e), newSlot(t, e)
	step(t, e, Input{a, []int{1, 2}, 0}, Input{b, []int{3}, 0})
	before := [][]float32{mustState(t, e, a), mustState(t, e, b)}
	for _, c := range []struct {
		want string
		in   []Input
	}{
		{"slot 2 is not in use", []Input{{2, []int{1}, 1}}},
		{"slot -1 is not in use", []Input{{-1, []int{1}, 1}}},
		{"slot 3 is not in use", []Input{{3, []int{1}, 1}}},
		{"inputs 0 and 1: both in slot 1", []Input{{b, []int{1}, 1}, {b, []int{1}, 1}}},
		{"input 1: want logits of 0 to 1 tokens, got 2", []Input{{a, []int{1}, 1}, {b, []int{1}, 2}}},
		{"input 0: want logits of 0 to 1 tokens, got -1", []Input{{a, []int{1}, -1}}},
		{"input 0: want logits of 0 to 0 tokens, got 1", []Input{{a, nil, 1}}},
		{fmt.Sprintf("input 1: token 1: want an id below %d, got %d", m.Vocab, m.Vocab), []Input{{a, []int{1}, 1}, {b, []int{0, m.Vocab}, 0}}},
		{"input 0: token 0: want an id below", []Input{{a, []int{-1}, 1}}},
		{"input 0: token 0: want an id below", []Input{{a, []int{1<<32 + 1}, 1}}},
	} {
		err := e.Step(c.in, func(int, int, []float32) error { t.Error("called for a bad input"); return nil })
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("want an error with %q, got %v", c.want, err)
		}
	}
	for i, s := range []Slot{a, b} {
		if !slices.Equal(mustState(t, e, s), before[i]) {
			t.Errorf("slot %d changed", s)
		}
	}
	step(t, e)                   // nothing to do
	step(t, e, Input{a, nil, 0}) // no more
	boom := errors.New("boom")
	if err := e.Step([]Input{{a, []int{1}, 1}}, func(int, int, []float32) error { return boom }); !errors.Is(err, boom) {
		t.Errorf("want the caller's error, got %v", err)
	}
}

func mustState(t *testing.T, e *Engine, s Slot) []float32 {
	t.Helper()
	state, err := e.State(s)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// Slots are handed out fresh, at most as many as there are; forks and written states continue like the original.
func TestSlots(t *testing.T) {
	m := golden.Tiny(t)
	eachDevice(t, func(t *testing.T, d *Device) {
		e := newEngine(t, m, d, Options{Slots: 3})
		a := newSlot(t, e)
		fresh := mustState(t, e, a)
		step(t, e, Input{a, []int{5, 6, 7}, 0})
		b, err := e.Fork(a)
		if err != nil || b == a {
			t.Fatalf("fork of slot %d: slot %d, %v", a, b, err)
		}
		c := newSlot(t, e)
		if !slices.Equal(mustState(t, e, c), fresh) {
			t.Error("a new slot is not fresh")
		}
		if err := e.SetState(c, mustState(t, e, a)); err != nil {
			t.Fatal(err)
		}
		want := step(t, e, Input{a, []int{8, 9}, 2})[0]
		for _, s := range []Slot{b, c} {
			for i, l := range step(t, e, Input{s, []int{8, 9}, 2})[0] {
				if !slices.Equal(l, want[i]) {
					t.Errorf("slot %d: logits %d differ", s, i)
				}
			}
		}
		for name, err := range map[string]error{"NewSlot": second(e.NewSlot()), "Fork": second(e.Fork(a))} {
			if !errors.Is(err, ErrNoSlot) || !strings.Contains(err.Error(), "all 3 slots are in use") {
				t.Errorf("%s with no slot free: %v", name, err)
			}
		}
		if err := errors.Join(e.Release(b), e.Reset(a)); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(mustState(t, e, a), fresh) {
			t.Error("a reset slot is not fresh")
		}
		for name, err := range map[string]error{"Fork": second(e.Fork(b)), "Release": e.Release(b), "Reset": e.Reset(b),
			"State": second(e.State(b)), "SetState": e.SetState(b, fresh)} {
			if !errors.Is(err, ErrNotInUse) || !strings.Contains(err.Error(), "slot 1 is not in use") {
				t.Errorf("%s of a released slot: %v", name, err)
			}
		}
		if err := e.SetState(a, fresh[1:]); err == nil || !strings.Contains(err.Error(), "elements, got") {
			t.Errorf("SetState of a state too short: %v", err)
		}
		if got := newSlot(t, e); got != b || !slices.Equal(mustState(t, e, got), fresh) {
			t.Errorf("a slot that was released: %d, want %d, fresh", got, b)
		}
	})
}

func second[T any](_ T, err error) error { return err }

// Decoding allocates nothing on the Vulkan device: not the step, not the sampling.
func TestDecodeAllocatesNothing(t *testing.T) {
	m := golden.Tiny(t)
	e := newEngine(t, m, vulkanDevice(t), Options{Slots: 2})
	p := sample.Default()
	p.Presence, p.Frequency = 0.3, 0.3
	smp, err := sample.New(p, sample.NewVocabulary(m.Vocab, nil))
	if err != nil {
		t.Fatal(err)
	}
	in := []Input{{newSlot(t, e), []int{1}, 1}, {newSlot(t, e), []int{2}, 1}}
	each := func(i, _ int, logits []float32) error {
		id, err := smp.Sample(logits)
		if err != nil {
			return err
		}
		in[i].Tokens[0] = id
		return smp.Accept(id)
	}
	run := func() {
		if err := e.Step(in, each); err != nil {
			t.Fatal(err)
		}
	}
	for range 300 { // the sampler's list of accepted tokens grows until it holds all
		run()
	}
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("%v allocations a step, want none", n)
	}
}
