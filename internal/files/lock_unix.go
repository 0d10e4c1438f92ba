//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package files

import (
	"errors"
	"os"
	"syscall"
)

// lock tells other processes that a file is being written, until it is closed or the process ends. If one of them has
// just opened the file to look whether it is stale, lock waits until it has looked: still tells what came of that.
func lock(f *os.File) {
	for syscall.Flock(int(f.Fd()), syscall.LOCK_EX) == syscall.EINTR {
	} // a file system without locks cleans nothing up either
}

// hold locks a file of that name, which is there as long as somebody has it. Nothing is returned if somebody else has.
func hold(name string) (release func(), err error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0o666)
	if err != nil {
		return nil, err
	}
	switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case err == nil && still(f):
		return func() {
			_ = os.Remove(name) // while it is locked: who waits for it sees that it is gone
			_ = f.Close()       // nothing was written
		}, nil
	case err == nil || errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, syscall.EINTR):
		_ = f.Close()
		return nil, nil
	}
	_ = f.Close()
	return holdByName(name + "ed") // a file system without locks
}

// locked reports whether somebody has locked a file.
func locked(path string) bool {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // read only, and gives up the lock
	return errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}

// removeUnlocked removes a regular file that nobody has locked.
func removeUnlocked(path string) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }() // read only
	removeOpened(f)
}

// removeOpened is removeUnlocked for a file that was opened by its path. Whoever writes it may have renamed it since
// then, and have begun another file of its old name.
func removeOpened(f *os.File) {
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return
	}
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil && still(f) {
		_ = os.Remove(f.Name()) // at worst it stays
	}
}

// createNew creates a file that is not there.
func createNew(name string) (*os.File, error) {
	return os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
}

// inUse is false: a file that is open can be replaced.
func inUse(error) bool { return false }
