package quant

// nonLinear are IQ4_NL's levels, as model/tensor decodes them.
var nonLinear = [16]int32{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

// The levels lie between -nonLinearSpan and nonLinearSpan.
const nonLinearSpan = 127

// nearestLevel holds the index of the level nearest to i / 2, at i + 2 nonLinearSpan. Halfway between two levels is a
// multiple of a half, so that rounding to halves decides well enough.
var nearestLevel = func() (table [4*nonLinearSpan + 1]uint8) {
	best := 0
	for i := range table {
		twice := int32(i) - 2*nonLinearSpan
		for best < 15 && nonLinear[best]+nonLinear[best+1] < twice {
			best++
		}
		table[i] = uint8(best)
	}
	return table
}()

// nonLinearFloat are the levels as they enter products.
var nonLinearFloat = func() (f [16]float32) {
	for i, l := range nonLinear {
		f[i] = float32(l)
	}
	return f
}()

// nonLinearIndex returns the index of the level nearest to f.
func nonLinearIndex(f float32) uint8 {
	return nearestLevel[level(2*f, -2*nonLinearSpan, 2*nonLinearSpan)+2*nonLinearSpan]
}

// encodeIQ4_NL searches the scale, of either sign since the levels are not symmetric, as symmetric.fit does.
func encodeIQ4_NL(dst []byte, x []float32) {
	var q [32]uint8
	inv := inverse(putHalf(dst, fitNonLinear(x)))
	for i, v := range x {
		q[i] = nonLinearIndex(v * inv)
	}
	packNibbles(dst[2:], &q)
}

func fitNonLinear(x []float32) float32 {
	most := magnitude(x)
	if most < negligible {
		return 0
	}
	var d, gain float32
	try := func(inv float32) bool {
		var xq, qq float32
		for _, v := range x {
			q := nonLinearFloat[nonLinearIndex(v*inv)&15]
			xq += float32(v * q)
			qq += float32(q * q)
		}
		if qq == 0 || xq*xq <= gain*qq {
			return false
		}
		d, gain = xq/qq, xq*xq/qq
		return true
	}
	const tries = 16
	for i := range tries {
		at := (80 + 60*float32(i)/(tries-1)) / most
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
