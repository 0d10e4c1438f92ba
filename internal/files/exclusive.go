package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// ErrBusy is wrapped by the errors of Exclusively if somebody else holds the path.
var ErrBusy = errors.New("somebody else is at work on it")

const (
	holdPause = time.Millisecond // between two looks whether a path is free
	heldLong  = 10 * time.Second // so long nobody holds a path who is alive
)

// Exclusively runs f while nobody else runs one for the same path, in this process or in another. It is for a program's
// own file that f reads, changes and writes in some milliseconds, so it makes the folder too. If others keep it waiting
// for longer than patience, f does not run, and the error is an *fs.PathError.
func Exclusively(path string, patience time.Duration, f func() error) error {
	dir, base := filepath.Split(path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	release, err := waitFor(path, patience, func() (func(), error) { return hold(filepath.Join(dir, "."+base+".lock")) })
	if err != nil {
		return err
	}
	defer release()
	return f()
}

// waitFor takes what somebody else may hold at first, in which case take returns nothing.
func waitFor(path string, patience time.Duration, take func() (release func(), err error)) (func(), error) {
	for w := begin(); ; time.Sleep(holdPause) {
		release, err := take()
		if release != nil || err != nil {
			return release, err
		}
		if w.waited() > patience {
			return nil, at("lock", path, fmt.Errorf("not free for %s: %w", patience, ErrBusy))
		}
	}
}

// watch measures how long this process has waited while it ran. It may have been stopped meanwhile, as by Ctrl-Z, or a
// busy machine may have left it no time. Whoever it waits for may have been stopped too, so that time does not count.
type watch struct {
	last time.Time
	sum  time.Duration
}

// longestLook is what counts of the time between two looks.
const longestLook = 10 * holdPause

func begin() *watch { return &watch{last: time.Now()} }

// waited is called at each look, and returns the time of all since begin.
func (w *watch) waited() time.Duration {
	now := time.Now()
	w.sum += min(now.Sub(w.last), longestLook)
	w.last = now
	return w.sum
}

// holdByName makes a file that is there as long as it is held, for systems that know no other lock. Nothing is returned
// if somebody else holds it. A killed process leaves its file: where an open one cannot be removed the next takes it
// away at once, elsewhere when it is old.
func holdByName(name string) (release func(), err error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err == nil {
		return func() {
			_ = f.Close() // nothing was written
			_ = os.Remove(name)
		}, nil
	}
	info, gone := os.Lstat(name)
	switch {
	case gone != nil && !errors.Is(err, fs.ErrExist):
		return nil, err
	case gone == nil && (runtime.GOOS == "windows" || time.Since(info.ModTime()) > heldLong):
		_ = os.Remove(name) // or the next time
	}
	return nil, nil
}
