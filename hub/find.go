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
	if e.Name.Shown() != e.Name.String() {
		return "no model " + e.Name.Shown() + " here: 'rwkv-gpu pull' with the whole address fetches it"
	}
	return "no model " + e.Name.String() + " here: 'rwkv-gpu pull " + e.Name.String() + "' fetches it"
}

// SeveralError says that a name means several models.
type SeveralError struct {
	Name  Name
	Names []Name // of the models
}

func (e *SeveralError) Error() string {
	if e.Name.URL != "" {
		return "want one model, got " + e.Name.Shown() + ", with which several addresses begin: name the whole address"
	}
	var names []string
	for _, n := range e.Names {
		names = append(names, n.String())
	}
	return "want one model, got " + e.Name.String() + ", which has " + strings.Join(names, ", ")
}

// Find looks a model up in caches. Its error is a *NotHereError or a *SeveralError.
func Find(caches []Cache, n Name) (*Model, error) {
	var found []Model
	for _, c := range caches {
		for _, m := range c.modelsIn(n.folder()) {
			if m.matches(n) {
				found = append(found, m)
			}
		}
	}
	if len(found) == 0 && n.URL != "" {
		found = withQuery(caches, n)
		for i := range found {
			if found[i].Name.URL != found[0].Name.URL {
				return nil, &SeveralError{n, []Name{found[0].Name, found[i].Name}}
			}
		}
	}
	if len(found) == 0 {
		return nil, &NotHereError{n}
	}
	if names := several(found); n.Family == "" && n.URL == "" && len(names) > 1 {
		return nil, &SeveralError{n, names}
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

// withQuery returns the models of addresses that a name means without their queries.
func withQuery(caches []Cache, n Name) (found []Model) {
	for _, c := range caches {
		for _, folder := range c.folders() {
			if !strings.HasPrefix(folder, urlPrefix) {
				continue
			}
			for _, m := range c.modelsIn(folder) {
				if withoutQuery(m.Name.URL) == n.URL && (n.Sum == "" || n.Sum == m.commit) {
					found = append(found, m)
				}
			}
		}
	}
	return found
}

// several returns the names of the models in the snapshot of the first one.
func several(found []Model) (names []Name) {
	for i := range found {
		if found[i].cache == found[0].cache && found[i].commit == found[0].commit {
			names = append(names, found[i].Name)
		}
	}
	return names
}

// matches reports whether a model of a name's folder is one that the name means.
func (m *Model) matches(n Name) bool {
	if n.URL != "" {
		return m.Name.URL == n.URL && (n.Sum == "" || m.commit == n.Sum) // which is the hash that was checked
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

// Name returns the name by which pull goes on with it: for a shard, that of the whole model.
func (u *Unfinished) Name() Name {
	n := u.cache.nameIn(u.folder, u.File, filepath.Base(u.path))
	if isShard(n.File) {
		n.File = ""
	}
	return n
}

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
	if n.URL != "" {
		url := u.Name().URL
		return (url == n.URL || withoutQuery(url) == n.URL) && (n.Sum == "" || n.Sum == filepath.Base(u.path))
	}
	return u.folder == n.folder() && (n.File == "" || n.File == u.File)
}
