//go:build unix

package weights

import (
	"os"

	"golang.org/x/sys/unix"
)

// stamp is what of a file changes when somebody writes to it.
type stamp struct {
	size int64
	time unix.Timespec
}

// stampOf returns a file's stamp, without an allocation.
func stampOf(file *os.File) (stamp, bool) {
	var s unix.Stat_t
	if unix.Fstat(int(file.Fd()), &s) != nil {
		return stamp{}, false
	}
	return stamp{s.Size, s.Mtim}, true
}
