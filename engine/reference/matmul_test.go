package reference

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/blas/blas32"
)

// A row's product with a token has the same bits alone as among other rows and tokens, wherever both lie in memory.
func TestRowsAlone(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 7))
	random := func(n int) []float32 {
		list := make([]float32, n)
		for i := range list {
			list[i] = float32(rng.NormFloat64())
		}
		return list
	}
	for k := 1; k <= 150; k++ {
		rows, tokens, stride, off := 1+rng.IntN(13), 1+rng.IntN(3), k+rng.IntN(5), rng.IntN(4)
		w := blas32.General{Rows: rows, Cols: k, Stride: k, Data: random(off + rows*k)[off:]}
		x := blas32.General{Rows: tokens, Cols: k, Stride: stride, Data: random(tokens * stride)}
		z := make([]float32, tokens*rows)
		multiply(z, x, w, rows)
		for i := range z {
			token, row := i/rows, i%rows
			var alone [1]float32
			multiply(alone[:], blas32.General{Rows: 1, Cols: k, Stride: k, Data: x.Data[token*stride:]},
				blas32.General{Rows: 1, Cols: k, Stride: k, Data: w.Data[row*k:]}, 1)
			if math.Float32bits(alone[0]) != math.Float32bits(z[i]) {
				t.Fatalf("%d elements, row %d of %d, token %d of %d: %v alone, %v among others", k, row, rows, token, tokens, alone[0], z[i])
			}
		}
	}
}
