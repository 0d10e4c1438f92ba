package cpu

import (
	"runtime"
	"sync"
	"time"

	"gonum.org/v1/gonum/blas/blas32"
)

// Limits measures what gonum's inner product does at best on all cores: bytes read per second when its vectors together
// take some bytes, and float32 operations per second when they stay in a core's own cache.
func Limits(bytes int) (read, flops float64) {
	const small = 1 << 11 // elements: two vectors of 8 KiB
	n := max(bytes/8/runtime.GOMAXPROCS(0), small)
	read = 8 * dots(n, max(1, 1<<22/n))
	flops = 2 * dots(small, 1<<13)
	return read, flops
}

// dots returns how many products per second all cores do in inner products of n elements, each repeated.
func dots(n, repeats int) float64 {
	workers := runtime.GOMAXPROCS(0)
	vectors := make([]blas32.Vector, 2*workers)
	for i := range vectors {
		vectors[i] = blas32.Vector{N: n, Inc: 1, Data: make([]float32, n)}
		for j := range vectors[i].Data {
			vectors[i].Data[j] = 1 / float32(n)
		}
	}
	best := 0.0
	for range 5 {
		start := time.Now()
		var wg sync.WaitGroup
		for w := range workers {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for range repeats {
					vectors[2*w].Data[0] = blas32.Dot(vectors[2*w], vectors[2*w+1])
				}
			}()
		}
		wg.Wait()
		best = max(best, float64(workers*repeats*n)/time.Since(start).Seconds())
	}
	return best
}
