package schedule

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample/sampletest"
)

// script is a constraint that forces some ids, then allows every id for some tokens, then forces others, and ends.
type script struct {
	first  []int
	free   int
	second []int
}

func (s *script) Mask() ([]uint64, error) { return nil, nil }

func (s *script) Lasts() bool { return false }

func (s *script) Forced() []int {
	switch {
	case len(s.first) > 0:
		return s.first
	case s.free == 0:
		return s.second
	}
	return nil
}

func (s *script) Accept(id int) (done bool, err error) {
	forced := s.Forced()
	switch {
	case len(forced) == 0:
		s.free--
	case forced[0] != id:
		return false, fmt.Errorf("id %d is forced, got %d", forced[0], id)
	case len(s.first) > 0:
		s.first = s.first[1:]
	default:
		s.second = s.second[1:]
	}
	return len(s.first) == 0 && s.free == 0 && len(s.second) == 0, nil
}

func (s *script) Clone() sample.Constraint {
	c := *s
	return &c
}

// What a constraint forces takes one pass, however long it is, and not one for each token: also at the beginning, and
// where it ends the request, by the constraint's word or since no more tokens are asked for. The last state is that
// before the last token that was told.
func TestForcedInOnePiece(t *testing.T) {
	first, second := []int{7, 8, 9, 10, 11, 12, 13}, []int{50, 51, 52, 53, 54, 55}
	all := len(first) + 3 + len(second)
	for most := 1; most <= all+1; most++ {
		f, s := manual(t, 2, 2, 64, Options{})
		var drawn []int
		smp := anySampler.Clone()
		smp.SetConstraint(&script{slices.Clone(first), 3, slices.Clone(second)})
		r := Request{Prompt: []int{1, 2}, Max: most, Sampler: smp, Token: func(tok Token) bool {
			drawn = append(drawn, tok.ID)
			return true
		}}
		var final []float32
		r.Keep = into(&final, 2)
		j, err := s.Submit(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < 50 && s.Stats().Done == 0; i++ {
			s.cycle()
		}
		if !j.ends(s) || j.Err() != nil || len(drawn) != min(most, all) {
			t.Fatalf("at most %d tokens: drew %v (%v)", most, drawn, j.Err())
		}
		state := uint32(1)
		for i, id := range slices.Concat(r.Prompt, drawn[:len(drawn)-1]) {
			if at := i - len(r.Prompt) - len(first); at >= 0 && at < 3 {
				if want := fakeDraw(state); id != want {
					t.Errorf("at most %d tokens: drew %v, want %d at %d", most, drawn, want, i)
				}
			}
			state = fakeFeed(state, id)
		}
		if n := min(len(drawn), len(first)); !slices.Equal(drawn[:n], first[:n]) || most >= all && !slices.Equal(drawn[len(first)+3:], second) {
			t.Errorf("at most %d tokens: drew %v", most, drawn)
		}
		if !slices.Equal(final, fakeState(state)) {
			t.Errorf("at most %d tokens: the last state is %v, want %v", most, final, fakeState(state))
		}
		// One for the prompt, one for what is forced first, two for the free tokens behind the first, one for what is forced
		// last.
		if f.passes > 5 {
			t.Errorf("at most %d tokens: %d passes", most, f.passes)
		}
		if err := f.end(); err != nil {
			t.Error(err)
		}
	}
}

// Where log-probabilities are asked for, forced tokens have them too.
func TestForcedWithLogprobs(t *testing.T) {
	eachEngine(t, engine.Options{Slots: 2, Chunk: 16}, func(t *testing.T, e *engine.Engine) {
		smp := tinySampler(t, e, 1)
		smp.SetConstraint(&script{[]int{4, 5, 6}, 2, []int{7, 8}})
		var ids []int
		s := New(e, Options{})
		told := Probabilities{Logprobs: true}
		j, err := s.Submit(t.Context(), Request{Prompt: []int{1, 2}, Max: 20, Sampler: smp, Probabilities: told, Token: func(tok Token) bool {
			if ids = append(ids, tok.ID); tok.Logprob >= 0 {
				t.Errorf("%+v", tok)
			}
			return true
		}})
		if err != nil {
			t.Fatal(err)
		}
		s.Close(t.Context())
		if err := j.Err(); err != nil || len(ids) != 7 || !slices.Equal(ids[:3], []int{4, 5, 6}) || !slices.Equal(ids[5:], []int{7, 8}) {
			t.Errorf("drew %v (%v)", ids, err)
		}
	})
}

// underAlone draws what a request draws under a constraint if the engine is its own: one by one on the host, with the
// sampler's mask set to what the constraint says.
func underAlone(t *testing.T, e *engine.Engine, r *Request, smp *sample.Sampler, limit *sampletest.Phases) (ids []int, final []float32) {
	t.Helper()
	s, err := e.NewSeq(nil)
	if err != nil {
		t.Fatal(err)
	}
	tokens := r.Prompt
	for done := false; len(ids) < r.Max && !done; {
		mask, err := limit.Mask()
		if err := errors.Join(err, smp.SetMask(mask)); err != nil {
			t.Fatal(err)
		}
		rows := []engine.Row{{Seq: s, Tokens: tokens, Want: engine.WantDraw, Sampler: smp}}
		if err := errors.Join(e.Feed(t.Context(), rows), rows[0].Err); err != nil {
			t.Fatal(err)
		}
		tokens = []int{rows[0].ID}
		ids = append(ids, rows[0].ID)
		if done, err = limit.Accept(rows[0].ID); err != nil {
			t.Fatal(err)
		}
	}
	final = make([]float32, e.Model.Program.StateLen())
	saved, err := e.Save([]*engine.Seq{s}, [][]float32{final})
	if err := errors.Join(err, saved.Wait()); err != nil {
		t.Fatal(err)
	}
	s.Release()
	return ids, final
}

// On a real and exact engine requests under constraints draw, beside others and however often they are parked, the ids
// that they draw alone on the host, and leave the same states to the last bit.
func TestUnderConstraints(t *testing.T) {
	eachEngine(t, engine.Options{Slots: 5, Seqs: 4, Chunk: 16, Exact: true}, func(t *testing.T, e *engine.Engine) {
		const n = 12
		var want, drawn [n][]int
		var final, last [n][]float32
		s := prepare(engineRunner{e}, e.Stats().Slots, e.Seqs(), e.Chunk(), Options{Quantum: 10, Parked: 8})
		var jobs []*Job
		for i := range n {
			r := Request{Prompt: []int{1 + i, 2, 3}, Max: 30 + i, Sampler: tinySampler(t, e, i), Token: func(tok Token) bool {
				drawn[i] = append(drawn[i], tok.ID)
				return true
			}}
			limit := sampletest.New(e.Model.Vocab, 35, uint64(i))
			if i%4 == 3 { // some have none
				want[i], final[i] = alone(t, e, &r, i)
			} else {
				r.Sampler.SetConstraint(limit.Clone())
				want[i], final[i] = underAlone(t, e, &r, tinySampler(t, e, i), limit)
			}
			r.Keep = into(&last[i], e.Model.Program.StateLen())
			j, err := s.Submit(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			jobs = append(jobs, j)
		}
		go s.loop()
		s.Close(context.Background())
		for i, j := range jobs {
			if err := j.Err(); err != nil || !slices.Equal(drawn[i], want[i]) {
				t.Errorf("request %d: drew %v, want %v (%v)", i, drawn[i], want[i], err)
			}
			if !slices.Equal(last[i], final[i]) {
				t.Errorf("request %d: another last state", i)
			}
		}
		if st := s.Stats(); st.Parkings < 3 {
			t.Errorf("%+v", st)
		}
	})
}
