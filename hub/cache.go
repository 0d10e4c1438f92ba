package hub

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/hub/fetch"
)

// Cache is a folder of models.
type Cache string

// The beginnings of the names of its folders. The second are those of addresses of no hub.
const (
	repoPrefix = "models--"
	urlPrefix  = "urls--"
)

// Model is a model in a cache.
type Model struct {
	Name   Name
	Path   string // a file, or a folder of files in the layout of transformers
	Bytes  int64
	Pulled time.Time

	cache   Cache
	folder  string   // below the cache
	commit  string   // of the snapshot
	files   []string // the links to its blobs
	content string   // the paths of the blobs
}

func hexHash(parts ...string) string {
	h := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(h[:20])
}

func (c Cache) blob(folder, name string) string {
	return filepath.Join(string(c), folder, "blobs", name)
}

func (c Cache) snapshot(folder, commit string) string {
	return filepath.Join(string(c), folder, "snapshots", commit)
}

// lock returns the lock file of a blob, or of a file that lies in a snapshot itself, by the last part of its path.
func (c Cache) lock(folder, blob string) string {
	return filepath.Join(string(c), ".locks", folder, blob+".lock")
}

// has returns the path of a file of a snapshot, if it is there.
func (c Cache) has(r *remote) (path string, ok bool) {
	path = filepath.Join(c.snapshot(r.folder, r.commit), filepath.FromSlash(r.path))
	info, err := os.Stat(path) // follows the link
	return path, err == nil && info.Mode().IsRegular()
}

// refer keeps which commit a revision had.
func (c Cache) refer(r *remote) error {
	if r.rev == r.commit {
		return nil
	}
	ref := filepath.Join(string(c), r.folder, "refs", filepath.FromSlash(r.rev))
	if err := os.MkdirAll(filepath.Dir(ref), 0o755); err != nil {
		return err
	}
	return os.WriteFile(ref, []byte(r.commit), 0o666) //nolint:gosec // as huggingface_hub does
}

// snapshots lists the commits of a folder: those that refs name first, then the newest.
func (c Cache) snapshots(folder string) (commits []string) {
	list, err := os.ReadDir(filepath.Join(string(c), folder, "snapshots"))
	if err != nil {
		return nil
	}
	named, _ := os.ReadFile(filepath.Join(string(c), folder, "refs", mainRev)) // "" if there is none
	age := map[string]time.Time{}
	for _, e := range list {
		commits = append(commits, e.Name())
		if info, err := e.Info(); err == nil {
			age[e.Name()] = info.ModTime()
		}
	}
	slices.SortStableFunc(commits, func(a, b string) int {
		switch string(named) {
		case a:
			return -1
		case b:
			return 1
		}
		return age[b].Compare(age[a])
	})
	return commits
}

// Models lists the models of a cache. A model that several snapshots have is listed once.
func (c Cache) Models() (list []Model) {
	seen := map[string]bool{}
	for _, folder := range c.folders() {
		for _, m := range c.modelsIn(folder) {
			if !seen[m.content] {
				seen[m.content] = true
				list = append(list, m)
			}
		}
	}
	return list
}

// folders lists the folders of a cache that models may lie in.
func (c Cache) folders() (list []string) {
	dirs, err := os.ReadDir(string(c))
	if err != nil {
		return nil // a cache that is not there is empty
	}
	for _, d := range dirs {
		if strings.HasPrefix(d.Name(), repoPrefix) || strings.HasPrefix(d.Name(), urlPrefix) {
			list = append(list, d.Name())
		}
	}
	return list
}

// modelsIn lists the models of each snapshot of a folder.
func (c Cache) modelsIn(folder string) (list []Model) {
	for i, commit := range c.snapshots(folder) {
		dir := c.snapshot(folder, commit)
		files := filesBelow(dir)
		sets := [][]string{files}
		if !isDirectoryModel(files) {
			sets = nil
			for _, file := range files {
				if isModelFile(file) && !isShard(file) {
					sets = append(sets, []string{file})
				}
			}
		}
		for _, set := range sets {
			m := Model{Path: dir, cache: c, folder: folder, commit: commit}
			if len(set) == 1 {
				m.Path = filepath.Join(dir, filepath.FromSlash(set[0]))
			}
			if m.add(dir, set) {
				m.Name = c.name(&m, i == 0)
				list = append(list, m)
			}
		}
	}
	return list
}

// add adds files below dir to a model. It reports whether all of them are there.
func (m *Model) add(dir string, files []string) bool {
	for _, file := range files {
		path := filepath.Join(dir, filepath.FromSlash(file))
		real, err := filepath.EvalSymlinks(path)
		if err != nil {
			return false
		}
		info, err := os.Stat(real)
		if err != nil || !info.Mode().IsRegular() {
			return false
		}
		m.files, m.content = append(m.files, path), m.content+real+"\x00"
		m.Bytes += info.Size()
		if info.ModTime().After(m.Pulled) {
			m.Pulled = info.ModTime()
		}
	}
	return true
}

// name returns the name of a model in a snapshot. Only the first snapshot is the one that a name without a revision
// means.
func (c Cache) name(m *Model, first bool) Name {
	dir := c.snapshot(m.folder, m.commit)
	file, err := filepath.Rel(dir, m.Path)
	if err != nil || file == "." {
		file = ""
	}
	file = filepath.ToSlash(file)
	n := c.nameIn(m.folder, file, m.commit)
	if best, ok := n.newest(filesBelow(dir)); n.URL == "" && (!first || ok && best != file) {
		n = Name{Repo: repoIn(m.folder), File: file} // another one has the short name
		if !first {
			n.Rev = m.commit
		}
	}
	return n
}

// nameIn returns the name of a file of a folder's newest snapshot. For an address blob is the name of the file's blob,
// which is the hash if the name that was pulled tells it.
func (c Cache) nameIn(folder, file, blob string) Name {
	if strings.HasPrefix(folder, urlPrefix) {
		address, _ := os.ReadFile(filepath.Join(string(c), folder, addressFile)) // "" is no name
		n, err := Parse(string(address))
		if err != nil {
			return Name{}
		}
		if n.Sum = ""; fetch.IsHex(blob, 64) {
			n.Sum = blob
		}
		return n
	}
	return nameOf(repoIn(folder), file)
}

// repoIn returns the repository of a folder.
func repoIn(folder string) string {
	return strings.Replace(strings.TrimPrefix(folder, repoPrefix), "--", "/", 1)
}

// addressFile keeps the address of a file of no hub.
const addressFile = "address"

// filesBelow lists the files and links below a folder, by paths with slashes.
func filesBelow(dir string) (files []string) {
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error { // what cannot be read is not there
		if err != nil || d.IsDir() {
			return nil
		}
		if rel, err := filepath.Rel(dir, path); err == nil {
			files = append(files, filepath.ToSlash(rel))
		}
		return nil
	})
	return files
}
