package sample

import "math"

const (
	// WeightBits is the scale of weights: the most likely token weighs 2^WeightBits.
	WeightBits = 40
	// MaxVocabulary is the largest vocabulary whose sum of weights fits 64 bits.
	MaxVocabulary = 1 << (63 - WeightBits)

	log2e = float32(math.Log2E)

	tableBits = 10 // of the 26 fraction bits that a weight looks at
)

// WeightTable holds 2^-(i/1024) in units of 2^-31, rounded to nearest, for i = 0 to 1024.
var WeightTable = func() (table [1<<tableBits + 1]uint32) {
	for i := range table {
		table[i] = uint32(math.Round(math.Exp2(31 - float64(i)/(1<<tableBits))))
	}
	return table
}()

// Weight returns 2^WeightBits * 2^-u for u >= 0: at least 1 for u < WeightBits, 0 beyond. It truncates u to 26 fraction
// bits. The rest is integer arithmetic: linear interpolation between the entries of WeightTable, rounded down. The
// result is above the exact value by less than 6e-8 of it, and never grows with u.
func Weight(u float32) uint64 {
	if !(u < WeightBits) {
		return 0
	}
	return weight(u)
}

// weight is Weight for u < WeightBits, small enough to be inlined.
func weight(u float32) uint64 {
	y := uint64(int64(u * (1 << 26)))
	i := y >> 16 & (1<<tableBits - 1)
	left, right := uint64(WeightTable[i]), uint64(WeightTable[i+1])
	return (left<<16 - (left-right)*(y&0xFFFF)) >> ((y>>26 + 47 - WeightBits) & 63)
}

// inverse returns the factor that turns t = max - logit into the exponent u of a weight at a temperature > 0. Its
// bounds keep 0 * factor at 0 and the factor a normal number. So all temperatures below 1.4e-30 are alike, and all
// above 1e38.
func inverse(temperature float32) float32 {
	return float32(min(max(math.Log2E/float64(temperature), 1.0/(1<<126)), 1e30))
}
