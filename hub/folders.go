package hub

import (
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/internal/files"
)

// Folders is a file that names the caches that a user has chosen, one a line, so that models there are found again.
type Folders string

const (
	mostFolders = 1 << 20 // bytes
	patience    = 10 * time.Second
)

// List returns the caches of the file. A file that is not there names none.
func (f Folders) List() (list []Cache) {
	data, err := files.ReadRegular(string(f), mostFolders)
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimRight(line, "\r\n"); filepath.IsAbs(line) {
			list = append(list, Cache(line))
		}
	}
	return list
}

// Add adds a cache to the file. Caches that are not there now stay in it: their disk may come back.
func (f Folders) Add(c Cache) error {
	if slices.Contains(f.List(), c) || f == "" {
		return nil
	}
	return files.Exclusively(string(f), patience, func() error {
		list := f.List()
		if slices.Contains(list, c) { // somebody else was faster
			return nil
		}
		var b strings.Builder
		for _, c := range append(list, c) {
			b.WriteString(string(c) + "\n")
		}
		return files.Keep(string(f), []byte(b.String()), true)
	})
}
