package weights

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rwkv-gpu/rwkv-gpu/internal/files"
)

// SaveError is a failure to write a file: no space, no permission, no folder. An error of the data to be written is no
// SaveError.
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

// Target returns the file that writing to path replaces: path itself, or the target of a symbolic link. If the file
// cannot be replaced, the error is a SaveError: it is no regular file, or it exists and force is not set.
func Target(path string, force bool) (string, error) {
	real, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(path); err == nil {
			return "", &SaveError{path, fmt.Errorf("want a file, got a symbolic link to nothing: %w", ErrNotFile)}
		}
		if _, err := os.Stat(filepath.Dir(path)); err != nil { // known now, not after the work
			var p *fs.PathError
			if errors.As(err, &p) {
				p.Op = "open"
			}
			return "", NewSaveError(path, err)
		}
		return path, nil
	}
	if err != nil {
		return "", NewSaveError(path, err)
	}
	info, err := os.Stat(real)
	switch {
	case err != nil:
		return "", NewSaveError(path, err)
	case !info.Mode().IsRegular():
		return "", &SaveError{path, fmt.Errorf("want a file, got %s: %w", kind(info.Mode()), ErrNotFile)}
	case !force:
		return "", &SaveError{path, ErrExists}
	}
	return real, nil
}

// Save creates a file with the output of write. If force is set, it may replace a file, and keeps its permissions. The
// file appears under its name only when it is complete and on the disk; if anything fails, nothing of it stays. Errors
// of writing are SaveErrors.
func Save(path string, force bool, write func(io.Writer) error) error {
	target, err := Target(path, force)
	if err != nil {
		return err
	}
	var told error // by write
	err = files.Replace(target, func(w io.Writer) error {
		told = write(&diskWriter{w, path})
		return told
	}, func() error { // somebody else may have made one meanwhile
		_, err := Target(path, force)
		return err
	})
	var s *SaveError
	if err == nil || err == told || errors.As(err, &s) { //nolint:errorlint // it is that very error
		return err
	}
	return NewSaveError(path, err)
}

// diskWriter makes errors of writing SaveErrors.
type diskWriter struct {
	to   io.Writer
	path string
}

func (w *diskWriter) Write(b []byte) (int, error) {
	n, err := w.to.Write(b)
	if err != nil {
		err = NewSaveError(w.path, err)
	}
	return n, err
}

// NewSaveError returns a SaveError that names path and not the temporary file.
func NewSaveError(path string, err error) *SaveError {
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
