package completion

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/schedule"
	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache"
)

// told is all that a completion tells of a token, to the last bit.
func told(t Token) string {
	s := fmt.Sprintf("%d %x", t.ID, math.Float32bits(t.Logprob))
	for _, a := range t.Alternatives {
		s += fmt.Sprintf(" %d %x", a.ID, math.Float32bits(a.Logprob))
	}
	return s
}

// complete returns what a request came to, and its tokens.
func (d *desk) complete(r Request) (Result, []string) {
	d.t.Helper()
	c, err := d.s.Start(d.t.Context(), r)
	if err != nil {
		d.t.Fatal(err)
	}
	var tokens []string
	for p := range c.Pieces() {
		for _, t := range p.Tokens {
			tokens = append(tokens, told(t))
		}
	}
	out, err := c.Result()
	if err != nil {
		d.t.Fatal(err)
	}
	return out, tokens
}

// What a constraint forces is fed in one piece, past a stop string too. The state that is kept has seen exactly what it is
// kept for: with the next turn it comes to the state of a run from the start.
func TestForced(t *testing.T) {
	eachDesk(t, engine.Options{Slots: 2, Chunk: 8, Exact: true}, func(t *testing.T, d *desk) {
		p := chat(system, "What is the time?")
		forced := d.script(append(d.encode(" It is late, and the time is 100."+userStop+" And there?"), 0))
		forced.forces = true
		r, _ := d.complete(Request{Space: "ann", Prompt: p, Max: 60, Constraint: forced, Stop: []string{userStop}})
		if r.Text != " It is late, and the time is 100." {
			t.Fatalf("%+v", r)
		}
		p = slices.Concat(r.Turn, []statecache.Segment{{Text: "\n\n"}}, chat("", "And there?"))
		next := Request{Space: "ann", Prompt: p, Max: 1}
		if got, _ := d.complete(next); got.Cached < d.whole(chat(system, "What is the time?")) {
			t.Errorf("only %d tokens were cached", got.Cached)
		}
		warm, _, err := d.s.State(t.Context(), next)
		if err != nil {
			t.Fatal(err)
		}
		next.Fresh = true
		if cold, _, err := d.s.State(t.Context(), next); err != nil || !slices.Equal(warm, cold) {
			t.Errorf("the state is another than that of a run from the start (%v)", err)
		}
	})
}

// Files of exact states belong to one arithmetic. Without exactness, states of any device are as good.
func TestIdentity(t *testing.T) {
	for _, exact := range []bool{false, true} {
		eachDesk(t, engine.Options{Slots: 1, Chunk: 8, Exact: exact}, func(t *testing.T, d *desk) {
			if id, err := identity(d.e); err != nil || strings.Contains(id, d.e.Arithmetic()) != exact || d.e.Arithmetic() == "" {
				t.Errorf("exact %t: %q (%v) for %q", exact, id, err, d.e.Arithmetic())
			}
		})
	}
}

// On an exact engine a completion is the same, bit for bit, whatever the cache had of its prompt: tokens, their
// log-probabilities, the likeliest others, and the states that are kept; also where tokens of the prompt count for the
// penalties.
func TestExact(t *testing.T) {
	eachDesk(t, engine.Options{Slots: 3, Chunk: 48, Exact: true}, func(t *testing.T, d *desk) {
		d.o.Every = 24
		d.reopen()
		prompt := chat(system, "Once upon a time there was a little girl. What was her name?")
		for turn := range 4 {
			r := Request{Space: "ann", Prompt: prompt, Max: 12, Penal: turn%2 == 0,
				Sample: sample.Params{Temperature: 1, TopP: 0.9, Presence: 0.4, Frequency: 0.3, PenaltyDecay: 0.99, Seed: uint64(turn)}}
			r.Logprobs, r.Top = turn != 3, 2*min(turn, 2)
			cold := r
			cold.Fresh = true
			want, tokens := d.complete(cold)
			if want.Cached != 0 {
				t.Fatalf("a fresh one has %d tokens cached", want.Cached)
			}
			for again := range 2 {
				got, same := d.complete(r)
				if !slices.Equal(got.IDs, want.IDs) || !slices.Equal(same, tokens) || got.Text != want.Text {
					t.Errorf("turn %d: with %d tokens cached\n%v %q, want\n%v %q", turn, got.Cached, same, got.Text, tokens, want.Text)
				}
				if all := got.Cached + got.Prefilled; again+turn > 0 && got.Cached*2 < all {
					t.Errorf("turn %d: only %d of %d tokens were cached", turn, got.Cached, all)
				}
			}
			prompt = append(slices.Clone(want.Turn), chat("", fmt.Sprintf("Go on, %d.", turn))...)
			warm, ids, err := d.s.State(t.Context(), Request{Space: "ann", Prompt: prompt})
			if err != nil {
				t.Fatal(err)
			}
			alone, other, err := d.s.State(t.Context(), Request{Space: "ann", Prompt: prompt, Fresh: true})
			if err != nil || !slices.Equal(warm, alone) || !slices.Equal(ids, other) {
				t.Errorf("turn %d: the state is another than that of a fresh one (%v)", turn, err)
			}
		}
	})
}

// Completions of one prompt that are started together are, bit for bit, those that each would be alone, with the cache and
// without it. The engine reads the prompt once, and its last token for each.
func TestTogether(t *testing.T) {
	const n = 3
	eachDesk(t, engine.Options{Slots: 2, Chunk: 48, Exact: true}, func(t *testing.T, d *desk) {
		p := chat(system, "Once upon a time there was a little girl. What was her name?")
		whole := d.whole(p)
		list := make([]Request, n)
		var want [n]Result
		var tokens [n][]string
		for i := range list {
			list[i] = Request{Space: "ann", Prompt: p, Max: 8 + i, Penal: true, Fresh: true,
				Probabilities: Probabilities{Logprobs: i%2 == 0, Top: i},
				Sample:        sample.Params{Temperature: 1, TopP: 0.9, Presence: 0.4, Frequency: 0.3, PenaltyDecay: 0.99, Seed: uint64(i)}}
			want[i], tokens[i] = d.complete(list[i])
		}
		for round, fresh := range []bool{true, false, false} {
			for i := range list {
				list[i].Fresh = fresh
			}
			before := d.e.Stats().Rows
			all, err := d.s.StartAll(t.Context(), list)
			if err != nil {
				t.Fatal(err)
			}
			fed, drawn := 0, 0
			for i, c := range all {
				var same []string
				for p := range c.Pieces() {
					for _, t := range p.Tokens {
						same = append(same, told(t))
					}
				}
				got, err := c.Result()
				if err != nil || !slices.Equal(got.IDs, want[i].IDs) || !slices.Equal(same, tokens[i]) || got.Text != want[i].Text {
					t.Errorf("round %d, request %d: %v %q, alone %v %q (%v)", round, i, same, got.Text, tokens[i], want[i].Text, err)
				}
				if all := got.Cached + got.Prefilled; all != whole || i > 0 && got.Prefilled != 1 || i == 0 && fresh && got.Cached > 0 {
					t.Errorf("round %d, request %d: %d tokens were cached and %d read, of %d", round, i, got.Cached, got.Prefilled, whole)
				}
				fed, drawn = fed+got.Prefilled, drawn+got.Drawn
			}
			if rows := d.e.Stats().Rows - before; rows != fed+drawn-n || round == 2 && fed >= whole/2 {
				t.Errorf("round %d: the engine was fed %d tokens, want %d of the prompt and all but %d of %d drawn", round, rows, fed, n, drawn)
			}
		}
	})
}

// Completions that are started together and canceled, before, while or after the prompt is read, leave the cache and the
// engine as they were, and the others go on.
func TestTogetherCanceled(t *testing.T) {
	onDemo(t, engine.Options{Slots: 2, Chunk: 8, Exact: true}, func(t *testing.T, d *desk) {
		r := Request{Prompt: chat(system, "Once upon a time there was a little girl. What was her name?"), Max: 20}
		want, _ := d.complete(r)
		for i := range 12 {
			r.Fresh = i%2 == 0
			all, err := d.s.StartAll(t.Context(), []Request{r, r, r, r})
			if err != nil {
				t.Fatal(err)
			}
			if i >= 6 {
				all[i%4].Next()
			}
			for k := range i % 4 {
				all[k].Cancel()
			}
			for k, c := range all {
				got, err := c.Result()
				if gone := k < i%4; !gone && err != nil || err != nil && !errors.Is(err, schedule.ErrCanceled) || !strings.HasPrefix(want.Text, got.Text) ||
					err == nil && got.Text != want.Text {
					t.Errorf("round %d, completion %d: %v, %q of %q", i, k, err, got.Text, want.Text)
				}
			}
		}
		left := func() bool { // the last round may tell of its slots a little after its answers
			st := d.s.Stats().Schedule
			return st.Resident+st.Parked+st.Waiting > 0 || d.e.Stats().InUse > 0
		}
		for end := time.Now().Add(time.Minute); left() && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		if st := d.s.Stats().Schedule; st.Done != 1+12*4 || left() {
			t.Errorf("%+v, %d slots are in use", st, d.e.Stats().InUse)
		}
	})
}

// The state exactly behind an answer that a stop string ended is that of a run from the start, and takes no more to read
// than what lies behind the last of the states within the answer.
func TestReturned(t *testing.T) {
	onDemo(t, engine.Options{Slots: 1, Chunk: 48, Exact: true}, func(t *testing.T, d *desk) {
		said := strings.Repeat(" The fox ran to the wood, and the hen ran to the house.", 11)
		p := chat("", "What was it?")
		r, _ := d.complete(Request{Space: "ann", Prompt: p, Max: 1000, Returned: true, Constraint: d.script(d.encode(said + userStop)), Stop: []string{userStop}})
		if r.Text != said || r.Drawn < 2*returnedEvery {
			t.Fatalf("%+v", r)
		}
		// What is kept within the answer is the first to make room for other states.
		within := 0
		for space, most := d.s.cache.Space("initial ann"), len(r.Whole); ; within++ {
			hit := space.Find(r.Whole, most)
			hit.Release()
			if hit.Tokens <= r.Cached+r.Prefilled {
				break
			}
			if most = hit.Tokens - 1; hit.Kind != statecache.Passing {
				t.Errorf("want the states within the answer kept as passing ones, got kind %d after %d tokens", hit.Kind, hit.Tokens)
			}
		}
		if within == 0 {
			t.Error("want states kept within the answer")
		}
		next := Request{Space: "ann", Prompt: slices.Concat(p, []statecache.Segment{{Text: r.Text, Answer: true}, {Text: "\n\n"}})}
		before := d.e.Stats().Rows
		warm, _, err := d.s.State(t.Context(), next)
		if read := d.e.Stats().Rows - before; err != nil || read > returnedEvery+32 || read == 0 {
			t.Errorf("%d tokens were read again (%v)", read, err)
		}
		next.Fresh = true
		if cold, _, err := d.s.State(t.Context(), next); err != nil || !slices.Equal(warm, cold) {
			t.Errorf("the state is another than that of a run from the start (%v)", err)
		}
	})
}
