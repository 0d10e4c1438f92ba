package gputest

import "testing"

// Allocs is testing.AllocsPerRun of what runs on a device, of which it returns the least of some measures: on a busy
// machine a pass that took long is divided anew, which allocates, but not for good.
func Allocs(runs int, f func()) float64 {
	least := testing.AllocsPerRun(runs, f)
	for try := 1; try < 10 && least > 0; try++ {
		least = min(least, testing.AllocsPerRun(runs, f))
	}
	return least
}
