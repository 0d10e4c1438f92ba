package bench

import (
	"math"
	"testing"
)

func near(a, b float64) bool { return math.Abs(a-b) < 5e-7 }

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		in   []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{4, 1}, 2.5}, {[]float64{9, 1, 5}, 5}, {[]float64{8, 1, 9, 2}, 5}} {
		if got := median(c.in); got != c.want {
			t.Errorf("%v: want %v, got %v", c.in, c.want, got)
		}
	}
	if r := ratesOf([]float64{3, 1, 2}); r.Median != 2 || r.Min != 1 || r.Max != 3 || r.Samples[0] != 3 {
		t.Errorf("%+v", r)
	}
}

// The probabilities are those of the tables of Mann and Whitney (1947), whose p for U with samples of n and m are: for
// 3 and 3, U = 0 one time in 20; for 4 and 4, U = 0 one in 70, U <= 1 two in 70; for 5 and 5, U <= 2 four in 252. With
// two sides they count twice.
func TestRankSum(t *testing.T) {
	for _, c := range []struct {
		name     string
		a, b     []float64
		p, least float64
	}{
		{"apart, 3 and 3", []float64{1, 2, 3}, []float64{4, 5, 6}, 2. / 20, 2. / 20},
		{"the other way round", []float64{4, 5, 6}, []float64{1, 2, 3}, 2. / 20, 2. / 20},
		{"apart, 4 and 4", []float64{1, 2, 3, 4}, []float64{5, 6, 7, 8}, 2. / 70, 2. / 70},
		{"U = 1, 4 and 4", []float64{1, 2, 3, 5}, []float64{4, 6, 7, 8}, 4. / 70, 2. / 70},
		{"U = 2, 5 and 5", []float64{1, 2, 3, 4, 7}, []float64{5, 6, 8, 9, 10}, 8. / 252, 2. / 252},
		{"alike", []float64{1, 4}, []float64{2, 3}, 1, 2. / 6},
		{"all equal", []float64{5, 5, 5}, []float64{5, 5, 5}, 1, 1},
		{"one each", []float64{1}, []float64{2}, 1, 1},
		// Ranks 1, 2.5, 2.5, 4: of the 6 divisions two have the sums 3.5 and 6.5, which lie as far apart as these.
		{"a tie between", []float64{1, 2}, []float64{2, 3}, 4. / 6, 4. / 6},
	} {
		p, least := rankSum(c.a, c.b)
		if !near(p, c.p) || !near(least, c.least) {
			t.Errorf("%s: want p %.6f, least %.6f, got %.6f, %.6f", c.name, c.p, c.least, p, least)
		}
	}
	// For large samples U is normal: mean nm/2, variance nm(n+m+1)/12.
	var a, b []float64
	for i := range 50 {
		a, b = append(a, float64(2*i)), append(b, float64(2*i+1)+12)
	}
	u := 0.0
	for _, x := range a {
		for _, y := range b {
			if x > y {
				u++
			}
		}
	}
	z := (math.Abs(u-1250) - 0.5) / math.Sqrt(50*50*101/12.)
	if p, _ := rankSum(a, b); math.Abs(p-math.Erfc(z/math.Sqrt2)) > 0.002 {
		t.Errorf("50 and 50: want about %.4f, got %.4f", math.Erfc(z/math.Sqrt2), p)
	}
}

func TestUpperMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{[]float64{3}, 3}, {[]float64{5, 4}, 5}, {[]float64{9, 1, 2}, 2}, {[]float64{1, 4, 2, 3}, 3}} {
		if got := upperMedian(c.values); got != c.want {
			t.Errorf("%v: want %v, got %v", c.values, c.want, got)
		}
	}
}
