package cpu

import "runtime"

// Threads returns how many workers an executor has unless it is told: the physical cores that this process may use.
func Threads() int { return max(min(cores(), runtime.GOMAXPROCS(0)), 1) }

func threadsOf(n int) int {
	if n > 0 {
		return n
	}
	return Threads()
}
