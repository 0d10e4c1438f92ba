package main

import (
	"archive/tar"
	"archive/zip"
	"cmp"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
)

// entry is a file of an archive.
type entry struct {
	name    string // with slashes, below the archive's one folder
	data    []byte
	program bool // reports whether it may be run
}

func (e *entry) mode() fs.FileMode {
	if e.program {
		return 0o755
	}
	return 0o644
}

// pack writes an archive of files in one folder: a .zip by its name, or else a .tar.gz. The same entries and time give
// the same bytes, in whatever order the entries are. The archive has no folders of their own, no owners and no other
// times.
func pack(path, folder string, entries []entry, at time.Time) (err error) {
	entries = slices.Clone(entries)
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.name, b.name) })
	for i := range entries {
		if i > 0 && entries[i].name == entries[i-1].name {
			return fmt.Errorf("%s: two files %s", path, entries[i].name)
		}
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	write := packTar
	if strings.HasSuffix(path, ".zip") {
		write = packZip
	}
	if err := write(f, folder, entries, at.UTC()); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

func packTar(to io.Writer, folder string, entries []entry, at time.Time) error {
	z, err := gzip.NewWriterLevel(to, gzip.BestCompression)
	if err != nil {
		return err
	}
	t := tar.NewWriter(z)
	for _, e := range entries {
		h := &tar.Header{Format: tar.FormatUSTAR, Typeflag: tar.TypeReg, Name: folder + "/" + e.name, Size: int64(len(e.data)),
			Mode: int64(e.mode()), ModTime: at.Truncate(time.Second)}
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		if _, err := t.Write(e.data); err != nil {
			return err
		}
	}
	if err := t.Close(); err != nil {
		return err
	}
	return z.Close()
}

func packZip(to io.Writer, folder string, entries []entry, at time.Time) error {
	z := zip.NewWriter(to)
	for _, e := range entries {
		h := &zip.FileHeader{Name: folder + "/" + e.name, Method: zip.Deflate, Modified: at.Truncate(2 * time.Second)}
		h.SetMode(e.mode())
		w, err := z.CreateHeader(h)
		if err != nil {
			return err
		}
		if _, err := w.Write(e.data); err != nil {
			return err
		}
	}
	return z.Close()
}
