//go:build unix

package schedule

import (
	"syscall"
	"testing"
	"time"
)

// processorTime returns how long processors have worked for this process.
func processorTime(b *testing.B) time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
