package weights

// transpose returns src, a stack of [rows, cols] matrices of elements of size bytes, as a stack of [cols, rows]
// matrices. It walks in square blocks so that both sides stay in cache.
func transpose(src []byte, size, rows, cols int) []byte {
	dst := make([]byte, len(src))
	n := rows * cols * size
	for at := 0; at+n <= len(src); at += n {
		transposeOne(dst[at:at+n], src[at:at+n], size, rows, cols)
	}
	return dst
}

func transposeOne(dst, src []byte, size, rows, cols int) {
	const block = 32
	for r0 := 0; r0 < rows; r0 += block {
		r1 := min(r0+block, rows)
		for c0 := 0; c0 < cols; c0 += block {
			c1 := min(c0+block, cols)
			for r := r0; r < r1; r++ {
				for c := c0; c < c1; c++ {
					copy(dst[(c*rows+r)*size:][:size], src[(r*cols+c)*size:])
				}
			}
		}
	}
}
