package hub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/hub/fetch"
)

// Pulled says what a pull has brought.
type Pulled struct {
	Name    Name   // with a date or a file where the asked name left that open
	Path    string // a file, or a folder of files in the layout of transformers
	Bytes   int64  // of the model's files
	Sum     string // SHA-256 of a single file, "" if nobody tells it
	Vocab   string // path of the vocabulary, "" if it is inside the model or none could be fetched
	Reused  bool   // reports whether all of the model was there
	Fetched int64  // bytes that came over the network for the model
}

// mostChanges is how often a pull begins anew because a file has changed meanwhile.
const mostChanges = 3

// Pull fetches the model of a name with its vocabulary, unless a cache has it.
func (h *Hub) Pull(ctx context.Context, n Name) (p *Pulled, err error) {
	for try := 1; ; try++ {
		p, err = h.pull(ctx, n)
		if n.URL == "" { // no token is sent to other addresses
			err = advised(err)
		}
		if !fetch.Is(err, fetch.Changed) || try == mostChanges {
			return p, err
		}
		h.notice("%v: beginning anew", err)
	}
}

// advised adds to the hub's refusal what may help.
func advised(err error) error {
	var told *fetch.Error
	if errors.As(err, &told) && told.Kind == fetch.Denied {
		return &fetch.Error{Kind: told.Kind, Where: told.Where, Err: fmt.Errorf("%w (HF_TOKEN is the token for such)", told.Err)}
	}
	return err
}

func (h *Hub) notice(format string, args ...any) {
	if h.Fetch.Notice != nil {
		h.Fetch.Notice(fmt.Sprintf(format, args...))
	}
}

func (h *Hub) pull(ctx context.Context, n Name) (*Pulled, error) {
	files, asked, err := h.files(ctx, n)
	if err != nil {
		return nil, err
	}
	p := &Pulled{Name: asked, Reused: true}
	var paths []string
	home := h.holder(files)
	for _, r := range files {
		path, err := h.bring(ctx, home, r, p)
		if err != nil {
			return nil, err
		}
		paths = append(paths, r.path)
		switch {
		case isVocabulary(r.path):
			if path != "" {
				p.Vocab = path
			}
			continue
		case isModelFile(r.path):
			p.Path, p.Sum = path, r.file.Sum.SHA256
		}
		p.Bytes += r.file.Size
	}
	if isDirectoryModel(paths) {
		p.Path, p.Sum = filepath.Dir(p.Path), ""
	}
	if p.Vocab == "" {
		if p.Vocab, err = h.vocabulary(ctx, asked, p.Path); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// caches are all that a model may lie in.
func (h *Hub) caches() []Cache {
	list := []Cache{h.Cache}
	for _, c := range h.Others {
		if !slices.Contains(list, c) {
			list = append(list, c)
		}
	}
	return list
}

// files returns the files of a model, with a name that means these files and no others.
func (h *Hub) files(ctx context.Context, n Name) ([]*remote, Name, error) {
	if n.URL != "" {
		r, err := h.remoteURL(ctx, n)
		return []*remote{r}, n, err
	}
	repo, rev := n.repo()
	list, err := h.tree(ctx, repo, rev)
	if err != nil {
		return nil, n, err
	}
	chosen, asked, err := choose(n, list)
	if err != nil {
		return nil, n, &fetch.Error{Kind: fetch.NotFound, Where: repo, Err: err}
	}
	var files []*remote
	for _, e := range chosen {
		r, err := h.remote(ctx, n, e)
		if err != nil {
			return nil, n, err
		}
		if len(files) > 0 && r.commit != files[0].commit {
			return nil, n, &fetch.Error{Kind: fetch.Changed, Where: repo, Err: errors.New("it got a new commit")}
		}
		files = append(files, r)
	}
	slices.SortStableFunc(files, func(a, b *remote) int { return cmp.Compare(rank(a.path), rank(b.path)) })
	return files, asked, nil
}

// choose returns which files of a repository a name means, the vocabulary included, and the name with what was open.
func choose(n Name, list []entry) (chosen []entry, asked Name, err error) {
	var paths []string
	for _, e := range list {
		paths = append(paths, e.path)
	}
	file := n.File
	switch {
	case n.Family != "":
		var ok bool
		if file, ok = n.newest(paths); !ok {
			return nil, n, fmt.Errorf("want a file of %s, got %s", n, models(paths))
		}
		f, _ := familyOf(n.Family)
		p, _ := f.publishedAs(file)
		n.Date = p.date
	case file != "" && !isModelFile(file):
		return nil, n, fmt.Errorf("want a file that ends in %s, got %s", modelEndingsText(), file)
	case isShard(file):
		return nil, n, fmt.Errorf("want a model, such as %s, got %s, which is a part of one", Name{Repo: n.Repo, Rev: n.Rev}, file)
	case file == "" && isDirectoryModel(paths):
		return directoryFiles(list), n, nil
	case file == "":
		single := slices.DeleteFunc(slices.Clone(paths), func(p string) bool { return !isModelFile(p) })
		if len(single) != 1 {
			return nil, n, fmt.Errorf("want one model, or its name behind %s/, got %s", n, models(paths))
		}
		file = single[0]
		n.File = file
	}
	for _, e := range list {
		if e.path == file || isVocabulary(e.path) && !strings.HasSuffix(strings.ToLower(file), ".gguf") {
			chosen = append(chosen, e)
		}
	}
	if !slices.Contains(paths, file) {
		return nil, n, fmt.Errorf("want the file %s, got %s", file, models(paths))
	}
	return chosen, n, nil
}

// models names the models among files, for an error.
func models(paths []string) string {
	var names []string
	for _, p := range paths {
		if isModelFile(p) {
			names = append(names, p)
		}
	}
	slices.Sort(names)
	const most = 12
	switch {
	case len(names) == 0:
		return "no model"
	case len(names) > most:
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}

// directoryFiles are the files of a model in the layout of transformers that matter here: of two formats of the weights
// only the safer one.
func directoryFiles(list []entry) (chosen []entry) {
	safe := slices.ContainsFunc(list, func(e entry) bool { return path.Ext(e.path) == ".safetensors" && !strings.Contains(e.path, "/") })
	for _, e := range list {
		base, ending := path.Base(e.path), path.Ext(e.path)
		switch {
		case e.path != base: // of another model
		case ending == ".safetensors", ending == ".bin" && !safe, ending == ".json", isVocabulary(base):
			chosen = append(chosen, e)
		}
	}
	return chosen
}

// holder returns the first cache that has all files of a model, else the one that they are fetched to. A published
// vocabulary may be missing in another cache, since every model finds it elsewhere.
func (h *Hub) holder(files []*remote) Cache {
	for _, c := range h.caches() {
		if !slices.ContainsFunc(files, func(r *remote) bool {
			_, ok := c.has(r)
			return !ok && (c == h.Cache || !isPublishedVocabulary(r.path))
		}) {
			return c
		}
	}
	return h.Cache
}

// bring returns the path of a file in a cache, and fetches it if it is not there. Into other caches than the one for new
// files it fetches nothing, and the path is "" then.
func (h *Hub) bring(ctx context.Context, c Cache, r *remote, p *Pulled) (string, error) {
	path, ok := c.has(r)
	switch {
	case c != h.Cache && !ok:
		return "", nil
	case c != h.Cache:
		return path, nil
	case ok:
		_ = c.refer(r) // the model is there, whether or not the cache can be written to
		return path, nil
	}
	p.Reused = false
	unlock, err := fetch.Lock(ctx, h.Fetch, r.file.Name, c.lock(r.folder, r.blob))
	if err != nil {
		return "", err
	}
	defer unlock()
	if path, ok = c.has(r); ok { // somebody else fetched it meanwhile
		return path, fetch.LocalError(c.refer(r), path)
	}
	if err := h.fetchBlob(ctx, c, r, p); err != nil {
		return "", err
	}
	if path, err = h.place(ctx, c, r); err != nil {
		return "", fetch.LocalError(err, c.blob(r.folder, r.blob))
	}
	c.sweep(r)
	return path, nil
}

// fetchBlob fetches a file to its blob, whose lock is held.
func (h *Hub) fetchBlob(ctx context.Context, c Cache, r *remote, p *Pulled) error {
	blob := c.blob(r.folder, r.blob)
	if err := c.keepAddress(r); err != nil { // so that what is unfinished has a name
		return fetch.LocalError(err, blob)
	}
	got, err := fetch.Held(ctx, h.Fetch, r.file, blob, blob)
	if got != nil {
		p.Fetched += got.Bytes
	}
	if err != nil {
		c.tidy(r.folder, "")
		return err
	}
	return fetch.LocalError(c.keepAddress(r), blob) // somebody may have removed it
}

// keepAddress keeps the address of a file of no hub, by which it is found again. Only the user may read it: an address
// may hold a secret.
func (c Cache) keepAddress(r *remote) error {
	if !strings.HasPrefix(r.folder, urlPrefix) {
		return nil
	}
	dir := filepath.Join(string(c), r.folder)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, addressFile) // with mode 0600
	if err != nil {
		return err
	}
	_, err = f.WriteString(r.file.Sources[0].URL)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, addressFile))
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the error is the one to report
	}
	return err
}

// sweep removes what is unfinished of other contents of a file that is complete.
func (c Cache) sweep(r *remote) {
	for _, u := range c.unfinishedIn(r.folder) {
		if u.File == r.path {
			_ = u.Remove() // somebody may be at work on it
		}
	}
}
