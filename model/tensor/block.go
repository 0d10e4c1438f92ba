package tensor

import "encoding/binary"

// The block types are ggml's (block_q4_0 … block_iq4_nl in its ggml-common.h). Halves are IEEE binary16, and d and m
// name a block's scale and minimum. All arithmetic is in float32, in the order of ggml's dequantize_row functions,
// without fused multiply-adds: the explicit conversions around products forbid them.

// blockDecoders decode one block: all of its elements, all of its bytes.
var blockDecoders = map[Type]func(dst []float32, b []byte){
	Q4_0: decodeQ4_0, Q4_1: decodeQ4_1, Q5_0: decodeQ5_0, Q5_1: decodeQ5_1, Q8_0: decodeQ8_0,
	Q3_K: decodeQ3_K, Q4_K: decodeQ4_K, Q5_K: decodeQ5_K, Q6_K: decodeQ6_K, IQ4_NL: decodeIQ4_NL,
}

// decodeBlocks is Decode for the block types; the last block may be wanted in part.
func (t Type) decodeBlocks(dst []float32, src []byte) {
	decode, n, size := blockDecoders[t], t.info().elements, t.info().bytes
	for ; len(dst) >= n; dst, src = dst[n:], src[size:] {
		decode(dst[:n:n], src[:size:size])
	}
	if len(dst) > 0 {
		var rest [256]float32
		decode(rest[:n], src[:size])
		copy(dst, rest[:])
	}
}

// half reads the binary16 at the start of b.
func half(b []byte) float32 { return F16ToFloat(binary.LittleEndian.Uint16(b)) }

// decodeQ4_0: d, 16 bytes of nibbles; x = d (q - 8). Byte j holds element j in its low and j + 16 in its high nibble.
func decodeQ4_0(dst []float32, b []byte) {
	d := half(b)
	for j, q := range b[2:18] {
		dst[j] = d * float32(int(q&15)-8)
		dst[j+16] = d * float32(int(q>>4)-8)
	}
}

// decodeQ4_1: d, m, 16 bytes of nibbles; x = d q + m.
func decodeQ4_1(dst []float32, b []byte) {
	d, m := half(b), half(b[2:])
	for j, q := range b[4:20] {
		dst[j] = float32(d*float32(q&15)) + m
		dst[j+16] = float32(d*float32(q>>4)) + m
	}
}

// decodeQ5_0: d, 32 fifth bits, 16 bytes of nibbles; x = d (q - 16).
func decodeQ5_0(dst []float32, b []byte) {
	d, high := half(b), binary.LittleEndian.Uint32(b[2:])
	for j, q := range b[6:22] {
		dst[j] = d * float32(int(fifth(q&15, high, j))-16)
		dst[j+16] = d * float32(int(fifth(q>>4, high, j+16))-16)
	}
}

// decodeQ5_1: d, m, 32 fifth bits, 16 bytes of nibbles; x = d q + m.
func decodeQ5_1(dst []float32, b []byte) {
	d, m, high := half(b), half(b[2:]), binary.LittleEndian.Uint32(b[4:])
	for j, q := range b[8:24] {
		dst[j] = float32(d*float32(fifth(q&15, high, j))) + m
		dst[j+16] = float32(d*float32(fifth(q>>4, high, j+16))) + m
	}
}

// fifth puts bit j of high on top of the four bits of q.
func fifth(q byte, high uint32, j int) byte { return q | byte(high>>j&1)<<4 }

// decodeQ8_0: d, 32 signed bytes; x = d q.
func decodeQ8_0(dst []float32, b []byte) {
	d := half(b)
	for j, q := range b[2:34] {
		dst[j] = d * float32(int8(q))
	}
}

// nonLinear are the 16 levels of IQ4_NL, closer together around zero, where most weights lie.
var nonLinear = [16]float32{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

// decodeIQ4_NL: d, 16 bytes of nibbles as in Q4_0; x = d level[q].
func decodeIQ4_NL(dst []float32, b []byte) {
	d := half(b)
	for j, q := range b[2:18] {
		dst[j] = d * nonLinear[q&15]
		dst[j+16] = d * nonLinear[q>>4]
	}
}

// decodeQ3_K: 32 bytes of third bits, 64 bytes of low bit pairs, 12 bytes of 16 six-bit scales, d. Elements lie in two
// halves of 128; in each, bit pair p of byte l is element 32 p + l, and the third bit of the pair's row 4 half + p is
// bit 4 half + p of byte l. A set third bit means "do not subtract 4". x = d (scale - 32) q for each run of 16.
func decodeQ3_K(dst []float32, b []byte) {
	high, low, scales, d := b[:32], b[32:96], b[96:108], half(b[108:])
	for row := range 8 { // of 32 elements
		q := low[row/4*32:]
		for part := range 2 {
			scale := d * float32(int(Scale3(scales, 2*row+part))-32)
			for l := 16 * part; l < 16*part+16; l++ {
				v := int(q[l]>>(row%4*2)&3) - 4
				if high[l]>>row&1 == 1 {
					v += 4
				}
				dst[32*row+l] = scale * float32(v)
			}
		}
	}
}

// Scale3 returns the j-th of the 16 six-bit scales of Q3_K from their 12 bytes: four bits in the nibbles of the first 8
// bytes, two in the last 4.
func Scale3(s []byte, j int) byte {
	low := s[j%8] >> (j / 8 * 4) & 15
	return low | s[8+j%4]>>(j/4*2)&3<<4
}

// decodeQ4_K: d, m, 12 bytes of 8 scales and 8 minima, 128 bytes of nibbles. Byte l of the i-th 32 bytes holds element
// 64 i + l in its low and 64 i + 32 + l in its high nibble. x = d scale q - m minimum for each run of 32.
func decodeQ4_K(dst []float32, b []byte) {
	d, m, scales, nibbles := half(b), half(b[2:]), b[4:16], b[16:144]
	for j := range 8 {
		scale, minimum := ScaleMin(scales, j)
		ds, mm := d*float32(scale), float32(m*float32(minimum))
		for l, q := range nibbles[j/2*32:][:32] {
			dst[32*j+l] = float32(ds*float32(q>>(j%2*4)&15)) - mm
		}
	}
}

// decodeQ5_K: as Q4_K, with 32 bytes of fifth bits before the nibbles: bit j of byte l belongs to element 32 j + l.
func decodeQ5_K(dst []float32, b []byte) {
	d, m, scales, high, nibbles := half(b), half(b[2:]), b[4:16], b[16:48], b[48:176]
	for j := range 8 {
		scale, minimum := ScaleMin(scales, j)
		ds, mm := d*float32(scale), float32(m*float32(minimum))
		for l, q := range nibbles[j/2*32:][:32] {
			dst[32*j+l] = float32(ds*float32(q>>(j%2*4)&15|high[l]>>j&1<<4)) - mm
		}
	}
}

// ScaleMin returns the j-th of 8 scales and minima of Q4_K and Q5_K, six bits each, from their 12 bytes. The first four
// of each stand in the low bits of 8 bytes; the others are split into nibbles of the last 4 and the two high bits of
// the first 8.
func ScaleMin(s []byte, j int) (scale, minimum byte) {
	if j < 4 {
		return s[j] & 63, s[j+4] & 63
	}
	return s[j+4]&15 | s[j-4]>>6<<4, s[j+4]>>4 | s[j]>>6<<4
}

// decodeQ6_K: 128 bytes of low nibbles, 64 bytes of high bit pairs, 16 signed scales, d. Elements lie in two halves of
// 128, of four rows of 32 each: rows 0 and 1 take the low nibbles of 64 bytes, rows 2 and 3 the high ones; the row's
// number is that of its bit pair. x = d scale (q - 32) for each run of 16.
func decodeQ6_K(dst []float32, b []byte) {
	low, high, scales, d := b[:128], b[128:192], b[192:208], half(b[208:])
	for row := range 8 {
		nibbles, pairs := low[row/4*64+row%2*32:], high[row/4*32:]
		for part := range 2 {
			scale := d * float32(int8(scales[2*row+part]))
			for l := 16 * part; l < 16*part+16; l++ {
				q := nibbles[l]>>(row%4/2*4)&15 | pairs[l]>>(row%4*2)&3<<4
				dst[32*row+l] = scale * float32(int(q)-32)
			}
		}
	}
}

// Halves returns the offsets of the binary16 numbers in a block of type t, its scale and minimum: none for a plain
// type.
func (t Type) Halves() []int { return halves[t] }

// halves are the offsets of the binary16 numbers in a block of each type.
var halves = map[Type][]int{
	Q4_0: {0}, Q4_1: {0, 2}, Q5_0: {0}, Q5_1: {0, 2}, Q8_0: {0},
	Q3_K: {108}, Q4_K: {0, 2}, Q5_K: {0, 2}, Q6_K: {208}, IQ4_NL: {0},
}

// checkFiniteBlocks is CheckFinite for the block types. A scale or minimum that is not finite spoils its whole block
// (infinity times zero is NaN), and finite ones cannot overflow a float32.
func (t Type) checkFiniteBlocks(data []byte) int {
	n, size := t.Block()
	for block := 0; len(data) >= size; block, data = block+1, data[size:] {
		for _, at := range halves[t] {
			if binary.LittleEndian.Uint16(data[at:])&0x7c00 == 0x7c00 {
				return block * n
			}
		}
	}
	return -1
}
