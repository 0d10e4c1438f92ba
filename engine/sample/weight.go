package sample

import "math"

const (
	// WeightBits is the scale of weights: the most likely token weighs 2^WeightBits.
	WeightBits = 40
	// MaxVocabulary is the largest vocabulary whose sum of weights fits 64 bits.
	MaxVocabulary = 1 << (63 - WeightBits)

	log2e  = float32(math.Log2E)
	ln2Q32 = 2977044472 // round(ln 2 * 2^32)
)

// WeightTable holds 2^-(i/256) in units of 2^-31, rounded to nearest.
var WeightTable = func() (table [256]uint32) {
	for i := range table {
		table[i] = uint32(math.Round(math.Exp2(31 - float64(i)/256)))
	}
	return table
}()

// Weight returns 2^WeightBits * 2^-u for u >= 0: at least 1 for u < WeightBits, 0 beyond. It is integer arithmetic once
// u is truncated to 26 fraction bits: 8 of them by table, 18 by 1 - x + x²/2, within 4e-9 of exp(-x). It never grows
// with u.
func Weight(u float32) uint64 {
	if !(u < WeightBits) {
		return 0
	}
	return weight(u)
}

// weight is Weight for u < WeightBits, small enough to be inlined.
func weight(u float32) uint64 {
	y := uint64(int64(u * (1 << 26)))
	x := (y & (1<<18 - 1)) * ln2Q32 >> 26 // 2^32 * ln 2 * the low 18 bits
	w := uint64(WeightTable[y>>18&255])
	w -= w * (x - x*x>>33) >> 32
	return w << (WeightBits - 31) >> (y >> 26)
}

// inverse returns the factor that turns t = max - logit into the exponent u of a weight at a temperature > 0. The
// bound keeps 0 * factor at 0.
func inverse(temperature float32) float32 {
	return float32(min(math.Log2E/float64(temperature), 1e30))
}
