package model

import (
	"math"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// Converters change some numbers of a model; here they are changed back.

// scaled returns t as typ with every element multiplied by f. Powers of two leave the digits as they are.
func scaled(t *tensor.Tensor, typ tensor.Type, f float32) *tensor.Tensor {
	if f == 1 && typ == t.Type {
		return t
	}
	return tensor.New(t.Name, typ, t.Shape, func() ([]byte, error) {
		src, err := t.Load()
		if err != nil {
			return nil, err
		}
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

// times returns t multiplied by n, a power of two: in its own type if that holds every product, else as F32. To know,
// it reads t.
func times(t *tensor.Tensor, n int) (*tensor.Tensor, error) {
	if !t.Type.CanEncode() {
		return scaled(t, tensor.F32, float32(n)), nil
	}
	y := scaled(t, t.Type, float32(n))
	data, err := y.Load()
	if err != nil {
		return nil, err
	}
	if y.Type.CheckFinite(data) >= 0 {
		return scaled(t, tensor.F32, float32(n)), nil
	}
	return y, nil
}

// undo returns the original numbers of t, which holds the function form of them, as F32: of the numbers near the
// inverse, one that the function, computed as the model does, takes to the number in the file, if there is one.
func undo(t *tensor.Tensor, form weights.Form) *tensor.Tensor {
	var f, inverse func(float64) float64
	switch form {
	case weights.NegExp:
		f, inverse = minusExp, func(y float64) float64 { return math.Log(-y) }
	case weights.ExpNegExp:
		f, inverse = expMinusExp, func(y float64) float64 { return math.Log(-math.Log(y)) }
	case weights.Exp:
		f, inverse = math.Exp, math.Log
	default:
		return t
	}
	return mapped(t, func(y float64) float64 {
		x := float32(max(-farthest, min(farthest, inverse(y))))
		best, off := x, math.Inf(1)
		try := func(x float32) {
			if d := math.Abs(float64(float32(f(float64(x)))) - y); d < off {
				best, off = x, d
			}
		}
		try(x)
		up, down := x, x
		for range 8 {
			up, down = math.Nextafter32(up, math.MaxFloat32), math.Nextafter32(down, -math.MaxFloat32)
			try(up)
			try(down)
		}
		return float64(best)
	})
}

// farthest bounds exponents: exponentials beyond it are 0 or 1 in float32, whose inverse is infinite.
const farthest = 80
