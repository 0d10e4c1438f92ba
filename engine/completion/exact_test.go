package completion

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
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
