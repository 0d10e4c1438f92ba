package hub

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/hub/fetch"
)

// errBusy says that a file cannot be removed now.
var errBusy = errors.New("somebody fetches it")

// Remove removes the links of a model in its snapshot, the vocabularies beside it if they are all that is left there,
// and the blobs to which no other link leads. Then it removes the folders that are empty. It returns how many bytes of
// the disk are free by that. Whatever else lies in the cache stays.
func (m *Model) Remove() (freed int64, err error) {
	links := m.withVocabularies()
	blobs, unlock, err := m.hold(links)
	defer unlock()
	if err != nil {
		return 0, err
	}
	for _, link := range links {
		info, err := os.Lstat(link)
		if err == nil {
			err = os.Remove(link)
		}
		if err != nil {
			return freed, err
		}
		if info.Mode().IsRegular() { // on a system without links, the blob itself
			freed += info.Size()
		}
		removeEmpty(filepath.Dir(link), m.cache.snapshot(m.folder, m.commit))
	}
	used := m.cache.used(m.folder)
	for _, blob := range blobs {
		if used[blob] {
			continue
		}
		info, err := os.Lstat(blob)
		if err == nil {
			err = os.Remove(blob)
		}
		switch {
		case err == nil:
			freed += info.Size()
		case !errors.Is(err, fs.ErrNotExist): // it was in the link's place
			return freed, err
		}
	}
	m.cache.tidy(m.folder, m.commit)
	return freed, nil
}

// hold returns the blobs of links, and holds their locks until unlock is called, also after an error.
func (m *Model) hold(links []string) (blobs []string, unlock func(), err error) {
	var held []func()
	unlock = func() {
		for _, f := range held {
			f()
		}
	}
	home, err := filepath.EvalSymlinks(filepath.Join(string(m.cache), m.folder))
	if err != nil {
		return nil, unlock, err
	}
	for _, link := range links {
		blob, err := filepath.EvalSymlinks(link)
		if err != nil {
			return nil, unlock, err
		}
		if rel, err := filepath.Rel(home, blob); err != nil || !filepath.IsLocal(rel) {
			return nil, unlock, fmt.Errorf("want a file of %s, got a link to %s", home, blob)
		}
		if slices.Contains(blobs, blob) {
			continue
		}
		release, ok := fetch.TryLock(m.cache.lock(m.folder, filepath.Base(blob)))
		if !ok {
			return nil, unlock, errBusy
		}
		blobs, held = append(blobs, blob), append(held, release)
	}
	return blobs, unlock, nil
}

// Same reports whether two models are the same blobs of one cache, in whatever snapshots.
func (m *Model) Same(other *Model) bool { return m.content == other.content }

// withVocabularies returns the links of a model, and those of vocabularies that no other file is beside.
func (m *Model) withVocabularies() []string {
	dir := m.cache.snapshot(m.folder, m.commit)
	links := slices.Clone(m.files)
	for _, file := range filesBelow(dir) {
		path := filepath.Join(dir, filepath.FromSlash(file))
		switch {
		case slices.Contains(m.files, path):
		case isVocabulary(file) && isFile(path):
			links = append(links, path)
		default: // which may need them
			return m.files
		}
	}
	return links
}

// used returns the files that the links of a folder's snapshots lead to.
func (c Cache) used(folder string) map[string]bool {
	files := map[string]bool{}
	for _, commit := range c.snapshots(folder) {
		dir := c.snapshot(folder, commit)
		for _, file := range filesBelow(dir) {
			if blob, err := filepath.EvalSymlinks(filepath.Join(dir, filepath.FromSlash(file))); err == nil {
				files[blob] = true
			}
		}
	}
	return files
}

// tidy removes the folders of a repository or an address that are empty. If no blob and no snapshot is left, whoever
// fetches none, the refs to a removed commit go too, and the address. commit is "" if none was removed.
func (c Cache) tidy(folder, commit string) {
	top := filepath.Join(string(c), folder)
	for _, name := range []string{"snapshots", "blobs"} {
		removeEmpty(filepath.Join(top, name), filepath.Join(top, name))
		if _, err := os.Lstat(filepath.Join(top, name)); err == nil {
			return
		}
	}
	refs := filepath.Join(top, "refs")
	for _, file := range filesBelow(refs) {
		path := filepath.Join(refs, filepath.FromSlash(file))
		if data, err := os.ReadFile(path); err == nil && commit != "" && strings.TrimSpace(string(data)) == commit {
			_ = os.Remove(path) // as all here: what cannot be removed stays, and does no harm
			removeEmpty(filepath.Dir(path), refs)
		}
	}
	if strings.HasPrefix(folder, urlPrefix) {
		_ = os.Remove(filepath.Join(top, addressFile))
	}
	removeEmpty(top, top)
}

// removeEmpty removes a folder if it is empty, and then those above it, up to top. A link to a folder stays.
func removeEmpty(dir, top string) {
	for dir == top || strings.HasPrefix(dir, top+string(filepath.Separator)) {
		if info, err := os.Lstat(dir); err == nil && (!info.IsDir() || os.Remove(dir) != nil) {
			return
		}
		dir = filepath.Dir(dir)
	}
}
