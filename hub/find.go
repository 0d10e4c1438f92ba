package hub

import (
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/hub/fetch"
)

// NotHereError says that no cache has a model.
type NotHereError struct{ Name Name }

func (e *NotHereError) Error() string {
	return "no model " + e.Name.String() + " here: 'rwkv-gpu pull " + e.Name.String() + "' fetches it"
}

// Find looks a model up in caches. Its error is a *NotHereError.
func Find(caches []Cache, n Name) (*Model, error) {
	var found []Model
	for _, c := range caches {
		for _, m := range c.modelsIn(n.folder()) {
			if m.matches(n) {
				found = append(found, m)
			}
		}
	}
	if len(found) == 0 {
		return nil, &NotHereError{n}
	}
	best := 0
	if f, ok := familyOf(n.Family); ok {
		for i := range found {
			p, _ := f.publishedAs(filepath.ToSlash(found[i].Path))
			q, _ := f.publishedAs(filepath.ToSlash(found[best].Path))
			if p.file, q.file = path.Base(p.file), path.Base(q.file); p.compare(q) > 0 {
				best = i
			}
		}
	}
	return &found[best], nil
}

// matches reports whether a model of a name's folder is one that the name means.
func (m *Model) matches(n Name) bool {
	if n.URL != "" {
		return m.Name.URL == n.URL && (n.Sum == "" || m.Name.Sum == n.Sum)
	}
	if f, ok := familyOf(n.Family); ok {
		p, is := f.publishedAs(filepath.ToSlash(m.Path))
		return is && n.fits(p)
	}
	dir := m.cache.snapshot(m.folder, m.commit)
	file, err := filepath.Rel(dir, m.Path)
	switch {
	case err != nil:
		return false
	case n.File != "" && n.File != filepath.ToSlash(file):
		return false
	case n.Rev == "" || n.Rev == mainRev || n.Rev == m.commit:
		return true
	}
	ref, err := os.ReadFile(filepath.Join(string(m.cache), m.folder, "refs", filepath.FromSlash(n.Rev)))
	return err == nil && strings.TrimSpace(string(ref)) == m.commit
}

// Unfinished is a file that a pull was fetching when it ended.
type Unfinished struct {
	File  string // its path in the repository
	Bytes int64  // that it takes on the disk at most
	path  string // of the part file, without the endings
	lock  string

	cache  Cache
	folder string // below the cache
}

// Unfinished lists what pulls have left in a cache.
func (c Cache) Unfinished() (list []Unfinished) {
	for _, folder := range c.folders() {
		list = append(list, c.unfinishedIn(folder)...)
	}
	return list
}

func (c Cache) unfinishedIn(folder string) (list []Unfinished) {
	entries, err := os.ReadDir(filepath.Join(string(c), folder, "blobs"))
	if err != nil {
		return nil
	}
	for _, e := range entries {
		blob, ok := strings.CutSuffix(e.Name(), fetch.PartEnding)
		if !ok {
			continue
		}
		u := Unfinished{path: c.blob(folder, blob), lock: c.lock(folder, blob), cache: c, folder: folder}
		if info, err := e.Info(); err == nil {
			u.Bytes = info.Size()
		}
		u.File, _ = fetch.Unfinished(u.path) // "" if its journal is gone
		list = append(list, u)
	}
	return list
}

// Name returns the name by which pull goes on with it.
func (u *Unfinished) Name() Name { return u.cache.nameIn(u.folder, u.File) }

// Remove removes it, unless somebody fetches it.
func (u *Unfinished) Remove() error {
	unlock, ok := fetch.TryLock(u.lock)
	if !ok {
		return errBusy
	}
	defer unlock()
	fetch.Discard(u.path)
	u.cache.tidy(u.folder, "")
	return nil
}

// Is reports whether a name means the file.
func (u *Unfinished) Is(n Name) bool {
	if f, ok := familyOf(n.Family); ok {
		p, is := f.publishedAs(u.File)
		return is && n.fits(p) && u.folder == n.folder()
	}
	return u.folder == n.folder() && (n.File == "" || n.File == u.File)
}
