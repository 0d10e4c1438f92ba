package weights

import (
	"errors"
	"fmt"
	"os"

	"github.com/edsrzf/mmap-go"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// mapping is a mapped file.
type mapping struct {
	data mmap.MMap // nil for an empty file, which cannot be mapped
	path string
	file *os.File    // kept open to ask whether the file has changed, under whatever name it is now
	was  os.FileInfo // when it was mapped
	seen stamp       // the same, for quick comparison

	watch *tensor.Watched // nil for an empty file
}

// mapFile maps a regular file.
func mapFile(path string) (*mapping, error) {
	info, err := os.Stat(path) // before opening: opening a pipe would wait for its writer
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &Error{Field: "format", Want: "a model file (" + supported() + ")", Got: kind(info.Mode())}
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	m := &mapping{path: path, file: file}
	m.seen, _ = stampOf(file) // before Stat: what changes in between is looked at closer. Without it, each check is.
	if m.was, err = file.Stat(); err == nil && m.was.Size() > 0 {
		if m.data, err = mmap.MapRegion(file, int(m.was.Size()), mmap.RDONLY, 0, 0); err != nil {
			err = fmt.Errorf("map into memory: %w", err)
		}
	}
	if err != nil {
		_ = file.Close() // read-only
		return nil, err
	}
	if m.data != nil {
		m.watch = tensor.Watch(m.data, m.check, m.unmap)
	}
	return m, nil
}

// check returns an error if the file is not what was mapped: shorter, longer, or written to since. A file of that name
// that took its place does not count, as the mapping is of the old one. fault says that a part of it could not be read.
func (m *mapping) check(fault bool) error {
	if now, ok := stampOf(m.file); ok && now == m.seen && !fault {
		return nil
	}
	now, err := m.file.Stat()
	switch {
	case err != nil:
		return inFile(m.path, err)
	case now.Size() != m.was.Size():
		return &Error{File: m.path, Field: "size", Want: fmt.Sprintf("%d bytes as before", m.was.Size()), Got: fmt.Sprint(now.Size()), Err: ErrChanged}
	case !now.ModTime().Equal(m.was.ModTime()):
		return &Error{File: m.path, Err: ErrChanged}
	case fault:
		return &Error{File: m.path, Field: "read", Err: errors.New("the disk did not give the file's bytes")}
	}
	return nil
}

// use calls read with the file's bytes, nil for an empty file. If the file changed, that is the error.
func (m *mapping) use(read func(data []byte) error) error {
	return tensor.Use(m.data, func() error { return read(m.data) })
}

// close unmaps the file as soon as nobody holds it.
func (m *mapping) close() error {
	if m.watch == nil {
		return m.unmap()
	}
	return m.watch.Stop()
}

func (m *mapping) unmap() error {
	var err error
	if m.data != nil {
		err = m.data.Unmap()
	}
	return errors.Join(err, m.file.Close())
}

func closeMappings(list []*mapping) error {
	var errs []error
	for _, m := range list {
		errs = append(errs, m.close())
	}
	return errors.Join(errs...)
}
