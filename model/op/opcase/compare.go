package opcase

import (
	"math"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// compare wants got within rounding of want: no element further than 1e-5 of the largest, a normalised mean square
// error below 1e-10, and nothing that is not finite.
func (r *Result) compare(what string, got []float32, want []float64) {
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
	if limit := 1e-5*largest + 1e-9; worst > limit {
		r.faultf("%s: element %d: want %v, got %v: off by %.3g, at most %.3g", what, at, want[at], got[at], worst, limit)
	}
	if nmse > 1e-10 && errSum > 1e-16 {
		r.faultf("%s: normalised mean square error %.3g, at most 1e-10", what, nmse)
	}
}
