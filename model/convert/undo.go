package convert

import (
	"math"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// Converters change some numbers of a model. This file changes them back.

// times returns t multiplied by n, a power of two. It keeps t's type if the type can store every product, else it is
// F32. It reads t to know that.
func times(t *tensor.Tensor, n int) (*tensor.Tensor, error) {
	if !t.Type.CanEncode() {
		return tensor.Scaled(t, tensor.F32, float32(n)), nil
	}
	y := tensor.Scaled(t, t.Type, float32(n))
	data, err := y.Load()
	if err != nil {
		return nil, err
	}
	if y.Type.CheckFinite(data) >= 0 {
		return tensor.Scaled(t, tensor.F32, float32(n)), nil
	}
	return y, nil
}

// undo returns the original numbers of t as F32. t stores a function of them, which form names. If numbers of 16 bits
// have the function values of t, up to an exponential's error in float32, it returns these. Otherwise it returns, for
// each element, a number near the inverse whose function value, computed as the model does, is nearest.
func undo(t *tensor.Tensor, form weights.Function) *tensor.Tensor {
	return tensor.Computed(op.Finite(t), t.Shape, func(y []float32) []float32 {
		x := make([]float32, len(y))
		for i, v := range y {
			x[i] = float32(max(-farthest, min(farthest, form.Inverse(float64(v)))))
		}
		off := func(x, y float32) float32 { return float32(math.Abs(form.Of(float64(x)) - float64(y))) }
		for _, short := range []tensor.Type{tensor.BF16, tensor.F16} {
			all := make([]float32, len(x))
			for i := range x {
				if all[i] = short.Round(x[i]); off(all[i], y[i]) > 3*ulp(y[i]) {
					all = nil
					break
				}
			}
			if all != nil {
				return all
			}
		}
		for i := range x {
			x[i] = nearby(x[i], func(x float32) float32 {
				return float32(math.Abs(float64(float32(form.Of(float64(x)))) - float64(y[i])))
			})
		}
		return x
	})
}

// farthest bounds exponents. Beyond it exponentials are 0 or 1 in float32, and their inverse is infinite.
const farthest = 80

// ulp returns the distance from x to the next larger magnitude.
func ulp(x float32) float32 {
	x = float32(math.Abs(float64(x)))
	return math.Nextafter32(x, math.MaxFloat32) - x
}

// nearby returns the number for which off is least among those next to x.
func nearby(x float32, off func(float32) float32) float32 {
	best, least := x, off(x)
	up, down := x, x
	for range 8 {
		up, down = math.Nextafter32(up, math.MaxFloat32), math.Nextafter32(down, -math.MaxFloat32)
		for _, x := range []float32{up, down} {
			if d := off(x); d < least {
				best, least = x, d
			}
		}
	}
	return best
}
