package sample

import (
	"errors"
	"math"
	"slices"
	"sort"
	"testing"
)

// Log-probabilities and the likeliest ids are those of a softmax in float64 and a full sort.
func TestLogprobs(t *testing.T) {
	for trial := range 60 {
		logits := randomLogits(uint64(trial), 1+trial*7, []float64{0.01, 1, 4, 30}[trial%4])
		if trial%3 == 0 {
			for i := range logits { // ties, of which the lowest id comes first
				logits[i] = float32(math.Round(float64(logits[i])))
			}
		}
		var sum float64
		order := make([]int, len(logits))
		for i, v := range logits {
			sum += math.Exp(float64(v))
			order[i] = i
		}
		sort.SliceStable(order, func(a, b int) bool { return logits[order[a]] > logits[order[b]] })
		want := func(id int) float64 { return float64(logits[id]) - math.Log(sum) }
		for _, top := range []int{0, 1, 5, len(logits), len(logits) + 3} {
			id := trial % len(logits)
			first := Candidate{99, 1}
			got, list, err := Logprobs(logits, id, top, []Candidate{first})
			if err != nil || math.Abs(float64(got)-want(id)) > 1e-5 || len(list) != 1+min(top, len(logits)) || list[0] != first {
				t.Fatalf("trial %d: log-probability %v (want %v), %d of %d candidates, %v", trial, got, want(id), len(list), top, err)
			}
			for i, c := range list[1:] {
				if c.ID != order[i] || math.Abs(float64(c.Logprob)-want(c.ID)) > 1e-5 {
					t.Fatalf("trial %d: candidate %d of %d is %+v, want id %d of %v", trial, i, top, c, order[i], want(order[i]))
				}
			}
		}
	}
	nan, low := float32(math.NaN()), float32(math.Inf(-1))
	for _, logits := range [][]float32{{1, nan}, {1, float32(math.Inf(1))}, {low, low}} {
		if _, _, err := Logprobs(logits, 0, 2, nil); !errors.Is(err, ErrLogits) {
			t.Errorf("%v: %v", logits, err)
		}
	}
	if got, _, err := Logprobs([]float32{low, 3}, 0, 0, nil); err != nil || !math.IsInf(float64(got), -1) {
		t.Errorf("an id at -Inf: %v, %v", got, err)
	}
	logits, room := randomLogits(1, 4096, 2), make([]Candidate, 0, 20)
	if n := testing.AllocsPerRun(20, func() { _, _, _ = Logprobs(logits, 7, 20, room) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A bias is what the same logits with it added would be, whatever else is set; it comes before bans and masks.
func TestBias(t *testing.T) {
	const vocab = 101
	logits := randomLogits(4, vocab, 2)
	bias := map[int]float32{0: 3, 17: -2.5, 50: 1000, 51: -1000, 100: 0.125}
	added := slices.Clone(logits)
	for id, b := range bias {
		added[id] += b
	}
	for n, p := range settings() {
		plain := newSampler(t, p, vocab)
		p.Bias = bias
		if n%2 == 1 {
			p.Ban = append(p.Ban, 50)
			unbiased := p
			unbiased.Bias = nil
			plain = newSampler(t, unbiased, vocab)
		}
		s := newSampler(t, p, vocab)
		for step := range 40 {
			if got, want := next(t, s, logits), next(t, plain, added); got != want {
				t.Fatalf("setting %d: token %d is %d, want %d", n, step, got, want)
			}
		}
		twin, other := s.Twin(), plain.Twin()
		words := make([]uint32, 2*len(bias))
		if twin.CopyBiases(words); twin.Biased != len(bias) || other.Biased != 0 {
			t.Fatalf("%d and %d biases, want %d and none", twin.Biased, other.Biased, len(bias))
		}
		for i := 0; i < len(words); i += 2 {
			if got := math.Float32frombits(words[i+1]); got != bias[int(words[i])] || i > 0 && words[i] <= words[i-2] {
				t.Errorf("entry %d: id %d has the bias %v", i/2, words[i], got)
			}
		}
	}
}
