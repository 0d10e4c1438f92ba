package reference

import "sync"

// parallel calls do for ranges that together are [0, n), on as many goroutines as there are cores if there is enough
// work for them. cost is about the number of multiplications of one item.
func (e *evaluator) parallel(n, cost int, do func(from, to int)) {
	const worthwhile = 1 << 15
	workers := min(e.workers, n, n*cost/worthwhile+1)
	if workers <= 1 {
		do(0, n)
		return
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			do(n*w/workers, n*(w+1)/workers)
		}()
	}
	wg.Wait()
}
