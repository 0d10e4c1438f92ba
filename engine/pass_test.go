package engine

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
)

func randomTokens(rng *rand.Rand, n, vocab int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = rng.IntN(vocab)
	}
	return list
}

// Passes with more sequences, rows and wanted logits than a pass can hold give what one sequence at a time, token by
// token, gives.
func TestFeedInManyPasses(t *testing.T) {
	const slots = 4
	m := golden.Tiny(t)
	rng := rand.New(rand.NewPCG(4, 2))
	eachDevice(t, func(t *testing.T, d *device.Device) {
		// A chunk of 5 rows: an input takes many passes, and with 24 wanted so do the outs.
		many, single := newEngine(t, m, d, Options{Slots: slots, Chunk: 5}), newEngine(t, m, d, Options{Slots: slots, Chunk: 1})
		var a, b [slots]*Seq
		for i := range slots {
			a[i], b[i] = newSeq(t, many), newSeq(t, single)
		}
		for try := range 8 {
			var in []input
			var alone []*Seq
			for _, s := range rng.Perm(slots)[:1+rng.IntN(slots)] {
				tokens := randomTokens(rng, 1+rng.IntN(25), m.Vocab)
				in, alone = append(in, input{a[s], tokens, rng.IntN(len(tokens) + 1)}), append(alone, b[s])
			}
			got := step(t, many, in...)
			for i, x := range in {
				for j := range x.tokens {
					l := step(t, single, input{alone[i], x.tokens[j : j+1], 1})[0][0]
					at := j - (len(x.tokens) - x.wanted)
					if at < 0 {
						continue
					}
					if off := distance(got[i][at], l); !(off < 1e-4) {
						t.Fatalf("try %d, input %d of %d: logits after token %d of %d: off by %g", try, i, len(in), j, len(x.tokens), off)
					}
				}
			}
		}
		for i := range slots {
			if off := distance(mustState(t, many, a[i]), mustState(t, single, b[i])); !(off < 1e-4) {
				t.Errorf("state of sequence %d: off by %g", i, off)
			}
		}
	})
}

// What is wrong with a row is its own: it is said in one line, its state stays, and the others go on as they would.
func TestRowErrors(t *testing.T) {
	m := golden.Tiny(t)
	other := newSeq(t, newEngine(t, m, &device.Device{}, Options{}))
	boom := errors.New("boom")
	eachDevice(t, func(t *testing.T, d *device.Device) {
		e := newEngine(t, m, d, Options{Slots: 4, Chunk: 8})
		good, bad, gone := newSeq(t, e), newSeq(t, e), newSeq(t, e)
		gone.Release()
		stale := gone
		again := newSeq(t, e) // in the slot that was given back
		if again.slot != stale.slot {
			t.Fatalf("slot %d, want %d again", again.slot, stale.slot)
		}
		step(t, e, input{bad, []int{1, 2}, 0})
		before := mustState(t, e, bad)
		smp, few := newSampler(t, sample.Params{}, e), new(sample.Sampler)
		none := newSampler(t, sample.Params{}, e)
		if err := none.SetMask(make([]uint64, (m.Vocab+63)/64)); err != nil {
			t.Fatal(err)
		}
		each := func(int, []float32) error { return nil }
		want := step(t, e, input{good, []int{3, 4}, 1})[0][0]
		for _, c := range []struct {
			want string
			row  Row
		}{
			{"it was released", Row{Seq: stale, Tokens: []int{1}}},
			{"got none: not in use", Row{Tokens: []int{1}}},
			{"got another's", Row{Seq: other, Tokens: []int{1}}},
			{"given twice", Row{Seq: good, Tokens: []int{1}}},
			{"want at least one token", Row{Seq: bad}},
			{"want logits after 1 to 1 tokens, got 2", Row{Seq: bad, Tokens: []int{1}, Want: WantLogits, Last: 2, Each: each}},
			{"want logits after 1 to 1 tokens, got -1", Row{Seq: bad, Tokens: []int{1}, Want: WantLogits, Last: -1, Each: each}},
			{"want a function", Row{Seq: bad, Tokens: []int{1}, Want: WantLogits}},
			{"got want 7", Row{Seq: bad, Tokens: []int{1}, Want: 7}},
			{fmt.Sprintf("token 1: want an id below %d, got %d", m.Vocab, m.Vocab), Row{Seq: bad, Tokens: []int{0, m.Vocab}}},
			{"token 0: want an id below", Row{Seq: bad, Tokens: []int{-1}}},
			{"token 0: want an id below", Row{Seq: bad, Tokens: []int{1<<32 + 1}}},
			{"want a sampler of", Row{Seq: bad, Tokens: []int{1}, Want: WantDraw}},
			{"want a sampler of", Row{Seq: bad, Tokens: []int{1}, Prompt: true, Sampler: few}},
			{"want 0 or more alternatives", Row{Seq: bad, Tokens: []int{1}, Want: WantDraw, Sampler: smp, Top: -1}},
		} {
			setState(t, e, good, nil)
			var got []float32
			rows := []Row{{Seq: good, Tokens: []int{3, 4}, Want: WantLogits, Each: func(_ int, l []float32) error {
				got = slices.Clone(l)
				return nil
			}}, c.row}
			if err := e.Pass(t.Context(), rows); err != nil {
				t.Fatal(err)
			}
			if err := rows[1].Err; err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") || rows[1].Taken != 0 {
				t.Errorf("want an error with %q, got %v", c.want, err)
			}
			if rows[0].Err != nil || rows[0].Taken != 2 || !slices.Equal(got, want) {
				t.Errorf("%s: the other row: %v, %d taken", c.want, rows[0].Err, rows[0].Taken)
			}
		}
		if !slices.Equal(mustState(t, e, bad), before) {
			t.Error("a sequence of bad rows changed")
		}
		// What fails after the pass: the tokens were fed, and nothing was drawn.
		for want, row := range map[string]Row{
			"boom":                    {Seq: bad, Tokens: []int{1}, Want: WantLogits, Each: func(int, []float32) error { return boom }},
			"want one id that may be": {Seq: bad, Tokens: []int{1}, Want: WantDraw, Sampler: none},
		} {
			rows := []Row{row, {Seq: again, Tokens: []int{1}, Want: WantDraw, Sampler: smp}}
			position := smp.Position()
			if err := e.Pass(t.Context(), rows); err != nil {
				t.Fatal(err)
			}
			if rows[0].Err == nil || !strings.Contains(rows[0].Err.Error(), want) || rows[0].ID != -1 || rows[0].Taken != 1 || none.Position() != 0 {
				t.Errorf("want an error with %q, got %v, id %d", want, rows[0].Err, rows[0].ID)
			}
			if rows[1].Err != nil || rows[1].ID < 0 || smp.Position() != position+1 {
				t.Errorf("%s: the other row: %v, id %d", want, rows[1].Err, rows[1].ID)
			}
		}
		if err := e.Pass(t.Context(), nil); err != nil {
			t.Errorf("no rows: %v", err)
		}
	})
}

// A pass takes rows in their order until it is full, each to its end but the last; what is left is the next one's.
func TestPassFull(t *testing.T) {
	m := golden.Tiny(t)
	eachDevice(t, func(t *testing.T, d *device.Device) {
		e := newEngine(t, m, d, Options{Slots: 4, Seqs: 3, Chunk: 8})
		single := newEngine(t, m, d, Options{Slots: 4, Chunk: 8})
		tokens := [][]int{{1, 2}, {3, 4, 5, 6, 7, 8, 9, 10, 11}, {12}, {13}}
		rows := make([]Row, len(tokens))
		for i := range rows {
			rows[i] = Row{Seq: newSeq(t, e), Tokens: tokens[i], Want: WantDraw, Sampler: newSampler(t, sample.Params{}, e)}
		}
		if err := e.Pass(t.Context(), rows); err != nil {
			t.Fatal(err)
		}
		for i, want := range []int{2, 6, 0, 0} {
			if rows[i].Taken != want || rows[i].Err != nil || (rows[i].ID >= 0) != (i == 0) {
				t.Errorf("row %d: %d taken, id %d, %v, want %d", i, rows[i].Taken, rows[i].ID, rows[i].Err, want)
			}
		}
		rows[1].Tokens = rows[1].Tokens[6:]
		next := rows[1:]
		if err := e.Pass(t.Context(), next); err != nil {
			t.Fatal(err)
		}
		for i := range next {
			s := newSeq(t, single)
			logits := step(t, single, input{s, tokens[i+1], 1})[0][0]
			s.Release()
			want, err := newSampler(t, sample.Params{}, e).Sample(logits)
			if err != nil || next[i].ID != want {
				t.Errorf("row %d: drew %d, want %d (%v), %v", i+1, next[i].ID, want, err, next[i].Err)
			}
		}
	})
}

// Rows that feed prompts, draw, and show logits, with log-probabilities and alternatives, are what each is alone.
func TestPassOutcomes(t *testing.T) {
	m := golden.Tiny(t)
	eachDevice(t, func(t *testing.T, d *device.Device) {
		e := newEngine(t, m, d, Options{Slots: 4, Chunk: 32})
		prompt := []int{5, 9, 5}
		p := decodeSettings()[0]
		want := newSampler(t, p, e)
		if err := want.AcceptPrompt(prompt); err != nil {
			t.Fatal(err)
		}
		alone := newSeq(t, e)
		logits := step(t, e, input{alone, prompt, 1})[0][0]
		id, err := want.Sample(logits)
		if err != nil {
			t.Fatal(err)
		}
		logprob, top, err := sample.Logprobs(logits, id, 3, nil)
		if err != nil {
			t.Fatal(err)
		}
		var positions []int
		rows := []Row{
			{Seq: newSeq(t, e), Tokens: prompt, Want: WantDraw, Sampler: newSampler(t, p, e), Prompt: true, Logprobs: true, Top: 3},
			{Seq: newSeq(t, e), Tokens: []int{1, 2, 3, 4}, Want: WantLogits, Last: 3, Each: func(pos int, l []float32) error {
				positions = append(positions, pos)
				if len(l) != m.Vocab {
					t.Errorf("%d logits", len(l))
				}
				return nil
			}},
			{Seq: newSeq(t, e), Tokens: []int{7}},
		}
		if err := e.Pass(t.Context(), rows); err != nil {
			t.Fatal(err)
		}
		r := &rows[0]
		if r.Err != nil || r.ID != id || math.Abs(float64(r.Logprob-logprob)) > 1e-4 || len(r.Alternatives) != 3 {
			t.Errorf("drew %d at %v, %d alternatives (%v), want %d at %v", r.ID, r.Logprob, len(r.Alternatives), r.Err, id, logprob)
		}
		for i, c := range r.Alternatives {
			if c.ID != top[i].ID || math.Abs(float64(c.Logprob-top[i].Logprob)) > 1e-4 {
				t.Errorf("alternative %d: %+v, want %+v", i, c, top[i])
			}
		}
		if err := want.Accept(id); err != nil {
			t.Fatal(err)
		}
		for id := range m.Vocab {
			a, _ := r.Sampler.Count(id)
			if b, _ := want.Count(id); a != b {
				t.Errorf("count of %d: %v, want %v", id, a, b)
			}
		}
		if !slices.Equal(positions, []int{1, 2, 3}) || rows[2].Taken != 1 || rows[2].ID != -1 {
			t.Errorf("logits after %v; %+v", positions, rows[2])
		}
	})
}

// Sequences begin fresh, as many as there are slots; forks and restored states continue like the original.
func TestSequences(t *testing.T) {
	m := golden.Tiny(t)
	eachDevice(t, func(t *testing.T, d *device.Device) {
		e := newEngine(t, m, d, Options{Slots: 3})
		a := newSeq(t, e)
		fresh := mustState(t, e, a)
		step(t, e, input{a, []int{5, 6, 7}, 0})
		b, err := e.Fork(a)
		if err != nil {
			t.Fatal(err)
		}
		c, err := e.NewSeq(mustState(t, e, a))
		if err != nil {
			t.Fatal(err)
		}
		want := step(t, e, input{a, []int{8, 9}, 2})[0]
		for i, s := range []*Seq{b, c} {
			for j, l := range step(t, e, input{s, []int{8, 9}, 2})[0] {
				if !slices.Equal(l, want[j]) {
					t.Errorf("sequence %d: logits %d differ", i, j)
				}
			}
		}
		for name, err := range map[string]error{"NewSeq": second(e.NewSeq(nil)), "Fork": second(e.Fork(a))} {
			if !errors.Is(err, ErrNoSlot) || !strings.Contains(err.Error(), "all 3 slots are in use") {
				t.Errorf("%s with no slot free: %v", name, err)
			}
		}
		if s := e.Stats(); s.Slots != 3 || s.InUse != 3 {
			t.Errorf("%d of %d slots in use", s.InUse, s.Slots)
		}
		b.Release()
		b.Release()
		setState(t, e, a, nil)
		if !slices.Equal(mustState(t, e, a), fresh) {
			t.Error("a sequence restored to the initial state is not fresh")
		}
		one := [][]float32{fresh}
		for name, err := range map[string]error{"Fork": second(e.Fork(b)), "Save": second(e.Save([]*Seq{b}, one)),
			"Restore": second(e.Restore([]*Seq{a, b}, append(one, fresh)))} {
			if !errors.Is(err, ErrNotInUse) {
				t.Errorf("%s of a released sequence: %v", name, err)
			}
		}
		for want, err := range map[string]error{"elements, got": second(e.Restore([]*Seq{a}, [][]float32{fresh[1:]})),
			"elements, got 0":                  second(e.Save([]*Seq{a}, [][]float32{nil})),
			"want 1 states for as many":        second(e.Save([]*Seq{a}, nil)),
			"given twice":                      second(e.Save([]*Seq{a, a}, append(one, fresh))),
			fmt.Sprintf("want %d", len(fresh)): second(e.NewSeq(fresh[1:]))} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("want an error with %q, got %v", want, err)
			}
		}
		if s := e.Stats(); s.InUse != 2 {
			t.Errorf("%d slots in use", s.InUse)
		}
		if got := newSeq(t, e); got.slot != 1 || !slices.Equal(mustState(t, e, got), fresh) {
			t.Errorf("a slot that was released: %d, want 1, fresh", got.slot)
		}
	})
}

func second[T any](_ T, err error) error { return err }

// Many states cost no more logits and scratch than few: those are of a pass.
func TestSlotsCostStates(t *testing.T) {
	m := golden.Demo(t, 0)
	d := vulkanDevice(t)
	size := func(slots int) int {
		before, _ := d.Memory()
		e := newEngine(t, m, d, Options{Slots: slots, Seqs: 8, Chunk: 16})
		after, _ := d.Memory()
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		return after - before
	}
	few, many := size(8), size(256)
	states := 248 * 4 * m.Program.StateLen()
	if extra := many - few - states; extra > states/20 {
		t.Errorf("248 more slots take %d bytes besides their states of %d", extra, states)
	}
}

// A pass that draws allocates nothing on the Vulkan device: not the pass, not the draw, not the log-probabilities.
func TestPassAllocatesNothing(t *testing.T) {
	m := golden.Tiny(t)
	e := newEngine(t, m, vulkanDevice(t), Options{Slots: 2})
	p := sample.Default()
	p.Presence, p.Frequency = 0.3, 0.3
	rows := make([]Row, 2)
	for i := range rows {
		rows[i] = Row{Seq: newSeq(t, e), Tokens: []int{1 + i}, Want: WantDraw, Sampler: newSampler(t, p, e), Logprobs: true, Top: 4}
	}
	ctx := t.Context()
	run := func() {
		if err := e.Pass(ctx, rows); err != nil {
			t.Fatal(err)
		}
		for i := range rows {
			if rows[i].Err != nil {
				t.Fatal(rows[i].Err)
			}
			rows[i].Tokens[0] = rows[i].ID
		}
	}
	for range 300 { // the sampler's list of accepted tokens grows until it holds all
		run()
	}
	if n := gputest.Allocs(100, run); n != 0 {
		t.Errorf("%v allocations a pass, want none", n)
	}
}
