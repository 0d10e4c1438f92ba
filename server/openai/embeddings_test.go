package openai

import (
	"math"
	"math/rand/v2"
	"testing"
)

// A sketch keeps angles, within a few times the expected error of 1/√n.
func TestSketch(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	dot := func(x, y []float32) (sum float64) {
		for i := range x {
			sum += float64(x[i]) * float64(y[i])
		}
		return sum
	}
	for _, n := range []int{64, 1024, 8192} {
		for range 20 {
			x, y := make([]float32, 16384), make([]float32, 16384)
			share, mean := rng.Float32(), rng.Float64() // a mean that all elements share is what signs are for
			for i := range x {
				x[i] = float32(rng.NormFloat64() + mean)
				y[i] = share*x[i] + (1-share)*float32(rng.NormFloat64()+mean)
			}
			want := dot(x, y) / math.Sqrt(dot(x, x)*dot(y, y))
			a, b := sketch(x, n), sketch(y, n)
			if got := dot(a, b); math.Abs(got-want) > 6/math.Sqrt(float64(n)) || math.Abs(dot(a, a)-1) > 1e-5 {
				t.Errorf("%d dimensions: the cosine %v became %v; square %v", n, want, got, dot(a, a))
			}
		}
	}
	if x := sketch(make([]float32, 9), 3); dot(x, x) != 0 {
		t.Errorf("nothing becomes %v", x)
	}
}
