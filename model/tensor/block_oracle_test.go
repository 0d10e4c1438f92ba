package tensor

import (
	"encoding/binary"
	"math/rand/v2"
)

// block is the content of a block as the integers and halves it was made of, from which the oracle knows both the
// bytes, by the rules for writing, and the values, by the formula. Nothing in it reads a block.
type block struct {
	typ     Type
	d, m    uint16 // binary16
	scales  []int  // six-bit, or signed eight-bit for Q6_K; none for the types of 32 elements
	minima  []int
	weights []int // q of every element, as stored, not negative but for Q8_0
}

// randomBlock draws a block with all bits of every field in play.
func randomBlock(rng *rand.Rand, typ Type) block {
	finite := func() uint16 { return uint16(rng.UintN(2))<<15 | uint16(1+rng.UintN(29))<<10 | uint16(rng.UintN(1024)) }
	b := block{typ: typ, d: finite(), m: finite()}
	draw := func(n, most int) (out []int) {
		for range n {
			out = append(out, rng.IntN(most+1))
		}
		return out
	}
	switch typ {
	case Q4_0, Q4_1, IQ4_NL:
		b.weights = draw(32, 15)
	case Q5_0, Q5_1:
		b.weights = draw(32, 31)
	case Q8_0:
		for range 32 {
			b.weights = append(b.weights, rng.IntN(256)-128)
		}
	case Q3_K:
		b.scales, b.weights = draw(16, 63), draw(256, 7)
	case Q4_K:
		b.scales, b.minima, b.weights = draw(8, 63), draw(8, 63), draw(256, 15)
	case Q5_K:
		b.scales, b.minima, b.weights = draw(8, 63), draw(8, 63), draw(256, 31)
	case Q6_K:
		for range 16 {
			b.scales = append(b.scales, rng.IntN(256)-128)
		}
		b.weights = draw(256, 63)
	}
	return b
}

// value is the formula of the type for element i.
func (b block) value(i int) float32 {
	d, m, q := f16ToFloat(b.d), f16ToFloat(b.m), b.weights[i]
	switch b.typ {
	case Q4_0:
		return d * float32(q-8)
	case Q5_0:
		return d * float32(q-16)
	case Q4_1, Q5_1:
		product := d * float32(q)
		return float32(product) + m
	case Q8_0:
		return d * float32(q)
	case IQ4_NL:
		return d * []float32{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}[q]
	case Q3_K:
		return float32(d*float32(b.scales[i/16]-32)) * float32(q-4)
	case Q6_K:
		return float32(d*float32(b.scales[i/16])) * float32(q-32)
	}
	product := float32(d*float32(b.scales[i/32])) * float32(q) // Q4_K, Q5_K
	return float32(product) - float32(m*float32(b.minima[i/32]))
}

// bytes writes the block, field by field, in the way of ggml's quantizers.
func (b block) bytes() []byte {
	d, m := binary.LittleEndian.AppendUint16(nil, b.d), binary.LittleEndian.AppendUint16(nil, b.m)
	dm := append(append([]byte{}, d...), m...)
	switch b.typ {
	case Q4_0, IQ4_NL:
		return append(d, pairs(b.weights, 32)...)
	case Q4_1:
		return append(dm, pairs(b.weights, 32)...)
	case Q5_0:
		return append(append(d, topBits(b.weights, 16)...), pairs(b.weights, 32)...)
	case Q5_1:
		return append(append(dm, topBits(b.weights, 16)...), pairs(b.weights, 32)...)
	case Q8_0:
		for _, q := range b.weights {
			d = append(d, byte(q))
		}
		return d
	case Q3_K:
		out := append(planes(b.weights, 4), bitPairs(b.weights, 0)...)
		return append(append(out, b.scales3()...), d...)
	case Q4_K:
		return append(append(dm, b.scalesMinima()...), pairs(b.weights, 64)...)
	case Q5_K:
		out := append(append(dm, b.scalesMinima()...), planes(b.weights, 16)...)
		return append(out, pairs(b.weights, 64)...)
	}
	var out []byte // Q6_K
	for half := range 2 {
		for l := range 64 {
			q := b.weights[128*half+l:]
			out = append(out, byte(q[0]&15|q[64]&15<<4))
		}
	}
	out = append(out, bitPairs(b.weights, 4)...)
	for _, s := range b.scales {
		out = append(out, byte(s))
	}
	return append(out, d...)
}

// pairs joins elements half a run apart in a byte, the first one below: runs of 32 or 64.
func pairs(q []int, run int) (out []byte) {
	for start := 0; start < len(q); start += run {
		for l := range run / 2 {
			out = append(out, byte(q[start+l]&15|q[start+l+run/2]&15<<4))
		}
	}
	return out
}

// topBits collects bit of all 32 elements in a little-endian word.
func topBits(q []int, bit int) []byte {
	var word uint32
	for i, v := range q {
		if v&bit != 0 {
			word |= 1 << i
		}
	}
	return binary.LittleEndian.AppendUint32(nil, word)
}

// planes collects bit of 256 elements in 32 bytes: elements 0 to 31 in the lowest bit of each, and so on.
func planes(q []int, bit int) []byte {
	out := make([]byte, 32)
	for i, v := range q {
		if v&bit != 0 {
			out[i%32] |= 1 << (i / 32)
		}
	}
	return out
}

// bitPairs joins two bits, from shift on, of four elements 32 apart in a byte.
func bitPairs(q []int, shift int) (out []byte) {
	for half := range 2 {
		for l := range 32 {
			c := 0
			for row := range 4 {
				c |= q[128*half+32*row+l] >> shift & 3 << (2 * row)
			}
			out = append(out, byte(c))
		}
	}
	return out
}

// scales3 packs the 16 scales of Q3_K: low nibbles of 0 to 7, above them those of 8 to 15, then the pairs of high bits.
func (b block) scales3() []byte {
	out := make([]byte, 12)
	for j, s := range b.scales {
		if j < 8 {
			out[j] |= byte(s & 15)
		} else {
			out[j-8] |= byte(s & 15 << 4)
		}
		out[8+j%4] |= byte(s >> 4 << (2 * (j / 4)))
	}
	return out
}

// scalesMinima packs the scales and minima of Q4_K and Q5_K.
func (b block) scalesMinima() []byte {
	out := make([]byte, 12)
	for j := range 4 {
		out[j] = byte(b.scales[j] | b.scales[j+4]>>4<<6)
		out[j+4] = byte(b.minima[j] | b.minima[j+4]>>4<<6)
		out[j+8] = byte(b.scales[j+4]&15 | b.minima[j+4]&15<<4)
	}
	return out
}
