package quant

import "encoding/binary"

// The decoders in model/tensor/block.go read what these functions write. The layouts are described there.

// encodeQ8_0 rounds as ggml does: ties away from zero, with the scale before it is rounded itself. That costs nothing
// unless the scale is a subnormal binary16, which has few bits. Then the stored scale decides.
func encodeQ8_0(dst []byte, x []float32) {
	const leastNormal = 1.0 / (1 << 14)
	scale := magnitude(x) / 127
	inv := inverse(scale)
	if d := putHalf(dst, scale); d < leastNormal {
		inv = inverse(d)
	}
	for i, v := range x {
		v *= inv
		if v < 0 {
			dst[2+i] = byte(max(int32(v-0.5), -127))
		} else {
			dst[2+i] = byte(min(int32(v+0.5), 127))
		}
	}
}

var (
	levels4 = symmetric{-8, 7, 5.4}
	levels5 = symmetric{-16, 15, 12}
)

func encodeQ4_0(dst []byte, x []float32) {
	var q [32]uint8
	levels4.quantize(q[:], x, putHalf(dst, levels4.fit(x)))
	packNibbles(dst[2:], &q)
}

func encodeQ5_0(dst []byte, x []float32) {
	var q [32]uint8
	levels5.quantize(q[:], x, putHalf(dst, levels5.fit(x)))
	packFifths(dst[2:], &q)
	packNibbles(dst[6:], &q)
}

func encodeQ4_1(dst []byte, x []float32) {
	var q [32]uint8
	encodeAffine(&q, dst, x, 15)
	packNibbles(dst[4:], &q)
}

func encodeQ5_1(dst []byte, x []float32) {
	var q [32]uint8
	encodeAffine(&q, dst, x, 31)
	packFifths(dst[4:], &q)
	packNibbles(dst[8:], &q)
}

// encodeAffine searches scale and minimum, stores them in dst, and the levels of [0, top] in q.
func encodeAffine(q *[32]uint8, dst []byte, x []float32, top int32) {
	d, m := fitAffine(x, top, false)
	d, m = putHalf(dst, d), putMinimum(dst[2:], m)
	quantizeAffine(q[:], x, d, m, top)
}

// packNibbles stores the low four bits of q: element j in the low and j + 16 in the high nibble of byte j.
func packNibbles(dst []byte, q *[32]uint8) {
	for j := range 16 {
		dst[j] = q[j]&15 | q[j+16]<<4
	}
}

// packFifths stores bit 4 of element j as bit j.
func packFifths(dst []byte, q *[32]uint8) {
	var high uint32
	for j, v := range q {
		high |= uint32(v>>4&1) << j
	}
	binary.LittleEndian.PutUint32(dst, high)
}
