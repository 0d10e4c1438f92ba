package hub

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/hub/hubtest"
)

// Where links cannot be made, or are made and lead nowhere, the files themselves are in the snapshot, as huggingface_hub
// has them there too: a model is found, not fetched again, and removed whole.
func TestLinkless(t *testing.T) {
	defer func(f func(old, link string) error) { symlink = f }(symlink)
	for name, f := range map[string]func(old, link string) error{
		"refused": func(_, link string) error { return &os.LinkError{Op: "symlink", New: link, Err: errors.ErrUnsupported} },
		"nowhere": func(_, link string) error { return os.Symlink("nowhere", link) },
	} {
		symlink = f
		s := hubtest.New(t)
		data, vocab := content(1, 3000), []byte("1 'a' 1\n")
		s.Put(g1Repo, g1File, data)
		s.Put(g1Repo, world.name, vocab)
		h := newHub(t, s)
		m := pull(t, h, "g1:7.2b")
		file := filepath.Join(h.Cache.snapshot(m.folder, m.commit), g1File)
		holds(t, file, data)
		if info, err := os.Lstat(file); err != nil || !info.Mode().IsRegular() {
			t.Errorf("%s: want a file, got %v (%v)", name, info, err)
		}
		if p, err := h.Pull(context.Background(), parse(t, "g1:7.2b")); err != nil || !p.Reused || p.Fetched != 0 {
			t.Errorf("%s: want it to be there, got %+v, %v", name, p, err)
		}
		if freed, err := m.Remove(); err != nil || freed != int64(3000+len(vocab)) {
			t.Errorf("%s: %d bytes free (%v)", name, freed, err)
		}
		if _, err := os.Lstat(file); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: the file is still there (%v)", name, err)
		}
	}
}
