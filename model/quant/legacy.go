package quant


// What these write is what the decoders in model/tensor/block.go read, where the layouts are described.

// encodeQ8_0 rounds as ggml does, ties away from zero, by the scale before it is itself rounded. That is no loss but where
// the scale is a subnormal binary16, of few bits: there the stored scale decides.
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

// encodeQ4_0 searches the scale.
func encodeQ4_0(dst []byte, x []float32) {
	var q [32]int8
	levels4.quantize(q[:], x, putHalf(dst, levels4.fit(x)))
	for j := range 16 {
		dst[2+j] = byte(q[j]+8) | byte(q[j+16]+8)<<4
	}
}
