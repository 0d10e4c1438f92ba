package files

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// Windows locks bytes of files, which nobody else can read or write then. So the byte that is locked lies behind all
// files. The files are opened so that they can be renamed and removed meanwhile.
const lockedAt = 1 << 30 // times 4 GiB

// createNew creates a file that is not there.
func createNew(name string) (*os.File, error) {
	return open(name, windows.GENERIC_READ|windows.GENERIC_WRITE, windows.CREATE_NEW)
}

func open(name string, access, how uint32) (*os.File, error) {
	text, err := windows.UTF16PtrFromString(name)
	if err == nil {
		var h windows.Handle
		h, err = windows.CreateFile(text, access, windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE|windows.FILE_SHARE_DELETE, nil, how,
			windows.FILE_ATTRIBUTE_NORMAL|windows.FILE_FLAG_OPEN_REPARSE_POINT, 0)
		if err == nil {
			return os.NewFile(uintptr(h), name), nil
		}
	}
	return nil, at("open", name, err)
}

// lock tells other processes that a file is being written, until it is closed or the process ends.
func lock(f *os.File) {
	_ = tryLock(f, windows.LOCKFILE_EXCLUSIVE_LOCK) // a file system without locks cleans nothing up either
}

func tryLock(f *os.File, how uint32) error {
	return windows.LockFileEx(windows.Handle(f.Fd()), how, 0, 1, 0, &windows.Overlapped{OffsetHigh: lockedAt})
}

// hold holds a name by a file: an open one cannot be removed, and one that a killed process left can.
func hold(name string) (release func(), err error) { return holdByName(name) }

// locked reports whether somebody has locked a file.
func locked(path string) bool {
	f, err := open(path, windows.GENERIC_READ, windows.OPEN_EXISTING)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // read only, and gives up the lock
	return busy(tryLock(f, windows.LOCKFILE_FAIL_IMMEDIATELY))
}

// removeUnlocked removes a regular file that nobody has locked.
func removeUnlocked(path string) {
	f, err := open(path, windows.GENERIC_READ, windows.OPEN_EXISTING)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }() // read only
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return
	}
	if tryLock(f, windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY) == nil && still(f) {
		_ = os.Remove(path) // at worst it stays
	}
}

func busy(err error) bool {
	return err == windows.ERROR_LOCK_VIOLATION || err == windows.ERROR_IO_PENDING
}

// inUse reports whether a file could not be replaced since somebody has it open, as far as the system tells.
func inUse(err error) bool {
	return errors.Is(err, windows.ERROR_SHARING_VIOLATION) || errors.Is(err, windows.ERROR_ACCESS_DENIED)
}
