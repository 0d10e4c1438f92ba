package quant

import "math"

// A block of 256 elements has runs. Each run has a scale (and a minimum, in Q4_K and Q5_K): an integer of few bits
// times a scale of the block. First each run is fitted by itself. Then the block's scales are chosen, and integers for
// the runs near the fitted ones are tried with the levels that follow. Then the block's scales are set by least squares
// for those integers. A few rounds of this follow.

const rounds = 3 // of improving a block; the best is kept, since the last is not always best

// runs are the levels and scales of a block of 16 runs of 16 symmetric elements.
type runs struct {
	q     [256]uint8
	scale [16]int32
}

// fitRuns searches levels of s and scales of [low, -low - 1] for x, and stores the block's scale in d.
func fitRuns(s *symmetric, low int32, x []float32, d []byte) *runs {
	var fits [16]float32
	var most float32 // the scale of largest magnitude, with its sign
	for j := range fits {
		fits[j] = s.fit(x[16*j : 16*j+16])
		if magnitude(fits[j:j+1]) > magnitude([]float32{most}) {
			most = fits[j]
		}
	}
	var best, now runs
	if most == 0 {
		best.clear(s)
		putHalf(d, 0)
		return &best
	}
	least := float32(math.Inf(1))
	try := func(scale float32) bool {
		scale = half(scale)
		err := now.choose(s, low, x, &fits, scale)
		if err >= least {
			return false
		}
		least, best = err, now
		putHalf(d, scale)
		return true
	}
	try(most / float32(low))
	for range rounds {
		if scale := best.blockScale(s, x); scale == 0 || !try(scale) {
			break
		}
	}
	return &best
}

// clear makes all elements zero.
func (r *runs) clear(s *symmetric) {
	for i := range r.q {
		r.q[i] = uint8(-s.lo)
	}
	r.scale = [16]int32{}
}

// choose sets levels and scales for a block of scale d, with scales near fits, and returns the squared error.
func (r *runs) choose(s *symmetric, low int32, x []float32, fits *[16]float32, d float32) (err float32) {
	for j, fit := range fits {
		part, least := x[16*j:16*j+16], float32(math.Inf(1))
		at := level(max(min(fit/d, 1<<20), -1<<20), low, -low-1)
		for scale := max(low, at-1); scale <= min(at+1, -low-1); scale++ {
			if e := s.err(part, d*float32(scale)); e < least {
				least, r.scale[j] = e, scale
			}
		}
		s.quantize(r.q[16*j:16*j+16], part, d*float32(r.scale[j]))
		err += least
	}
	return err
}

// blockScale returns the scale of the block with the least squared error for the levels and scales of r.
func (r *runs) blockScale(s *symmetric, x []float32) float32 {
	var xa, aa float32
	for j, scale := range r.scale {
		for i := 16 * j; i < 16*j+16; i++ {
			a := float32(scale * (int32(r.q[i]) + s.lo))
			xa += float32(x[i] * a)
			aa += float32(a * a)
		}
	}
	if aa == 0 {
		return 0
	}
	return xa / aa
}

// affineRuns are the levels, scales and minima of a block of 8 runs of 32 elements scale q - minimum.
type affineRuns struct {
	q              [256]uint8
	scale, minimum [8]int32
}

// top6 is the largest scale or minimum of Q4_K and Q5_K.
const top6 = 63

// fitAffineRuns searches levels of [0, top], scales and minima for x, and stores the block's two scales in d and m.
func fitAffineRuns(top int32, x []float32, d, m []byte) *affineRuns {
	var fits, minima [8]float32
	for j := range fits {
		fits[j], minima[j] = fitAffine(x[32*j:32*j+32], top, true)
		minima[j] = -minima[j]
	}
	var best, now affineRuns
	least := float32(math.Inf(1))
	try := func(scale, minimum float32) bool {
		scale, minimum = half(scale), half(minimum)
		err := now.choose(top, x, &fits, &minima, scale, minimum)
		if err >= least {
			return false
		}
		least, best = err, now
		putHalf(d, scale)
		putHalf(m, minimum)
		return true
	}
	try(magnitude(fits[:])/top6, magnitude(minima[:])/top6)
	for range rounds {
		if scale, minimum := best.blockScales(x); !try(scale, minimum) {
			break
		}
	}
	return &best
}

// choose sets levels, scales near fits and minima near minima for a block of scales d and m, and returns the squared
// error.
func (r *affineRuns) choose(top int32, x []float32, fits, minima *[8]float32, d, m float32) (err float32) {
	for j := range fits {
		part, least := x[32*j:32*j+32], float32(math.Inf(1))
		scaleAt, minimumAt := near(fits[j], d), near(minima[j], m)
		for scale := max(0, scaleAt-1); scale <= min(scaleAt+1, top6); scale++ {
			for minimum := max(0, minimumAt-1); minimum <= min(minimumAt+1, top6); minimum++ {
				if e := errAffine(part, d*float32(scale), -m*float32(minimum), top); e < least {
					least, r.scale[j], r.minimum[j] = e, scale, minimum
				}
			}
		}
		quantizeAffine(r.q[32*j:32*j+32], part, d*float32(r.scale[j]), -m*float32(r.minimum[j]), top)
		err += least
	}
	return err
}

// near returns the integer of [0, top6] nearest to f / d.
func near(f, d float32) int32 {
	return level(max(min(f*inverse(d), top6), 0), 0, top6)
}

// blockScales returns the scales d and m of the block with the least squared error for the integers of r.
func (r *affineRuns) blockScales(x []float32) (d, m float32) {
	var aa, ab, bb, xa, xb float64 // x = d a - m b
	for j := range r.scale {
		b := float64(r.minimum[j])
		for i := 32 * j; i < 32*j+32; i++ {
			a, v := float64(r.scale[j]*int32(r.q[i])), float64(x[i])
			aa += a * a
			ab += a * b
			bb += b * b
			xa += v * a
			xb += v * b
		}
	}
	if det := aa*bb - ab*ab; det > 0 {
		d, m = float32((xa*bb-xb*ab)/det), float32((xa*ab-xb*aa)/det)
	} else if aa > 0 {
		d = float32(xa / aa)
	}
	return max(d, 0), max(m, 0)
}
