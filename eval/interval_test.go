package eval

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The intervals hold the true figure as often as they say, also those of few units, such as the blocks of a short text.
func TestIntervalsCover(t *testing.T) {
	rng := rand.New(rand.NewPCG(95, 1))
	const rounds, n, share, mean = 4000, 60, 0.8, 2.5
	held := map[string]int{}
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
			held["ratio"]++
		}
		few := make([]unit, 3)
		for i := range few {
			few[i] = unit{blockTokens * (mean + 0.5*rng.NormFloat64()), blockTokens}
		}
		if _, in := ratio(few); in[0] <= mean && mean <= in[1] {
			held["ratio of 3"]++
		}
		if in := wilson(float64(right)/n, n); in[0] <= share && share <= in[1] {
			held["wilson"]++
		}
	}
	for what, found := range held {
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
	near("half width", in[1]-mean, 4.302653*2/math.Sqrt(3))
	if _, in := ratio([]unit{{2, 1}}); in != nil || in.through(math.Exp) != nil {
		t.Errorf("one unit has the interval %v", in)
	}
	if e := standardError(0.5, 5); math.Abs(*e-0.25) > 1e-12 || standardError(1, 1) != nil {
		t.Errorf("standard error %v", *e)
	}
}

// Intervals of few units are those of SciPy 1.17: scipy.stats.t.interval(0.95, m - 1, r, scipy.stats.sem(e)), for the
// ratio r of the sums and e = (s - r n) / mean(n). A figure that cannot be below 0 has no interval there, and a
// perplexity is a number whatever its logarithm is.
func TestFewUnits(t *testing.T) {
	for _, c := range []struct {
		units           []unit
		mean, low, high float64
	}{
		{[]unit{{0.3, 1}, {2.9, 1}}, 1.6, -14.9180661570271, 18.1180661570271},
		{[]unit{{2.1, 1}, {3.4, 1}, {2.9, 1}, {4.0, 1}, {2.2, 1}}, 2.92, 1.9212512946543185, 3.918748705345682},
		{[]unit{{500, 256}, {610, 256}, {720, 256}, {80, 41}}, 2.360939431396786, 1.6488414231039634, 3.0730374396896085},
	} {
		mean, in := ratio(c.units)
		if math.Abs(mean-c.mean)+math.Abs(in[0]-c.low)+math.Abs(in[1]-c.high) > 1e-8 {
			t.Errorf("%v: want %v in [%v, %v], got %v in %v", c.units, c.mean, c.low, c.high, mean, *in)
		}
		if p := in.positive(); p[0] != max(0, in[0]) || p[1] != in[1] || p.through(exp)[0] < 1 {
			t.Errorf("%v: %v", *in, *p)
		}
	}
	for freedom, want := range map[float64]float64{1: 12.706204736174694, 2: 4.302652729749462, 4: 2.7764451051977934, 19: 2.0930240544083087, 1000: 1.9623390808264083} {
		if got := studentsT(freedom); math.Abs(got-want) > 1e-8 { // scipy.stats.t.ppf(0.975, freedom)
			t.Errorf("%v degrees of freedom: want %v, got %v", freedom, want, got)
		}
	}
	if got := studentsT(1e7); math.Abs(got-z) > 1e-6 {
		t.Errorf("many degrees of freedom: want %v, got %v", z, got)
	}
	if p := (&Interval{-1e4, 1e4}).through(exp); p[0] != 0 || p[1] != math.MaxFloat64 {
		t.Errorf("%v is no JSON", *p)
	}
	if p := (*Interval)(nil).positive(); p != nil {
		t.Errorf("%v", *p)
	}
}
