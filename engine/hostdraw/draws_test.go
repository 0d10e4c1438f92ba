package hostdraw

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
)

const vocab = 130

// logitsOf returns logits of a sequence's step.
func logitsOf(i, step int) []float32 {
	logits := make([]float32, vocab)
	for id := range logits {
		logits[id] = float32((id*7+i*31+step*17)%23) / 4
	}
	return logits
}

func samplers(t testing.TB, n int) (list []*sample.Sampler) {
	t.Helper()
	v := sample.NewVocabulary(vocab, nil)
	for i := range n {
		s, err := sample.New(sample.Params{Temperature: 1, TopP: 0.9, Presence: 0.5, PenaltyDecay: 0.9, Seed: uint64(i)}, v)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	return list
}

// Tokens drawn side by side are those drawn one after the other, with the same log-probabilities, and what is wrong
// with one draw is its own.
func TestDraws(t *testing.T) {
	for _, n := range []int{1, 2, 3, 40} {
		all, alone := samplers(t, n), samplers(t, n)
		var d Draws
		for step := range 20 {
			d.Clear()
			for i, s := range all {
				d.List = append(d.List, Draw{Sampler: s, Logits: logitsOf(i, step), Logprobs: i%3 == 1, Top: i % 4})
			}
			if step == 11 {
				d.List[n/2].Logits = d.List[n/2].Logits[1:]
			}
			d.Run()
			for i, got := range d.List {
				if step == 11 && i == n/2 {
					if got.Err == nil || got.ID != -1 {
						t.Errorf("too few logits: drew %d", got.ID)
					}
					continue
				}
				id, err := alone[i].Sample(logitsOf(i, step))
				if err := errors.Join(err, alone[i].Accept(id)); err != nil {
					t.Fatal(err)
				}
				var logprob float32
				var alternatives []sample.Candidate
				if i%3 == 1 || i%4 > 0 {
					if logprob, alternatives, err = sample.Logprobs(logitsOf(i, step), id, i%4, nil); err != nil {
						t.Fatal(err)
					}
				}
				if got.Err != nil || got.ID != id || got.Logprob != logprob || !slices.Equal(got.Alternatives, alternatives) {
					t.Fatalf("%d sequences, step %d: %+v, want id %d, %v, %v", n, step, got, id, logprob, alternatives)
				}
			}
		}
	}
}

var onlyNine = []uint64{1 << 9, 0, 0}

// counted is a constraint that counts its masks and allows one id.
type counted struct{ asked *atomic.Int64 }

func (c counted) Mask() ([]uint64, error) {
	c.asked.Add(1)
	return onlyNine, nil
}
func (c counted) Lasts() bool              { return false }
func (c counted) Forced() []int            { return nil }
func (c counted) Accept(int) (bool, error) { return false, nil }
func (c counted) Clone() sample.Constraint { return c }

// Every constraint makes its mask once for each draw, also where that begins and is waited for later. Nothing is
// allocated for a token.
func TestMasks(t *testing.T) {
	var asked atomic.Int64
	list := samplers(t, 9)
	for i := range 7 {
		list[i].SetConstraint(counted{&asked})
	}
	var m Masks
	var d Draws
	drawn := 0
	logits := logitsOf(1, 2)
	step := func() {
		m.Clear()
		d.Clear()
		for _, s := range list {
			m.Add(s)
			d.List = append(d.List, Draw{Sampler: s, Logits: logits})
		}
		if drawn++; drawn%2 == 0 {
			m.Begin()
			m.Wait()
		} else {
			m.Make()
		}
		d.Run()
		for i := range d.List {
			if d.List[i].Err != nil || i < 7 && d.List[i].ID != 9 {
				t.Fatalf("draw %d: %+v", i, d.List[i])
			}
		}
	}
	for range 300 {
		step()
	}
	if m.Add(nil) || m.Add(list[8]) {
		t.Error("a sampler without a constraint has a mask to make")
	}
	if got := asked.Load(); got != 7*300 {
		t.Errorf("%d masks for 7 sequences and 300 steps", got)
	}
	if n := testing.AllocsPerRun(100, step); n >= 1 {
		t.Errorf("a step allocates %v times", n)
	}
}
