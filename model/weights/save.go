package weights

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// SaveError is a failure to write a file: no space, no permission, no folder. Errors of what is to be written are none.
type SaveError struct {
	Path string
	Err  error
}

func (e *SaveError) Error() string { return oneLine(e.Path + ": " + e.Err.Error()) }

// Unwrap returns the cause.
func (e *SaveError) Unwrap() error { return e.Err }

// What SaveErrors wrap, if nothing was wrong but the path.
var (
	ErrExists  = errors.New("the file exists")
	ErrNotFile = errors.New("not a regular file")
)

// Target returns the file that writing to path replaces, which is path itself unless that is a symbolic link, or a
// SaveError if it cannot be replaced: since it is no regular file, or is there and force is not given.
func Target(path string, force bool) (string, error) {
	real, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(path); err == nil {
			return "", &SaveError{path, fmt.Errorf("want a file, got a symbolic link to nothing: %w", ErrNotFile)}
		}
		return path, nil
	}
	if err != nil {
		return "", saveError(path, err)
	}
	info, err := os.Stat(real)
	switch {
	case err != nil:
		return "", saveError(path, err)
	case !info.Mode().IsRegular():
		return "", &SaveError{path, fmt.Errorf("want a file, got %s: %w", kind(info.Mode()), ErrNotFile)}
	case !force:
		return "", &SaveError{path, ErrExists}
	}
	return real, nil
}

// Save creates a file with what write writes, or replaces it, with its permissions, if force is given. It appears under
// its name only when it is complete and on the disk; if anything fails, nothing of it stays. Errors of writing are
// SaveErrors.
func Save(path string, force bool, write func(io.Writer) error) error {
	target, err := Target(path, force)
	if err != nil {
		return err
	}
	f, err := createBeside(target)
	if err != nil {
		return saveError(path, err)
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
			return saveError(path, err)
		}
	}
	disk := &diskWriter{file: f, path: path}
	b := bufio.NewWriterSize(disk, 1<<20)
	if err := write(b); err != nil {
		return err
	}
	if err := b.Flush(); err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return saveError(path, err)
	}
	if _, err := Target(path, force); err != nil { // somebody else may have made one meanwhile
		return err
	}
	if err := finish(f.Name(), target); err != nil {
		return saveError(path, err)
	}
	complete = true
	if dir, err := os.Open(filepath.Dir(target)); err == nil {
		_ = dir.Sync() // not every system can; the file itself is safe
		_ = dir.Close()
	}
	return nil
}

// createBeside creates a file of another name in the folder of path, with the permissions that path would get.
func createBeside(path string) (*os.File, error) {
	dir, base := filepath.Split(path)
	for n := os.Getpid(); ; n++ {
		f, err := os.OpenFile(filepath.Join(dir, "."+base+"."+strconv.Itoa(n)+".part"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
	}
}

// diskWriter makes errors of writing SaveErrors.
type diskWriter struct {
	file *os.File
	path string
}

func (w *diskWriter) Write(b []byte) (int, error) {
	n, err := w.file.Write(b)
	if err != nil {
		err = saveError(w.path, err)
	}
	return n, err
}

// saveError names path instead of the temporary file.
func saveError(path string, err error) error {
	var p *fs.PathError
	var l *os.LinkError
	switch {
	case errors.As(err, &p):
		err = fmt.Errorf("%s: %w", p.Op, p.Err)
	case errors.As(err, &l):
		err = fmt.Errorf("%s: %w", l.Op, l.Err)
	}
	return &SaveError{path, err}
}
