// Package files reads and writes whole files. Nothing that lies at a path can hang a program, flood its memory or be
// lost: reads are bounded, and a file appears under its name only when it is complete.
package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// What errors of Read, ReadRegular and ReadStart wrap beside those of the system.
var (
	ErrTooLarge   = errors.New("the file is too large")
	ErrNotRegular = errors.New("not a regular file")
	errSilent     = errors.New("nobody writes to it")
)

// patience is how long Read waits for somebody to open a pipe for writing.
const patience = 10 * time.Second

// Read returns the content of a path that a person named, at most so many bytes: a file, or everything that comes from
// a pipe or device, however slow its writer is. It is an error if nobody opens a pipe for writing within 10 seconds, or
// if there are more than most bytes. Each error is an *fs.PathError.
func Read(path string, most int64) ([]byte, error) { return read(path, most, time.After) }

// read is Read with another clock.
func read(path string, most int64, after func(time.Duration) <-chan time.Time) ([]byte, error) {
	info, err := os.Stat(path) // before opening: opening a pipe waits for its writer
	if err != nil {
		return nil, at("open", path, pathless(err))
	}
	if info.Mode().IsRegular() || info.IsDir() {
		return readRegular(path, most, info)
	}
	opened := make(chan struct{})
	type result struct {
		data []byte
		err  error
	}
	done := make(chan result, 1)
	go func() { // opening cannot be interrupted, but left alone
		f, err := os.Open(path)
		if err != nil {
			done <- result{nil, at("open", path, pathless(err))}
			return
		}
		defer func() { _ = f.Close() }() // read only
		close(opened)
		data, err := limited(path, f, most)
		done <- result{data, err}
	}()
	select {
	case <-opened:
	case r := <-done:
		return r.data, r.err
	case <-after(patience):
		select {
		case <-opened: // both at once, where this process was stopped meanwhile
		case r := <-done: // likewise
			return r.data, r.err
		default:
			return nil, at("open", path, fmt.Errorf("nothing for %s: %w", patience, errSilent))
		}
	}
	r := <-done
	return r.data, r.err
}

// ReadRegular is Read for a regular file only, such as a program's own.
func ReadRegular(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, at("open", path, pathless(err))
	}
	return readRegular(path, most, info)
}

// ReadStart returns the first most bytes of a regular file, or all of a shorter one, and the size of the file.
func ReadStart(path string, most int64) (data []byte, size int64, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, at("open", path, pathless(err))
	}
	if !info.Mode().IsRegular() {
		return nil, 0, irregular(path, info)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, at("open", path, pathless(err))
	}
	defer func() { _ = f.Close() }() // read only
	data, err = io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return nil, 0, at("read", path, pathless(err))
	}
	return data, info.Size(), nil
}

// irregular returns the error for a path that is no regular file.
func irregular(path string, info fs.FileInfo) error {
	if info.IsDir() {
		return at("read", path, fmt.Errorf("want a file, got a directory: %w", ErrNotRegular))
	}
	return at("read", path, fmt.Errorf("want a file, got a special file (%s): %w", info.Mode().Type(), ErrNotRegular))
}

func readRegular(path string, most int64, info fs.FileInfo) ([]byte, error) {
	switch {
	case !info.Mode().IsRegular():
		return nil, irregular(path, info)
	case info.Size() > most:
		return nil, at("read", path, tooLarge(most, fmt.Sprintf("%d", info.Size())))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, at("open", path, pathless(err))
	}
	defer func() { _ = f.Close() }() // read only
	return limited(path, f, most)    // it may grow meanwhile, and some files do not tell their size
}

// limited reads all of r, at most so many bytes.
func limited(path string, r io.Reader, most int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, most+1))
	if err != nil {
		return nil, at("read", path, pathless(err))
	}
	if int64(len(data)) > most {
		return nil, at("read", path, tooLarge(most, "more"))
	}
	return data, nil
}

func tooLarge(most int64, got string) error {
	return fmt.Errorf("want at most %d bytes, got %s: %w", most, got, ErrTooLarge)
}

func at(op, path string, err error) error { return &fs.PathError{Op: op, Path: path, Err: err} }

// pathless returns the cause of an error that names its path.
func pathless(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
