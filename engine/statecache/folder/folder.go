package folder

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/internal/files"
)

// File is a file of the folder with what its header tells.
type File struct {
	Header
	Name string
	Size int64
	Time time.Time // of its last change, or its last use as Date told it
}

// Make makes the folder, open to this user alone, where it is missing, and removes what killed processes left
// unfinished.
func (f *Folder) Make() error {
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return err
	}
	files.Sweep(f.dir, f.ours)
	return nil
}

// Names returns the names of the files of this identity.
func (f *Folder) Names() (map[string]bool, error) {
	list, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, entry := range list {
		if f.ours(entry.Name()) {
			names[entry.Name()] = true
		}
	}
	return names, nil
}

// Look reads the header of a file. It removes a file that is not what its name says: then the error matches ErrBroken.
func (f *Folder) Look(name string) (file File, err error) {
	path := filepath.Join(f.dir, name)
	info, err := os.Lstat(path)
	if err != nil {
		return file, err
	}
	file.Name, file.Time = name, info.ModTime()
	if file.Header, file.Size, err = f.readHeader(name); errors.Is(err, ErrBroken) {
		_ = os.Remove(path) // if it stays, nobody uses it
	}
	return file, err
}

// Write writes the file of a checkpoint, whose state has the elements that New was told. buf is memory that Write may
// use and returns for the next call.
func (f *Folder) Write(h Header, state []float32, buf []byte) ([]byte, error) {
	buf = appendState(f.appendHeader(buf[:0], h), state)
	return buf, files.Keep(filepath.Join(f.dir, f.Name(h.Space, h.IDs)), buf, false)
}

// Remove removes a file. One that stays is found again by Names.
func (f *Folder) Remove(name string) { _ = os.Remove(filepath.Join(f.dir, name)) }

// Date sets the times of files, the one used last coming last.
func (f *Folder) Date(names []string) {
	now := time.Now()
	for i, name := range names {
		at := now.Add(time.Duration(i-len(names)) * time.Millisecond)
		_ = os.Chtimes(filepath.Join(f.dir, name), at, at) // it may be gone
	}
}
