package sample

import (
	"math"
	"math/big"
	"testing"
)

// The table is what exact arithmetic gives: entry i is the nearest integer to the 1024th root of 2^(31*1024-i).
func TestWeightTable(t *testing.T) {
	for i, got := range WeightTable {
		// 2*got-1 <= 2*x <= 2*got+1 with x^1024 = 2^(31*1024-i), in whole numbers
		exact := new(big.Int).Lsh(big.NewInt(1), uint(32*1024-i))
		power := func(n int64) *big.Int {
			return new(big.Int).Exp(big.NewInt(n), big.NewInt(1024), nil)
		}
		if power(2*int64(got)-1).Cmp(exact) > 0 || power(2*int64(got)+1).Cmp(exact) < 0 {
			t.Errorf("entry %d: %d is not the nearest integer", i, got)
		}
	}
}

func TestWeightAccuracy(t *testing.T) {
	for i := 0; i < 40<<14; i++ {
		u := float32(i)/(1<<14) + float32(i%7)/(1<<18)
		got, want := float64(Weight(u)), math.Exp2(WeightBits-float64(u))
		if got < want*(1-1.2e-8)-1 || got > want*(1+6e-8) {
			t.Fatalf("Weight(%v): got %v, want %v", u, got, want)
		}
	}
	for u, want := range map[float32]uint64{
		0: 1 << 40, 1: 1 << 39, 39: 2, 40: 0, 1e30: 0, float32(math.Inf(1)): 0, float32(math.NaN()): 0,
		math.Nextafter32(40, 0): 1,
	} {
		if got := Weight(u); got != want {
			t.Errorf("Weight(%v): got %d, want %d", u, got, want)
		}
	}
}

func TestWeightNeverGrows(t *testing.T) {
	step := float32(1) / (1 << 20)
	last := Weight(0)
	for u := float32(0); u < 2; u += step { // one whole turn of the fraction and the seams
		w := Weight(u)
		if w > last {
			t.Fatalf("Weight(%v) = %d is above the %d before it", u, w, last)
		}
		last = w
	}
}

// The keys that part ids by their exponents are the exact ones, at all temperatures.
func TestFirstKey(t *testing.T) {
	for _, temperature := range []float32{1e-31, 1e-20, 0.01, 0.3, 0.7, 1, 1.4426950216293335, 2, 77, 1e20, 3e38} {
		factor := inverse(temperature)
		u := func(key uint32) float32 { return math.Float32frombits(key) * factor }
		for i := 1; i <= WeightBits<<octave; i++ {
			edge := float32(i) / (1 << octave)
			if key := firstKey(edge, factor); !(u(key-1) < edge) || u(key) < edge && key != outKey {
				t.Fatalf("temperature %v: exponents up to %v: key %#x", temperature, edge, key)
			}
		}
		if last := lastWeighed(factor); Weight(u(last)) == 0 || last != outKey-1 && Weight(u(last+1)) != 0 {
			t.Errorf("temperature %v: last key of a weight: got %#x", temperature, last)
		}
	}
}
