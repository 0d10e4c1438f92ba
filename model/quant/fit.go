package quant

import "math"

// nearest rounds f, of magnitude below 2^22, to an integer, ties to even: adding 1.5 * 2^23 leaves no bits for the
// fraction.
func nearest(f float32) int32 {
	return int32(math.Float32bits(f+3<<22)&0x7fffff) - 0x400000
}

// level returns the integer of [lo, hi] nearest to f.
func level(f float32, lo, hi int32) int32 { return max(lo, min(hi, nearest(f))) }

// magnitude returns the largest |x|.
func magnitude(x []float32) float32 {
	var most float32
	for _, v := range x {
		if v < 0 {
			v = -v
		}
		if v > most {
			most = v
		}
	}
	return most
}

// negligible is a magnitude that rounds to zero even with the least binary16, 2^-24, for a scale. Below it reciprocals
// and squares would leave float32's range.
const negligible = 1.0 / (1 << 26)

// symmetric are types whose elements are d q, for integers q of [lo, hi].
type symmetric struct {
	lo, hi int32
	least  float32 // the smallest magnitude, in steps, that the largest element is tried at
}

// sums returns the sums of x q and q q for the levels nearest to x * inv.
func (s *symmetric) sums(x []float32, inv float32) (xq, qq float32) {
	lo, hi := s.lo, s.hi
	for _, v := range x {
		q := float32(level(v*inv, lo, hi))
		xq += float32(v * q)
		qq += float32(q * q)
	}
	return xq, qq
}

// fit returns the scale d that makes the error of x small. With the levels fixed, the best is sum xq / sum qq, and it
// takes (sum xq)^2 / sum qq off the squares of x: the more the better.
func (s *symmetric) fit(x []float32) float32 {
	most := magnitude(x)
	if most < negligible {
		return 0
	}
	var d, gain float32
	try := func(inv float32) bool {
		xq, qq := s.sums(x, inv)
		if qq == 0 || xq*xq <= gain*qq {
			return false
		}
		d, gain = xq/qq, xq*xq/qq
		return true
	}
	const tries = 16 // of each sign: the levels reach one step further down than up
	from, to := s.least, 0.6-float32(s.lo)
	for i := range tries {
		at := (from + (to-from)*float32(i)/(tries-1)) / most
		try(at)
		try(-at)
	}
	for range 4 {
		if d == 0 || !try(1/d) {
			break
		}
	}
	return d
}

// quantize stores the levels nearest to x / d in q and returns the squared error.
func (s *symmetric) quantize(q []int8, x []float32, d float32) (err float32) {
	inv := inverse(d)
	for i, v := range x {
		l := level(v*inv, s.lo, s.hi)
		q[i] = int8(l)
		e := v - float32(d*float32(l))
		err += float32(e * e)
	}
	return err
}

// inverse returns 1 / d, and 0 for 0.
func inverse(d float32) float32 {
	if d == 0 {
		return 0
	}
	return 1 / d
}
