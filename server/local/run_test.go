package local

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/completion"
	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache"
	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
)

// whole is all pieces of an answer as one.
func whole(t *testing.T, m *Model, r api.Request) (p api.Piece, _ api.Result) {
	t.Helper()
	streams, err := m.Start(t.Context(), []api.Request{r})
	if err != nil {
		t.Fatal(err)
	}
	defer streams[0].Close()
	for {
		next, err := streams[0].Next()
		p.Text += next.Text
		p.Tokens, p.Prompt, p.Drawn = append(p.Tokens, next.Tokens...), append(p.Prompt, next.Prompt...), append(p.Drawn, next.Drawn...)
		if errors.Is(err, io.EOF) {
			return p, streams[0].Result()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func same(a, b api.Token) bool {
	return a.ID == b.ID && a.Logprob == b.Logprob && bytes.Equal(a.Bytes, b.Bytes) && slices.Equal(a.Top, b.Top)
}

// An answer goes on in another model where the run before has ended, behind each of its tokens, and is told as by one
// run, with and without its tokens. The state that is kept at its end serves the next turn there as it does here.
func TestRuns(t *testing.T) {
	o := Options{First: []int{5, 6}, Completion: completion.Options{Cache: statecache.Options{Host: 1 << 26}}}
	here, there := open(t, 2, o), open(t, 2, o)
	if a, err := here.Identity(); err != nil {
		t.Error(err)
	} else if b, err := there.Identity(); a != b || err != nil {
		t.Errorf("identities %q and %q (%v)", a, b, err)
	}
	for _, told := range []bool{false, true} {
		r := api.Request{User: "ann", Segments: []prompt.Segment{{Text: "User: Hello!", End: prompt.Turn}, {Text: "\n\nAssistant:"}}, Max: 12,
			Logprobs: told, Whole: true}
		if told {
			r.Top = 2
		}
		want, result := whole(t, here, r)
		r.Traced = true
		traced, _ := whole(t, here, r)
		if traced.Text != want.Text || !slices.EqualFunc(traced.Tokens, want.Tokens, same) || len(traced.Drawn) != 12 || len(traced.Prompt) == 0 {
			t.Fatalf("traced: %+v, want %+v", traced, want)
		}
		var ids []int
		var state []float32
		for k := range traced.Drawn {
			again := r
			again.Segments, again.IDs, again.Drawn = nil, traced.Prompt, traced.Drawn[:k+1]
			again.Kept = func(i []int, s []float32) { ids, state = slices.Clone(i), slices.Clone(s) }
			got, ended := whole(t, there, again)
			if got.Text != want.Text || !slices.EqualFunc(got.Tokens, want.Tokens, same) || !slices.EqualFunc(got.Drawn, traced.Drawn, same) {
				t.Errorf("behind %d tokens: %+v, want %+v", k+1, got, want)
			}
			if ended.Prompt != result.Prompt || ended.Drawn != result.Drawn || ended.Finish != result.Finish || !slices.Equal(ended.Whole, result.Whole) {
				t.Errorf("behind %d tokens: %+v, want %+v", k+1, ended, result)
			}
		}
		for _, s := range [][]float32{state, nil} {
			other := open(t, 1, o)
			if other.Knows("ann", ids) {
				t.Error("a new model knows a state")
			}
			if err := other.Learn(t.Context(), "ann", ids, s); err != nil || !other.Knows("ann", ids) || other.Knows("bob", ids) {
				t.Errorf("Learn: %v", err)
			}
			next := r
			next.Segments = append(slices.Clone(r.Segments), prompt.Segment{Text: want.Text, Answer: true, End: prompt.Turn}, prompt.Segment{Text: "\n\nUser: More!"})
			a, _ := whole(t, here, next)
			b, learnt := whole(t, other, next)
			if a.Text != b.Text || !slices.Equal(a.Prompt, b.Prompt) || learnt.Cached != len(ids) {
				t.Errorf("the next turn: %q, want %q; %d tokens were cached, want %d", b.Text, a.Text, learnt.Cached, len(ids))
			}
		}
	}
}
