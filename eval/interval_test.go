package eval

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The intervals hold the true figure as often as they say.
func TestIntervalsCover(t *testing.T) {
	rng := rand.New(rand.NewPCG(95, 1))
	const rounds, n, share, mean = 4000, 60, 0.8, 2.5
	var byRatio, byWilson int
	for range rounds {
		list, right := make([]unit, n), 0
		for i := range list {
			count := 1 + float64(rng.IntN(200))
			list[i] = unit{count * (mean + 0.5*rng.NormFloat64()), count}
			if rng.Float64() < share {
				right++
			}
		}
		if _, in := ratio(list); in[0] <= mean && mean <= in[1] {
			byRatio++
		}
		if in := wilson(float64(right)/n, n); in[0] <= share && share <= in[1] {
			byWilson++
		}
	}
	for what, found := range map[string]int{"ratio": byRatio, "wilson": byWilson} {
		if covered := float64(found) / rounds; covered < 0.93 || covered > 0.97 {
			t.Errorf("%s: intervals of 95 %% hold the true figure in %.1f %% of all cases", what, 100*covered)
		}
	}
}

// Figures of others: Wilson's interval of 10 in 20 and of 0 in 10 (Newcombe, Statistics in Medicine 17, 1998, and R's
// prop.test without correction), and a mean with equal counts, whose standard error is that of any textbook.
func TestIntervals(t *testing.T) {
	near := func(what string, got, want float64) {
		t.Helper()
		if !(math.Abs(got-want) < 5e-5) {
			t.Errorf("%s: want %v, got %v", what, want, got)
		}
	}
	in := wilson(0.5, 20)
	near("10 of 20, low", in[0], 0.2993)
	near("10 of 20, high", in[1], 0.7007)
	in = wilson(0, 10)
	near("0 of 10, low", in[0], 0)
	near("0 of 10, high", in[1], 0.2775)
	for n := 1; n <= 200; n++ {
		for right := 0; right <= n; right++ {
			share := float64(right) / float64(n)
			if in := wilson(share, n); math.Signbit(in[0]) || in[0] > share || in[1] < share || in[1] > 1 {
				t.Errorf("%d of %d: %v", right, n, *in)
			}
		}
	}
	mean, in := ratio([]unit{{2, 1}, {4, 1}, {6, 1}})
	near("mean", mean, 4)
	near("half width", in[1]-mean, 1.959964*2/math.Sqrt(3))
	if _, in := ratio([]unit{{2, 1}}); in != nil || in.through(math.Exp) != nil {
		t.Errorf("one unit has the interval %v", in)
	}
	if e := standardError(0.5, 5); math.Abs(*e-0.25) > 1e-12 || standardError(1, 1) != nil {
		t.Errorf("standard error %v", *e)
	}
}
