package compare

import (
	"math"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// tolerance is how far an operand that an op wrote may differ from the reference's: any element, as a share of the
// largest of its vector, and all elements together, as a normalised mean square error. Both sides round, each in its
// own order. That costs an op about 1e-13 of the latter, and a product of thousands of elements some times as much. A
// wrong constant costs more than the tolerance.
type tolerance struct{ element, nmse float64 }

// toleranceOf returns the tolerance of an operand that an op writes.
func toleranceOf(o op.Op, of *op.Operand) tolerance {
	switch o.(type) {
	case *op.ShiftCommit: // a copy
		return tolerance{}
	case *op.Embed, *op.LayerNorm, *op.ShiftMix, *op.DeepEmbed, *op.WKV4:
		return tolerance{element: 1e-5, nmse: 1e-11}
	case *op.WKV6, *op.WKV7:
		if of.Kind != op.State {
			// If terms of a head's sum cancel, the norm makes the rounding of both sides larger, up to some hundred times.
			return tolerance{element: 1e-3, nmse: 1e-8}
		}
	}
	return tolerance{element: 5e-5, nmse: 1e-10}
}

// absolute is a difference that counts as none, whatever the rest of the vector is.
const absolute = 1e-9

// measure compares a device's results with the reference's. A value that is not finite, on either side, makes both
// figures the largest number there is.
type measure struct {
	maxAbs      float64
	sum, errSum float64
	beyond      bool // an element is
	notFinite   bool
}

// add adds a vector to the figures.
func (m *measure) add(got, want []float32, element float64) {
	var largest, worst float64
	for i, w := range want {
		if !tensor.IsFinite(got[i]) || !tensor.IsFinite(w) {
			m.notFinite, m.maxAbs = true, math.MaxFloat64
			return
		}
		d := float64(got[i]) - float64(w)
		worst, largest = max(worst, math.Abs(d)), max(largest, math.Abs(float64(w)))
		m.sum += float64(w) * float64(w)
		m.errSum += d * d
	}
	m.maxAbs = max(m.maxAbs, worst)
	m.beyond = m.beyond || worst > element*largest+absolute
}

// nmse returns the normalised mean square error.
func (m *measure) nmse() float64 {
	switch {
	case m.notFinite:
		return math.MaxFloat64
	case m.errSum == 0:
		return 0
	}
	return m.errSum / max(m.sum, 1e-30)
}

// within reports whether everything added is within a tolerance.
func (m *measure) within(t tolerance) bool {
	return !m.notFinite && !m.beyond && (m.nmse() <= t.nmse || m.errSum <= 1e-16)
}

// difference returns the largest difference and the normalised mean square error. A value that is not finite, on either
// side, makes both the largest number there is.
func difference(got, want []float32) (maxAbs, nmse float64) {
	var m measure
	m.add(got, want, 0)
	return m.maxAbs, m.nmse()
}

func argMax(f []float32) int {
	best := 0
	for i, v := range f {
		if v > f[best] {
			best = i
		}
	}
	return best
}

// divergence returns KL(softmax(want) || softmax(got)) in nats.
func divergence(want, got []float32) float64 {
	lw, lg := logSum(want), logSum(got)
	var kl float64
	for i := range want {
		p := float64(want[i]) - lw
		kl += math.Exp(p) * (p - (float64(got[i]) - lg))
	}
	return max(kl, 0)
}

// logSum returns log(sum(exp(f))).
func logSum(f []float32) float64 {
	m := float64(f[argMax(f)])
	var sum float64
	for _, v := range f {
		sum += math.Exp(float64(v) - m)
	}
	return m + math.Log(sum)
}
