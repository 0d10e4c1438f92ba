package cpu

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// cores returns the fast cores where cores differ, else all.
func cores() int {
	for _, name := range []string{"hw.perflevel0.physicalcpu", "hw.physicalcpu"} {
		if n, err := unix.SysctlUint32(name); err == nil && n > 0 {
			return int(n)
		}
	}
	return runtime.NumCPU()
}
