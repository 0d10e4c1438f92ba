package opcase

import (
	"math"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// Accuracy is how far a result may be off.
type Accuracy struct {
	MaxAbs float64 // of an element, as a part of the operand's largest
	NMSE   float64 // of an operand
}

// Float32 is for results whose numbers all are float32 or better. Float16 is for products of numbers that were rounded to
// float16, to 11 bits: a sum of many such products is off by about 2^-12 of its size, and a function of it by some
// times that (TestFloat16).
var (
	Float32 = Accuracy{MaxAbs: 1e-5, NMSE: 1e-10}
	Float16 = Accuracy{MaxAbs: 1. / (1 << 9), NMSE: 1. / (1 << 21)}
)

// compare wants got to be as near to want as a says, and all of it finite.
func (r *Result) compare(what string, got []float32, want []float64, a Accuracy) {
	if len(got) != len(want) {
		r.faultf("%s: want %d elements, got %d", what, len(want), len(got))
		return
	}
	var largest, sum, errSum, worst float64
	at := 0
	for i, w := range want {
		d := math.Abs(float64(got[i]) - w)
		if !tensor.IsFinite(got[i]) || math.IsNaN(w) || math.IsInf(w, 0) {
			r.MaxAbs, r.NMSE = math.MaxFloat64, math.MaxFloat64
			r.faultf("%s: element %d: want %v, got %v", what, i, w, got[i])
			return
		}
		if d > worst {
			worst, at = d, i
		}
		largest = max(largest, math.Abs(w))
		sum += w * w
		errSum += d * d
	}
	nmse := errSum / (sum + 1e-30)
	r.MaxAbs, r.NMSE = max(r.MaxAbs, worst), max(r.NMSE, nmse)
	if limit := a.MaxAbs*largest + 1e-9; worst > limit {
		r.faultf("%s: element %d: want %v, got %v: off by %.3g, at most %.3g", what, at, want[at], got[at], worst, limit)
	}
	if nmse > a.NMSE && errSum > 1e-16 {
		r.faultf("%s: normalised mean square error %.3g, at most %.3g", what, nmse, a.NMSE)
	}
}
