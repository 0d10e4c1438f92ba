package roofline

import (
	"runtime"
	"sync"
	"time"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
)

// CPU measures what gonum's products do at best on all cores. read is the bytes read per second by inner products whose
// vectors together take so many bytes. flops is the float32 operations per second of inner or matrix products that stay
// in a core's own cache, whichever are faster.
func CPU(bytes int) (read, flops float64) {
	const small = 1 << 11 // elements: two vectors of 8 KiB
	n := max(bytes/8/runtime.GOMAXPROCS(0), small)
	read = 8 * dots(n, max(1, 1<<22/n))
	flops = 2 * max(dots(small, 1<<13), squares(64, 1<<6))
	return read, flops
}

// dots returns how many multiply-adds per second all cores do in inner products of n elements, each done repeats times.
func dots(n, repeats int) float64 {
	workers := runtime.GOMAXPROCS(0)
	vectors := make([]blas32.Vector, 2*workers)
	for i := range vectors {
		vectors[i] = blas32.Vector{N: n, Inc: 1, Data: filled(n)}
	}
	return rate(repeats*n, func(w int) {
		for range repeats {
			vectors[2*w].Data[0] = blas32.Dot(vectors[2*w], vectors[2*w+1])
		}
	})
}

// squares is dots for products of n x n matrices.
func squares(n, repeats int) float64 {
	matrices := make([]blas32.General, 3*runtime.GOMAXPROCS(0))
	for i := range matrices {
		matrices[i] = blas32.General{Rows: n, Cols: n, Stride: n, Data: filled(n * n)}
	}
	return rate(repeats*n*n*n, func(w int) {
		for range repeats {
			blas32.Gemm(blas.NoTrans, blas.Trans, 1, matrices[3*w], matrices[3*w+1], 0, matrices[3*w+2])
		}
	})
}

// filled returns n small numbers.
func filled(n int) []float32 {
	f := make([]float32, n)
	for i := range f {
		f[i] = 1 / float32(n)
	}
	return f
}

// rate returns how much of an amount per second all cores do together, in the best of some runs.
func rate(amount int, do func(worker int)) float64 {
	workers := runtime.GOMAXPROCS(0)
	best := 0.0
	for range 5 {
		start := time.Now()
		var wg sync.WaitGroup
		for w := range workers {
			wg.Add(1)
			go func() {
				defer wg.Done()
				do(w)
			}()
		}
		wg.Wait()
		best = max(best, float64(workers*amount)/time.Since(start).Seconds())
	}
	return best
}
