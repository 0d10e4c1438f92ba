package sample

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// settings is a spread of 20 ways to sample, all drawn from the same random numbers.
func settings() []Params {
	list := []Params{
		{Temperature: 1, TopP: 1}, {Temperature: 0.7, TopP: 1}, {Temperature: 2, TopP: 1}, {Temperature: 1, TopP: 0.85},
		{Temperature: 0.96, TopP: 0.76, TopK: 32, Presence: 1, Frequency: 0.1, PenaltyDecay: 0.988},
		{Temperature: 1, TopP: 0.28, TopK: 32}, {Temperature: 1.3, TopP: 0.5}, {Temperature: 0.3, TopP: 0.99},
		{Temperature: 1, TopP: 1, TopK: 5}, {Temperature: 1, TopP: 1, TopK: 1}, {Temperature: 0, TopP: 1},
		{Temperature: 1, TopP: 0}, {Temperature: 1, TopP: 1, MinP: 0.05}, {Temperature: 1.5, TopP: 0.9, MinP: 0.02},
		{Temperature: 1, TopP: 0.95, Presence: 0.4, Frequency: 0.25, PenaltyDecay: 0.996},
		{Temperature: 1, TopP: 1, Frequency: -0.2, PenaltyDecay: 0.9}, {Temperature: 5, TopP: 0.999, TopK: 100},
		{Temperature: 1, TopP: 0.6, Ban: []int{0, 3, 11}}, {Temperature: 0.01, TopP: 1}, {Temperature: 50, TopP: 1},
	}
	for i := range list {
		list[i].Seed = 0x5EED_0000_0000_0000 + uint64(i)
	}
	return list
}

// randomLogits returns n normal logits with a standard deviation.
func randomLogits(seed uint64, n int, deviation float64) []float32 {
	r := rand.New(rand.NewPCG(seed, 0))
	logits := make([]float32, n)
	for i := range logits {
		logits[i] = float32(r.NormFloat64() * deviation)
	}
	return logits
}

// freeIDs is a vocabulary with free text at the ids that it names.
type freeIDs func(id int) bool

func (free freeIDs) Bytes(id int) []byte {
	if free(id) {
		return []byte("7")
	}
	return []byte("x")
}

func newSampler(t testing.TB, p Params, vocab int) *Sampler {
	t.Helper()
	s, err := New(p, NewVocabulary(vocab, nil))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// next draws and accepts one token.
func next(t testing.TB, s *Sampler, logits []float32) int {
	t.Helper()
	id, err := s.Sample(logits)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Accept(id); err != nil {
		t.Fatal(err)
	}
	return id
}

// A thousand tokens in each of 20 settings are those that float64 arithmetic with a full sort draws.
func TestSampleAgreesWithOracle(t *testing.T) {
	const vocab, steps = 101, 1000
	for n, p := range settings() {
		s := newSampler(t, p, vocab)
		counts := map[int]float64{}
		skipped := 0
		for step := range steps {
			logits := randomLogits(uint64(step%50), vocab, 3)
			probs := oracle(p, logits, counts)
			want, near := oracleDraw(probs, Random(p.Seed, uint64(step)))
			if p.Greedy() {
				want, near = slices.Index(probs, slices.Max(probs)), 1
			}
			id := next(t, s, logits)
			if near < 1e-6 {
				skipped++
			} else if id != want {
				t.Fatalf("setting %d step %d: got id %d, want %d", n, step, id, want)
			}
			if p.Presence != 0 || p.Frequency != 0 {
				for other := range counts {
					counts[other] *= float64(p.PenaltyDecay)
				}
				counts[id]++
			}
		}
		if skipped > 5 {
			t.Errorf("setting %d: %d of %d draws fell on an edge", n, skipped, steps)
		}
	}
}

func TestDistributionAgreesWithOracle(t *testing.T) {
	for n, p := range settings() {
		for trial := range 20 {
			logits := randomLogits(uint64(trial), 157, []float64{0.01, 1, 4, 30}[trial%4])
			s := newSampler(t, p, len(logits))
			got, err := s.Distribution(logits)
			if err != nil {
				t.Fatal(err)
			}
			want := oracle(p, logits, nil)
			var sum float64
			for i := range got {
				sum += float64(got[i])
				if math.Abs(float64(got[i])-want[i]) > 1e-6 {
					t.Fatalf("setting %d trial %d: probability of %d: got %v, want %v", n, trial, i, got[i], want[i])
				}
			}
			if math.Abs(sum-1) > 1e-6 {
				t.Errorf("setting %d trial %d: probabilities sum to %v", n, trial, sum)
			}
		}
	}
}

func TestGreedyIsArgMax(t *testing.T) {
	for trial := range 200 {
		logits := randomLogits(uint64(trial), 300, 2)
		if trial%2 == 0 { // equal largest values
			for _, id := range []int{250, 17, 100} {
				logits[id] = 50
			}
		}
		want := slices.Index(logits, slices.Max(logits))
		for _, p := range []Params{{TopP: 1}, {Temperature: 1}, {Temperature: 1, TopP: 1, TopK: 1}, {}} {
			if got := next(t, newSampler(t, p, 300), logits); got != want {
				t.Fatalf("%+v: got %d, want %d", p, got, want)
			}
		}
	}
}

// Ties: equal logits survive top-p together; at the edge of top-k the lowest ids stay.
func TestTies(t *testing.T) {
	logits := []float32{1, 3, 1, 3, 1, 3, 0}
	kept := func(p Params) (ids []int) {
		probs, err := newSampler(t, p, len(logits)).Distribution(logits)
		if err != nil {
			t.Fatal(err)
		}
		for id, prob := range probs {
			if prob > 0 {
				ids = append(ids, id)
			}
		}
		return ids
	}
	for _, c := range []struct {
		p    Params
		want []int
	}{
		{Params{Temperature: 1, TopP: 0.01}, []int{1, 3, 5}},
		{Params{Temperature: 1, TopP: 0.9}, []int{0, 1, 2, 3, 4, 5}},
		{Params{Temperature: 1, TopP: 1, TopK: 2}, []int{1, 3}},
		{Params{Temperature: 1, TopP: 1, TopK: 4}, []int{0, 1, 3, 5}},
		{Params{Temperature: 1, TopP: 0.9, TopK: 5}, []int{0, 1, 2, 3, 5}},
		{Params{Temperature: 1, TopP: 1, MinP: 1}, []int{1, 3, 5}},
		{Params{Temperature: 1, TopP: 1, MinP: 0.5, TopK: 4}, []int{1, 3, 5}},
		{Params{Temperature: 1, TopP: 1, MinP: 0.1, TopK: 4}, []int{0, 1, 3, 5}},
		{Params{Temperature: 1, TopP: 0.99, MinP: 0.1, TopK: 6}, []int{0, 1, 2, 3, 4, 5}},
		{Params{Temperature: 1, TopP: 0}, []int{1, 3, 5}},
	} {
		if got := kept(c.p); !slices.Equal(got, c.want) {
			t.Errorf("%+v: kept %v, want %v", c.p, got, c.want)
		}
	}
}

// Zeros of both signs are equal, whichever comes first.
func TestSignedZeros(t *testing.T) {
	minus := float32(math.Copysign(0, -1))
	for _, logits := range [][]float32{{minus, 0, -9}, {0, minus, -9}} {
		for n, p := range settings() {
			p.Ban = nil
			probs, err := newSampler(t, p, 3).Distribution(logits)
			if err != nil {
				t.Fatal(err)
			}
			if p.TopK != 1 && probs[0] != probs[1] || p.TopK == 1 && probs[0] != 1 {
				t.Errorf("setting %d: %v has probabilities %v", n, logits, probs)
			}
		}
	}
}

// Where logits are distinct, a permutation of the ids permutes the distribution and nothing else.
func TestPermutation(t *testing.T) {
	logits := randomLogits(9, 400, 3)
	order := rand.New(rand.NewPCG(4, 4)).Perm(len(logits))
	moved := make([]float32, len(logits))
	for i, j := range order {
		moved[j] = logits[i]
	}
	for n, p := range settings() {
		p.Ban = nil
		s := newSampler(t, p, len(logits))
		a, errA := s.Distribution(logits)
		b, errB := s.Distribution(moved)
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		for i, j := range order {
			if math.Abs(float64(a[i]-b[j])) > 1e-7 { // float64 sums in another order
				t.Fatalf("setting %d: id %d has %v, moved to %d %v", n, i, a[i], j, b[j])
			}
		}
	}
}

// A hundred thousand draws follow Distribution: Pearson's chi-square within five standard deviations.
func TestDrawsFollowDistribution(t *testing.T) {
	const draws = 100_000
	logits := randomLogits(3, 60, 1.5)
	for _, p := range []Params{
		{Temperature: 1, TopP: 1, Seed: 1}, {Temperature: 1.4, TopP: 0.9, TopK: 30, Seed: 2}, {Temperature: 0.8, TopP: 1, MinP: 0.02},
	} {
		s := newSampler(t, p, len(logits))
		probs, err := s.Distribution(logits)
		if err != nil {
			t.Fatal(err)
		}
		seen := make([]float64, len(logits))
		for range draws {
			seen[next(t, s, logits)]++
		}
		var chi, freedom float64
		for id, prob := range probs {
			if prob == 0 && seen[id] > 0 {
				t.Errorf("%+v: id %d has no probability and was drawn", p, id)
			}
			if expected := float64(prob) * draws; prob > 0 {
				chi += (seen[id] - expected) * (seen[id] - expected) / expected
				freedom++
			}
		}
		freedom--
		if math.Abs(chi-freedom) > 5*math.Sqrt(2*freedom) {
			t.Errorf("%+v: chi-square %v at %v degrees of freedom", p, chi, freedom)
		}
	}
}

func TestSeedCloneResetMask(t *testing.T) {
	logits := randomLogits(5, 500, 2)
	before := slices.Clone(logits)
	p := Params{Temperature: 1, TopP: 0.95, Presence: 0.5, Frequency: 0.5, PenaltyDecay: 0.99, Seed: 77}
	run := func(s *Sampler, n int) (ids []int) {
		for range n {
			ids = append(ids, next(t, s, logits))
		}
		return ids
	}
	s := newSampler(t, p, 500)
	first := run(s, 100)
	c := s.Clone()
	rest := run(s, 100)
	if got := run(c, 100); !slices.Equal(got, rest) {
		t.Error("a clone goes on with other ids")
	}
	s.Reset()
	if got := run(s, 200); !slices.Equal(got, append(first, rest...)) {
		t.Error("the same seed gives other ids after Reset")
	}
	p.Seed++
	if got := run(newSampler(t, p, 500), 100); slices.Equal(got, first) {
		t.Error("another seed gives the same ids")
	}
	if !slices.Equal(before, logits) {
		t.Error("Sample changed the caller's logits")
	}
	mask := make([]uint64, 8)
	mask[3], mask[7] = 1<<9|1<<60, ^uint64(0)
	if err := s.SetMask(mask); err != nil {
		t.Fatal(err)
	}
	for _, id := range run(s, 200) {
		if mask[id/64]>>(id%64)&1 == 0 {
			t.Fatalf("masked id %d drawn", id)
		}
	}
	if err := s.SetMask(mask[:7]); err == nil {
		t.Error("a short mask is taken")
	}
}

func TestErrors(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for want, p := range map[string]Params{
		"temperature: want a finite value >= 0, got NaN":         {Temperature: nan},
		"temperature: want a finite value >= 0, got +Inf":        {Temperature: inf},
		"temperature: want a finite value >= 0, got -1":          {Temperature: -1},
		"top_p: want a value in [0, 1], got NaN":                 {TopP: nan},
		"top_p: want a value in [0, 1], got 1.5":                 {TopP: 1.5},
		"min_p: want a value in [0, 1], got -0.1":                {MinP: -0.1},
		"presence: want a value in [-1000, 1000]":                {Presence: nan},
		"frequency: want a value in [-1000, 1000]":               {Frequency: -2000},
		"penalty_decay: want a value in [0, 1], got 1.01":        {PenaltyDecay: 1.01},
		"top_k: want a value >= 0, got -1":                       {TopK: -1},
		"ban[1]: want an id >= 0, got -4":                        {Ban: []int{0, -4}},
		"ban[0]: want an id below 8, got 8":                      {Ban: []int{8}},
		"bias: want an id >= 0, got -4":                          {Bias: map[int]float32{0: 1, -4: 1}},
		"bias: want an id below 8, got 8":                        {Bias: map[int]float32{8: 1}},
		"bias of id 3: want a value in [-1000, 1000], got NaN":   {Bias: map[int]float32{3: nan}},
		"bias of id 2: want a value in [-1000, 1000], got -1001": {Bias: map[int]float32{2: -1001}},
	} {
		if _, err := New(p, NewVocabulary(8, nil)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	for _, vocab := range []int{-1, 0, MaxVocabulary + 1} {
		if _, err := New(Default(), NewVocabulary(vocab, nil)); err == nil {
			t.Errorf("a vocabulary of %d is taken", vocab)
		}
	}
	low := float32(math.Inf(-1))
	s := newSampler(t, Params{Temperature: 1, TopP: 0.5, Ban: []int{2}}, 4)
	for want, logits := range map[string][]float32{
		"logits[1]: want a number or -Inf, got NaN":  {0, nan, 0, 0},
		"logits[2]: want a number or -Inf, got NaN":  {0, 0, nan, 0}, // banned
		"logits[3]: want a number or -Inf, got +Inf": {0, 0, 0, inf},
		"want one id that may be drawn":              {low, low, 5, low},
		"want 4 values, got 3":                       {0, 0, 0},
	} {
		if _, err := s.Sample(logits); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Sample: got %v, want %q", err, want)
		}
		if _, err := s.Distribution(logits); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Distribution: got %v, want %q", err, want)
		}
	}
	s = newSampler(t, Params{Temperature: 1, TopP: 0.5}, 129)
	for _, out := range []uint64{^uint64(0), 1 << 7} { // a word of ids that may not come, and one of them
		for _, bad := range []float32{nan, inf} {
			logits := make([]float32, 129)
			logits[64+7] = bad
			if err := s.SetMask([]uint64{^uint64(0), ^out, ^uint64(0)}); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Sample(logits); err == nil || !strings.Contains(err.Error(), "logits[71]: want a number or -Inf") {
				t.Errorf("Sample with masked %v: got %v", bad, err)
			}
		}
	}
	s = newSampler(t, Params{Temperature: 1, TopP: 0.5}, 4)
	for _, id := range []int{-1, 4} {
		if s.Accept(id) == nil {
			t.Errorf("Accept(%d) is taken", id)
		}
	}
}

func TestFreeText(t *testing.T) {
	for text, want := range map[string]bool{
		"": true, " ": true, "\t": true, " \t0": true, "7": true, "12": true, "0123456789": true,
		"21": false, "  ": false, "a": false, "\n": false, "1 ": false,
	} {
		if got := FreeText([]byte(text)); got != want {
			t.Errorf("FreeText(%q): got %v, want %v", text, got, want)
		}
	}
}

func TestSampleAllocatesNothing(t *testing.T) {
	logits := randomLogits(1, 4096, 3)
	for n, p := range settings() {
		s := newSampler(t, p, len(logits))
		for range 50 {
			next(t, s, logits)
		}
		s.SetPosition(0)
		id := 0
		if got := testing.AllocsPerRun(20, func() {
			id, _ = s.Sample(logits)
			_ = s.Accept(id % 16)
		}); got != 0 {
			t.Errorf("setting %d: %v allocations per token", n, got)
		}
	}
}
