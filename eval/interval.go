package eval

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// z is how many standard errors a 95 % interval of the normal distribution extends to either side.
const z = 1.959963984540054

// exp is math.Exp without an infinity, which JSON does not have.
func exp(x float64) float64 { return min(math.Exp(x), math.MaxFloat64) }

// Interval is a 95 % confidence interval: its ends.
type Interval [2]float64

// positive returns the part of the interval that is not below 0, for a figure that cannot be: a confidence interval stays
// one without what the figure cannot be.
func (i *Interval) positive() *Interval {
	return i.through(func(x float64) float64 { return max(0, x) })
}

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

// ratio returns the sum of all units over their count, and its interval by Student's t distribution with m-1 degrees of
// freedom, for m units. The standard error is that of a ratio of two sums over units drawn at random, to first order:
// sqrt(m/(m-1) sum (s - r n)^2) / sum n (Cochran, Sampling Techniques, chapter 6). With one unit there is no interval.
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
	off := studentsT(m-1) * math.Sqrt(squares*m/(m-1)) / count
	return r, &Interval{r - off, r + off}
}

// studentsT returns how many standard errors a 95 % interval of Student's t distribution extends to either side. x is
// beta-distributed if t = sqrt(freedom (1-x) / x) is as far from 0 as that distribution has it.
func studentsT(freedom float64) float64 {
	x := mathext.InvRegIncBeta(freedom/2, 0.5, 0.05)
	return math.Sqrt(freedom * (1 - x) / x)
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
