//go:build unix

package bench

import (
	"os"
	"runtime"
	"syscall"
)

// peakMemory returns the most resident bytes of this process so far.
func peakMemory() int {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return maxBytes(&u)
}

// peakMemoryOf returns the most resident bytes of a process that has ended.
func peakMemoryOf(s *os.ProcessState) int {
	u, ok := s.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	return maxBytes(u)
}

// maxBytes returns ru_maxrss in bytes. Its unit is a KiB, on Apple's systems a byte.
func maxBytes(u *syscall.Rusage) int {
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		return int(u.Maxrss)
	}
	return int(u.Maxrss) << 10
}
