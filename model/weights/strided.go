package weights

// inOrder reports whether elements of that shape and stride lie one after the other.
func inOrder(shape, stride []int) bool {
	want := 1
	for i := len(shape) - 1; i >= 0; i-- {
		if shape[i] != 1 && stride[i] != want {
			return false
		}
		want *= shape[i]
	}
	return true
}

// gather returns the elements of size bytes that shape and stride (in elements) select from raw, one after the other.
func gather(raw []byte, size int, shape, stride []int) []byte {
	shape, stride = merge(shape, stride)
	n := size
	for _, d := range shape {
		n *= d
	}
	if len(shape) == 2 && stride[0] == 1 && stride[1] == shape[0] {
		return transpose(raw[:n], size, shape[1], shape[0])
	}
	dst := make([]byte, 0, n)
	return appendStrided(dst, raw, size, shape, stride)
}

// merge drops dimensions of 1 and joins neighbours that lie one after the other.
func merge(shape, stride []int) (merged, strides []int) {
	for i, d := range shape {
		if d == 1 {
			continue
		}
		if n := len(merged); n > 0 && strides[n-1] == stride[i]*d {
			merged[n-1] *= d
			strides[n-1] = stride[i]
			continue
		}
		merged, strides = append(merged, d), append(strides, stride[i])
	}
	return merged, strides
}

// appendStrided appends the elements in order; raw begins at the first. It recurses once per dimension.
func appendStrided(dst, raw []byte, size int, shape, stride []int) []byte {
	if len(shape) == 0 {
		return append(dst, raw[:size]...)
	}
	d, step := shape[0], stride[0]*size
	if len(shape) == 1 && stride[0] == 1 {
		return append(dst, raw[:d*size]...)
	}
	for i := range d {
		dst = appendStrided(dst, raw[i*step:], size, shape[1:], stride[1:])
	}
	return dst
}
