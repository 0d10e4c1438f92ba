//go:build !(linux || darwin || freebsd || windows)

package fetch

import (
	"errors"
	"syscall"
)

func freeSpace(string) (bytes uint64, ok bool) { return 0, false }

// isFull reports whether an error of writing says that the disk is full.
func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) }
