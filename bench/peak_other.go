//go:build !unix

package bench

import "os"

// peakMemory is not known here.
func peakMemory() int { return 0 }

// peakMemoryOf is not known here.
func peakMemoryOf(*os.ProcessState) int { return 0 }
