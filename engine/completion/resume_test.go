package completion

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache"
)

// run is what a completion told.
type run struct {
	text   string
	tokens []Token
	asked  []int
	kept   string // the ids and the state that were kept last
	Result
}

// trace completes a request whose tokens are told.
func (d *desk) trace(r Request) (all run) {
	d.t.Helper()
	r.Traced, r.Kept = true, func(ids []int, state []float32) { all.kept = fmt.Sprint(ids, state) }
	c, err := d.s.Start(d.t.Context(), r)
	if err != nil {
		d.t.Fatal(err)
	}
	for p := range c.Pieces() {
		all.text += p.Text
		all.tokens = append(all.tokens, p.Tokens...)
	}
	if all.Result, err = c.Result(); err != nil {
		d.t.Fatal(err)
	}
	all.asked = c.Asked()
	return all
}

// A completion that goes on where an earlier run of it ended, in another service and behind any token, tells what one
// run tells, to the last bit: text, tokens, how it ended, what is kept of it.
func TestResume(t *testing.T) {
	eachDesk(t, engine.Options{Slots: 2, Chunk: 16, Exact: true}, func(t *testing.T, d *desk) {
		p := chat(system, "What is the time?")
		drawn := sample.Params{Temperature: 1, TopP: 0.9, PenaltyDecay: 0.9, Presence: 0.5, Frequency: 0.5, Seed: 7}
		for name, make := range map[string]func() Request{
			"greedy": func() Request { return Request{Max: 12} },
			"drawn": func() Request {
				return Request{Max: 12, Sample: drawn, Probabilities: Probabilities{Logprobs: true, Top: 2}}
			},
			"stopped": func() Request {
				return Request{Max: 40, Constraint: d.script(d.encode(" It is late." + userStop + " x")), Stop: []string{userStop}}
			},
			"ended":    func() Request { return Request{Max: 40, Constraint: d.script(append(d.encode(" It is late."), 0))} },
			"confined": func() Request { return Request{Max: 40, Constraint: d.script(d.encode(" It is late, so go."))} },
			"forced": func() Request {
				forced := d.script(append(d.encode(" It is late, so go."), 0))
				forced.forces = true
				return Request{Max: 40, Constraint: forced}
			},
		} {
			d.reopen()
			r := make()
			r.Space, r.Prompt = "ann", p
			want := d.trace(r)
			for _, k := range slices.Compact([]int{0, 1, len(want.tokens) / 2, len(want.tokens) - 1, len(want.tokens)}) {
				d.reopen()
				r := make()
				r.Space, r.Drawn = "ann", want.tokens[:k]
				r.Prompt = []statecache.Segment{{Text: "x", IDs: want.asked}}
				r.Prompt[0].Text = d.text(want.asked)
				got := d.trace(r)
				if got.text != want.text || !slices.EqualFunc(got.tokens, want.tokens, func(a, b Token) bool { return !r.Logprobs && a.ID == b.ID || told(a) == told(b) }) {
					t.Errorf("%s, behind %d tokens: %q of %d tokens, want %q of %d", name, k, got.text, len(got.tokens), want.text, len(want.tokens))
				}
				if got.Finish != want.Finish || got.Stop != want.Stop || got.Drawn != want.Drawn || !slices.Equal(got.IDs, want.IDs) || !slices.Equal(got.Whole, want.Whole) ||
					got.Cached+got.Prefilled != want.Cached+want.Prefilled || !slices.Equal(got.asked, want.asked) {
					t.Errorf("%s, behind %d tokens: %+v, want %+v", name, k, got.Result, want.Result)
				}
				if got.kept != want.kept {
					t.Errorf("%s, behind %d tokens: another state is kept", name, k)
				}
			}
		}
	})
}

// text is what ids spell.
func (d *desk) text(ids []int) string {
	var b strings.Builder
	for _, id := range ids {
		b.Write(d.tok.Bytes(id))
	}
	return b.String()
}

// Tokens that no run of the request could have drawn are refused: ones that its constraint does not take, more than the
// most, ones behind the end. So are calls of which one run alone would go on.
func TestResumeRefused(t *testing.T) {
	eachDesk(t, engine.Options{Slots: 1, Chunk: 8}, func(t *testing.T, d *desk) {
		p := []statecache.Segment{{Text: "Hello"}}
		for name, list := range map[string][]Request{
			"want the 2 tokens":    {{Prompt: p, Max: 9, Run: Run{Drawn: []Token{{ID: 5}, {ID: 0}, {ID: 5}}}}},
			"drawn: want the 1":    {{Prompt: p, Max: 1, Run: Run{Drawn: []Token{{ID: 5}, {ID: 5}}}}},
			"drawn[1]":             {{Prompt: p, Max: 9, Run: Run{Drawn: []Token{{ID: 5}, {ID: 1 << 20}}}}},
			"no other requests":    {{Prompt: p, Max: 9, Run: Run{Drawn: []Token{{ID: 5}}}}, {Prompt: p, Max: 9}},
			"want no penalties":    {{Prompt: p, Max: 9, Penal: true, Run: Run{Drawn: []Token{{ID: 5}}}}},
			"up to the end of the": {{Prompt: p, Max: 9, Run: Run{Drawn: []Token{{ID: 0}, {ID: 5}}}}},
		} {
			_, err := d.s.StartAll(t.Context(), list)
			if err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%q: got %v", name, err)
			}
		}
	})
}
