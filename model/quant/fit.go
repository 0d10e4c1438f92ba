package quant

import "math"

// shift is 1.5 * 2^23: a number near it has no bits for a fraction, and its bits count up with it.
const shift, shiftBits = 3 << 22, 0x4b400000

// level returns the integer of [lo, hi] nearest to f, ties to even.
func level(f float32, lo, hi int32) int32 {
	return max(shiftBits+lo, min(shiftBits+hi, int32(math.Float32bits(f+shift)))) - shiftBits
}

// levelFloat is level as a float.
func levelFloat(f float32, lo, hi int32) float32 {
	return math.Float32frombits(uint32(max(shiftBits+lo, min(shiftBits+hi, int32(math.Float32bits(f+shift)))))) - shift
}

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

// inverse returns 1 / d, and 0 for 0.
func inverse(d float32) float32 {
	if d == 0 {
		return 0
	}
	return 1 / d
}

// negligible is a magnitude that rounds to zero even with the least binary16, 2^-24, as its scale. Reciprocals and
// squares of smaller numbers would leave float32's range.
const negligible = 1.0 / (1 << 26)

// symmetric describes types whose elements are d q, for integers q of [lo, hi].
type symmetric struct {
	lo, hi int32
	least  float32 // the smallest magnitude, in steps, that the largest element is tried at
}

// sums returns the sums of x q and q q for the levels nearest to x * inv.
func (s *symmetric) sums(x []float32, inv float32) (xq, qq float32) {
	lo, hi := s.lo, s.hi
	for _, v := range x {
		q := levelFloat(v*inv, lo, hi)
		xq += float32(v * q)
		qq += float32(q * q)
	}
	return xq, qq
}

// fit returns the scale d that makes the squared error of x small. For fixed levels the best scale is sum xq / sum qq.
// It lowers the sum of squares of x by (sum xq)^2 / sum qq, and the levels with the largest such gain win.
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
	const tries = 11 // with each sign, since the levels reach one step further down than up
	from, to := s.least, 0.6-float32(s.lo)
	for i := range tries {
		at := (from + (to-from)*float32(i)/(tries-1)) / most
		try(at)
		try(-at)
	}
	for range 2 {
		if d == 0 || !try(1/d) {
			break
		}
	}
	return d
}

// err returns the squared error of the levels nearest to x / d.
func (s *symmetric) err(x []float32, d float32) (err float32) {
	inv, lo, hi := inverse(d), s.lo, s.hi
	for _, v := range x {
		e := v - float32(d*levelFloat(v*inv, lo, hi))
		err += float32(e * e)
	}
	return err
}

// quantize stores the levels nearest to x / d in q, counted from lo.
func (s *symmetric) quantize(q []uint8, x []float32, d float32) {
	inv, lo, hi := inverse(d), s.lo, s.hi
	for i, v := range x {
		q[i] = uint8(level(v*inv, lo, hi) - lo)
	}
}

// line is a least-squares problem: y = d q + m.
type line struct{ n, q, y, qq, qy float32 }

// sum sets the sums over y = x - base for the levels q of [0, top] nearest to (x - from) * inv.
func (l *line) sum(x []float32, base, from, inv float32, top int32) {
	*l = line{n: float32(len(x))}
	for _, v := range x {
		q, y := levelFloat((v-from)*inv, 0, top), v-base
		l.q += q
		l.y += y
		l.qq += float32(q * q)
		l.qy += float32(q * y)
	}
}

// solve returns d and m, and how far they lower the sum of squares below that of y = 0. m is at most most.
func (l *line) solve(most float32) (d, m, gain float32) {
	det := float32(l.n*l.qq) - float32(l.q*l.q)
	if det > 0 {
		d = (float32(l.n*l.qy) - float32(l.q*l.y)) / det
		m = (float32(l.qq*l.y) - float32(l.q*l.qy)) / det
	} else {
		m = l.y / l.n // all levels are the same
	}
	if m > most {
		m = most
		d = 0
		if l.qq > 0 {
			d = (l.qy - float32(m*l.q)) / l.qq
		}
	}
	residue := d*d*l.qq + 2*d*m*l.q + m*m*l.n - 2*d*l.qy - 2*m*l.y
	return d, m, -residue
}

// fitAffine returns the scale d >= 0 and the minimum m for which d q + m, q of [0, top], has a small squared error from
// x. If atMostZero is set, m <= 0.
func fitAffine(x []float32, top int32, atMostZero bool) (d, m float32) {
	low, high := x[0], x[0]
	for _, v := range x {
		low, high = min(low, v), max(high, v)
	}
	if atMostZero {
		low = min(low, 0)
	}
	if high-low < negligible {
		return 0, low
	}
	most := float32(math.MaxFloat32)
	if atMostZero {
		most = -low // of what is counted from low
	}
	gain := float32(math.Inf(-1))
	var l line
	try := func(from, inv float32) bool {
		l.sum(x, low, from, inv, top)
		scale, offset, g := l.solve(most)
		if g <= gain || scale <= 0 {
			return false
		}
		d, m, gain = scale, offset+low, g
		return true
	}
	const tries = 12
	for i := range tries {
		try(low, (float32(top)*0.86+float32(top)*0.2*float32(i)/(tries-1))/(high-low))
	}
	for range 5 {
		if d == 0 || !try(m, 1/d) {
			break
		}
	}
	return d, m
}

// errAffine returns the squared error of the levels of [0, top] nearest to (x - m) / d.
func errAffine(x []float32, d, m float32, top int32) (err float32) {
	inv := inverse(d)
	for _, v := range x {
		e := v - (float32(d*levelFloat((v-m)*inv, 0, top)) + m)
		err += float32(e * e)
	}
	return err
}

// quantizeAffine stores those levels in q.
func quantizeAffine(q []uint8, x []float32, d, m float32, top int32) {
	inv := inverse(d)
	for i, v := range x {
		q[i] = uint8(level((v-m)*inv, 0, top))
	}
}
