package sample

import (
	"math"
	"testing"
)

// Top-p reaches an id on either edge of a bucket of exponents, and counts what lies there.
func TestBucketEdges(t *testing.T) {
	w := &workspace{}
	for i := 1; i < 30<<octave; i++ { // beyond, an id's weight is too little for a share of 2^32
		edge := firstKey(float32(i)/(1<<octave), log2e)
		for _, key := range []uint32{edge - 1, edge} {
			far := math.Float32frombits(key)
			w.values = []float32{0, -far}
			w.top()
			total := Weight(0) + Weight(far*log2e)
			if cut, mass := w.topP(1<<32 - 1); cut != key || mass != total {
				t.Fatalf("edge %d: want the key %#x and the weight %d, got %#x and %d", i, key, total, cut, mass)
			}
		}
	}
}
