package quant

var (
	levels3 = symmetric{-4, 3, 2}
	levels6 = symmetric{-32, 31, 27}
)

// encodeQ3_K: levels 0 to 7 stand for -4 to 3, their third bit apart; scales for -32 to 31.
func encodeQ3_K(dst []byte, x []float32) {
	r := fitRuns(&levels3, -32, x, dst[108:])
	clear(dst[:108])
	high, low, scales := dst[:32], dst[32:96], dst[96:108]
	for i, q := range r.q {
		row, l := i/32, i%32
		high[l] |= q >> 2 << row
		low[row/4*32+l] |= q & 3 << (row % 4 * 2)
	}
	for j, scale := range r.scale {
		s := byte(scale + 32)
		scales[j%8] |= s & 15 << (j / 8 * 4)
		scales[8+j%4] |= s >> 4 << (j / 4 * 2)
	}
}

// encodeQ6_K: levels 0 to 63 stand for -32 to 31, their bits 4 and 5 apart.
func encodeQ6_K(dst []byte, x []float32) {
	r := fitRuns(&levels6, -128, x, dst[208:])
	clear(dst[:192])
	low, high, scales := dst[:128], dst[128:192], dst[192:208]
	for i, q := range r.q {
		row, l := i/32, i%32
		low[row/4*64+row%2*32+l] |= q & 15 << (row % 4 / 2 * 4)
		high[row/4*32+l] |= q >> 4 << (row % 4 * 2)
	}
	for j, scale := range r.scale {
		scales[j] = byte(scale)
	}
}

func encodeQ4_K(dst []byte, x []float32) {
	r := fitAffineRuns(15, x, dst, dst[2:])
	r.packScales(dst[4:16])
	r.packNibbles(dst[16:144])
}

func encodeQ5_K(dst []byte, x []float32) {
	r := fitAffineRuns(31, x, dst, dst[2:])
	r.packScales(dst[4:16])
	r.packNibbles(dst[48:176])
	clear(dst[16:48])
	for i, q := range r.q {
		dst[16+i%32] |= q >> 4 << (i / 32)
	}
}

// packNibbles stores the low four bits of all levels, two rows of 32 in each 32 bytes.
func (r *affineRuns) packNibbles(dst []byte) {
	for i := range dst {
		q := r.q[i/32*64+i%32:]
		dst[i] = q[0]&15 | q[32]<<4
	}
}

// packScales stores scales and minima of six bits each: the first four of each in the low bits of 8 bytes, the others
// as nibbles of the last 4, with their two high bits on top of the first 8.
func (r *affineRuns) packScales(dst []byte) {
	for j := range 4 {
		s, m := byte(r.scale[j+4]), byte(r.minimum[j+4])
		dst[j] = byte(r.scale[j]) | s>>4<<6
		dst[j+4] = byte(r.minimum[j]) | m>>4<<6
		dst[j+8] = s&15 | m<<4
	}
}
