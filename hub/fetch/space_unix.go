//go:build linux || darwin || freebsd

package fetch

import (
	"errors"

	"golang.org/x/sys/unix"
)

// freeSpace returns how many bytes a user may still write to the disk with a folder.
func freeSpace(dir string) (bytes uint64, ok bool) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil || int64(s.Bavail) < 0 {
		return 0, false
	}
	return uint64(s.Bavail) * uint64(s.Bsize), true //nolint:unconvert // FreeBSD has an int64
}

// isFull reports whether an error of writing says that the disk, or what the user may have of it, is full.
func isFull(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }
