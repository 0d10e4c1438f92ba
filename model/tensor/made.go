package tensor

// Computed returns a tensor of t's name, the given shape and type F32. f computes its elements from t's at each Load.
func Computed(t *Tensor, shape []int, f func(x []float32) []float32) *Tensor {
	return New(t.Name, F32, shape, func() ([]byte, error) {
		x, err := t.Floats()
		if err != nil {
			return nil, err
		}
		y := f(x)
		data := make([]byte, F32.Bytes(len(y)))
		F32.Encode(data, y)
		return data, nil
	})
}

// Scaled returns t as typ, with every element multiplied by f at each Load. Powers of two change no digits.
func Scaled(t *Tensor, typ Type, f float32) *Tensor {
	if f == 1 && typ == t.Type {
		return t
	}
	return From(t, typ, t.Shape, func(src []byte) ([]byte, error) {
		const piece = 1 << 16 // whole blocks of every type
		dst, x := make([]byte, typ.Bytes(t.Len())), make([]float32, piece)
		for at := 0; at < t.Len(); at += piece {
			part := x[:min(piece, t.Len()-at)]
			t.Type.Decode(part, src[t.Type.Bytes(at):])
			for i := range part {
				part[i] *= f
			}
			typ.Encode(dst[typ.Bytes(at):], part)
		}
		return dst, nil
	})
}
