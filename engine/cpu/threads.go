package cpu

import "runtime"

// Threads returns how many workers an executor has that is asked to have n: those, or if n is 0 the physical cores that
// this process may use.
func Threads(n int) int {
	if n > 0 {
		return n
	}
	return max(min(cores(), runtime.GOMAXPROCS(0)), 1)
}
