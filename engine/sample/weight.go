package sample

import "math"

const (
	// WeightBits is the scale of weights: the most likely token weighs 2^WeightBits.
	WeightBits = 40
	// MaxVocabulary is the largest vocabulary whose sum of weights fits 64 bits.
	MaxVocabulary = 1 << (63 - WeightBits)

	log2e = float32(math.Log2E)

	fixedBits = 26 // fraction bits of an exponent that a weight looks at
	tableBits = 10 // of these
)

// WeightTable holds 2^-(i/1024) in units of 2^-31, rounded to nearest, for i = 0 to 1024.
var WeightTable = func() (table [1<<tableBits + 1]uint32) {
	for i := range table {
		table[i] = uint32(math.Round(math.Exp2(31 - float64(i)/(1<<tableBits))))
	}
	return table
}()

// lines holds WeightTable as lines between its entries.
var lines = func() (lines [1 << tableBits]line) {
	for i := range lines {
		lines[i] = line{uint64(WeightTable[i]) << (fixedBits - tableBits), uint64(WeightTable[i] - WeightTable[i+1])}
	}
	return lines
}()

// line is the first value of a line and how much it falls at each of its points, in units of 2^-47.
type line struct{ first, fall uint64 }

// Weight returns 2^WeightBits * 2^-u for u >= 0: at least 1 for u < WeightBits, 0 beyond. It truncates u to 26 fraction
// bits. The rest is integer arithmetic: linear interpolation between the entries of WeightTable, rounded down. The
// result is above the exact value by less than 6e-8 of it, and never grows with u.
func Weight(u float32) uint64 {
	if !(u < WeightBits) {
		return 0
	}
	return weight(exponent(u, 1))
}

// exponent returns u = t * factor with 26 fraction bits, for u < WeightBits. The product by a power of two is exact, so
// it does not matter which product comes first.
func exponent(t, factor float32) uint64 { return uint64(int64(t * (factor * (1 << fixedBits)))) }

// weight is Weight for the u < WeightBits that has the fixed-point form y. For other y it returns any number.
func weight(y uint64) uint64 {
	const unit = 31 + fixedBits - tableBits
	l := &lines[y>>(fixedBits-tableBits)&(1<<tableBits-1)]
	return (l.first - l.fall*(y&(1<<(fixedBits-tableBits)-1))) >> ((y>>fixedBits + unit - WeightBits) & 63)
}

// inverse returns the factor that turns t = max - logit into the exponent u of a weight at a temperature > 0. Its
// bounds keep 0 * factor at 0 and the factor a normal number. So all temperatures below 1.4e-30 are alike, and all
// above 1e38.
func inverse(temperature float32) float32 {
	return float32(min(max(math.Log2E/float64(temperature), 1.0/(1<<126)), 1e30))
}

// firstKey returns the smallest key whose t has an exponent t * factor of at least u > 0.
func firstKey(u, factor float32) uint32 {
	key := math.Float32bits(u / factor) // or one of its neighbours
	for math.Float32frombits(key-1)*factor >= u {
		key--
	}
	for math.Float32frombits(key)*factor < u {
		key++
	}
	return key
}

// lastWeighed returns the largest key whose weight is not 0, below outKey.
func lastWeighed(factor float32) uint32 { return firstKey(WeightBits, factor) - 1 }
