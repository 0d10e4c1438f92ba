package eval

import "math"

// z is how many standard errors a 95 % interval of the normal distribution extends to either side.
const z = 1.959963984540054

// Interval is a 95 % confidence interval: its ends.
type Interval [2]float64

// through returns the interval's image under a rising function.
func (i *Interval) through(f func(float64) float64) *Interval {
	if i == nil {
		return nil
	}
	return &Interval{f(i[0]), f(i[1])}
}

// unit is what is drawn at random from all that could be measured: a document, or a block of one.
type unit struct{ sum, count float64 }

// Units of tokens within documents, where there are too few documents to be units themselves.
const (
	fewestDocuments = 20
	blockTokens     = 256
)

// ratio returns the sum of all units over their count, and its interval by the normal distribution. The standard error is
// that of a ratio of two sums over units drawn at random, to first order: sqrt(m/(m-1) sum (s - r n)^2) / sum n, for m
// units (Cochran, Sampling Techniques, chapter 6). With one unit there is no interval.
func ratio(units []unit) (r float64, interval *Interval) {
	var sum, count float64
	for _, u := range units {
		sum += u.sum
		count += u.count
	}
	r = sum / count
	m := float64(len(units))
	if m < 2 {
		return r, nil
	}
	var squares float64
	for _, u := range units {
		d := u.sum - r*u.count
		squares += d * d
	}
	off := z * math.Sqrt(squares*m/(m-1)) / count
	return r, &Interval{r - off, r + off}
}

// wilson returns Wilson's score interval of a share of n (J. Am. Stat. Assoc. 22, 1927). It stays between 0 and 1 and is
// good for few items, too.
func wilson(share float64, n int) *Interval {
	m := float64(n)
	center := share + z*z/(2*m)
	off := z * math.Sqrt(share*(1-share)/m+z*z/(4*m*m))
	scale := 1 + z*z/m
	low, high := (center-off)/scale, (center+off)/scale
	return &Interval{max(0, min(low, share)), min(1, max(high, share))} // rounding would leave these bounds
}

// standardError returns that of a share of n, with n-1 as lm-evaluation-harness has it; nil for one item.
func standardError(share float64, n int) *float64 {
	if n < 2 {
		return nil
	}
	e := math.Sqrt(share * (1 - share) / float64(n-1))
	return &e
}
