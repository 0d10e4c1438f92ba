package files

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sync/atomic"
)

// Replace makes the output of write the content of the file target. An earlier file's permissions stay. The file
// appears under its name only when it is complete and on the disk; if anything fails, nothing of it stays. last, if not
// nil, is asked right before whether the file may take its place. The next Replace of the same file removes the
// unfinished file of a killed process.
func Replace(target string, write func(io.Writer) error, last func() error) error {
	return replace(target, true, write, last)
}

// Keep is Replace for a program's own file. It makes the folder too, and waits for the disk only if the file has to be
// durable.
func Keep(target string, data []byte, durable bool) error {
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	return replace(target, durable, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}, nil)
}

func replace(target string, durable bool, write func(io.Writer) error, last func() error) error {
	f, err := createBeside(target)
	if err != nil {
		return err
	}
	begun(f.Name())
	complete := false
	defer func() {
		if !complete { // for whatever reason, which is the one to report
			_ = f.Close()
			_ = finish(f.Name(), "")
		}
	}()
	if info, err := os.Stat(target); err == nil {
		if err := f.Chmod(info.Mode().Perm()); err != nil {
			return err
		}
	}
	b := bufio.NewWriterSize(f, 1<<20)
	if err := write(b); err != nil {
		return err
	}
	if err := b.Flush(); err != nil {
		return err
	}
	if durable {
		if err := f.Sync(); err != nil {
			return err
		}
	}
	if last != nil {
		if err := last(); err != nil {
			return err
		}
	}
	if err := finish(f.Name(), target); err != nil { // before it is closed, which gives up the lock
		return err
	}
	complete = true
	_ = f.Close() // what could be wrong has shown, or nobody waits for the disk
	if !durable {
		return nil
	}
	SyncFolder(filepath.Dir(target))
	return nil
}

// SyncFolder waits until the disk has the names of a folder's files: those that were made, and not those that were
// removed. Not every system can.
func SyncFolder(path string) {
	if dir, err := os.Open(path); err == nil {
		_ = dir.Sync()
		_ = dir.Close() // read only
	}
}

const partEnding = ".part"

// partName is the name of an unfinished file: that of the file to be, the process, and which of its files it is. Older
// programs had no such number.
var partName = regexp.MustCompile(`^\.(.+)\.[0-9]+(?:-[0-9]+)?` + regexp.QuoteMeta(partEnding) + `$`)

var parts atomic.Uint64 // that this process began

// createBeside creates a file of another name in the folder of path, with the permissions that path would get, and
// locks it. Files of such names that nobody has locked are those of killed processes, and are removed.
func createBeside(path string) (*os.File, error) {
	dir, base := filepath.Split(path)
	Sweep(dir, func(name string) bool { return name == base })
	for {
		name := filepath.Join(dir, fmt.Sprintf(".%s.%d-%d%s", base, os.Getpid(), parts.Add(1), partEnding))
		f, err := createNew(name)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		lock(f)
		if still(f) {
			return f, nil
		}
		_ = f.Close() // another process took it for stale before it was locked
	}
}

// still reports whether a file has its name yet.
func still(f *os.File) bool {
	mine, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(f.Name())
	return err == nil && os.SameFile(mine, there)
}

// Sweep removes the unfinished files of killed processes from a folder. ours reports whether a file of that name is the
// program's.
func Sweep(dir string, ours func(name string) bool) {
	if dir == "" {
		dir = "."
	}
	d, err := os.Open(dir)
	if err != nil {
		return // whoever writes there will tell
	}
	defer func() { _ = d.Close() }() // read only
	for {
		names, err := d.Readdirnames(1 << 10)
		for _, name := range names {
			if of := partName.FindStringSubmatch(name); len(of) > 0 && ours(of[1]) {
				removeUnlocked(filepath.Join(dir, name))
			}
		}
		if err != nil || len(names) == 0 {
			return
		}
	}
}
