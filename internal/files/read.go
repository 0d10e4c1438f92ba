// Package files reads and writes whole files so that nothing that lies at a path can hang a program, flood its memory or
// be lost: reads are bounded, and a file appears under its name when it is complete.
package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
	"time"
)

// What errors of Read and ReadRegular wrap beside those of the system. Each error is an *fs.PathError.
var (
	ErrTooLarge   = errors.New("the file is too large")
	ErrNotRegular = errors.New("not a regular file")
	ErrSilent     = errors.New("nobody writes to it")
)

// Patience is how long Read waits for the next bytes of a pipe or device.
const Patience = 10 * time.Second

// Read returns what a person's path names, at most so many bytes: a file, or all that comes from a pipe or device. One that
// gives nothing for longer than Patience is an error, as is more than most bytes.
func Read(path string, most int64) ([]byte, error) { return read(path, most, Patience) }

func read(path string, most int64, patience time.Duration) ([]byte, error) {
	info, err := os.Stat(path) // before opening: opening a pipe waits for its writer
	if err != nil {
		return nil, at("open", path, pathless(err))
	}
	if info.Mode().IsRegular() || info.IsDir() {
		return readRegular(path, most, info)
	}
	var seen atomic.Int64 // bytes
	type result struct {
		data []byte
		err  error
	}
	done := make(chan result, 1)
	go func() { // neither opening nor reading can be interrupted, but left alone
		f, err := os.Open(path)
		if err != nil {
			done <- result{nil, at("open", path, pathless(err))}
			return
		}
		defer func() { _ = f.Close() }() // read only
		data, err := limited(path, counting{f, &seen}, most)
		done <- result{data, err}
	}()
	for before := int64(-1); ; {
		select {
		case r := <-done:
			return r.data, r.err
		case <-time.After(patience):
			now := seen.Load()
			if now == before || before < 0 && now == 0 {
				return nil, at("read", path, fmt.Errorf("got %d bytes and then nothing for %s: %w", now, patience, ErrSilent))
			}
			before = now
		}
	}
}

// counting counts what is read.
type counting struct {
	io.Reader
	seen *atomic.Int64
}

func (c counting) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.seen.Add(int64(n))
	return n, err
}

// ReadRegular is Read for a regular file only, as what a program keeps for itself is.
func ReadRegular(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, at("open", path, pathless(err))
	}
	return readRegular(path, most, info)
}

func readRegular(path string, most int64, info fs.FileInfo) ([]byte, error) {
	switch {
	case info.IsDir():
		return nil, at("read", path, fmt.Errorf("want a file, got a directory: %w", ErrNotRegular))
	case !info.Mode().IsRegular():
		return nil, at("read", path, fmt.Errorf("want a file, got a special file (%s): %w", info.Mode().Type(), ErrNotRegular))
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
