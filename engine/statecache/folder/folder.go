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
	Time time.Time // of its last use, as Touch told it
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

// Write writes the file of a checkpoint, whose state has the elements that New was told, and returns the time of this
// use of it. buf is memory that Write may use and returns for the next call.
func (f *Folder) Write(h Header, state []float32, buf []byte) ([]byte, time.Time, error) {
	buf = appendState(f.appendHeader(buf[:0], h), state)
	name := f.Name(h.Space, h.IDs)
	if err := files.Keep(filepath.Join(f.dir, name), buf, false); err != nil {
		return buf, time.Time{}, err
	}
	return buf, f.Touch(name), nil
}

// Touch tells other processes that a file is used, and returns the time of that.
func (f *Folder) Touch(name string) time.Time {
	now := time.Now()
	_ = os.Chtimes(filepath.Join(f.dir, name), now, now) // it may be gone
	return now
}

// Remove removes a file, unless another process has used it since the time of its last known use; the zero time stands
// for any. A file that stays is found again by Names.
func (f *Folder) Remove(name string, used time.Time) {
	path := filepath.Join(f.dir, name)
	if info, err := os.Lstat(path); err == nil && !used.IsZero() && info.ModTime().After(used) {
		return
	}
	_ = os.Remove(path)
}
