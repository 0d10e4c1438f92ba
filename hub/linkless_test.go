package hub

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/hub/fetch"
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

// links reports whether links can be made here, and lead to their files.
func links(t *testing.T) bool {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	put(t, file, nil)
	if os.Symlink("file", file+".link") != nil {
		return false
	}
	_, err := os.Stat(file + ".link")
	return err == nil
}

// withoutLinks makes a system of which no link can be made, until the test ends.
func withoutLinks(t *testing.T) {
	t.Helper()
	old := symlink
	t.Cleanup(func() { symlink = old })
	symlink = func(_, link string) error { return &os.LinkError{Op: "symlink", New: link, Err: errors.ErrUnsupported} }
}

// Two pulls of one model at once share one download also where the file is moved into the snapshot: the second finds it
// there when the first has let go of the lock.
func TestLinklessShared(t *testing.T) {
	withoutLinks(t)
	s := hubtest.New(t)
	data := content(1, 20_000)
	s.Put(g1Repo, g1File, data)
	cache := newHub(t, s).Cache
	waits := make(chan struct{})
	var once sync.Once
	s.Fault = func(r *http.Request) *hubtest.Fault {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, g1File) {
			<-waits
		}
		return nil
	}
	var sum int64
	pulls := make(chan *Pulled, 2)
	for range cap(pulls) {
		h := newHub(t, s)
		h.Cache = cache
		h.Fetch.Notice = func(text string) {
			if strings.Contains(text, "waiting") {
				once.Do(func() { close(waits) })
			}
		}
		go func() {
			p, err := h.Pull(context.Background(), parse(t, "g1:7.2b"))
			if err != nil {
				t.Error(err)
			}
			pulls <- p
		}()
	}
	for range cap(pulls) {
		if p := <-pulls; p != nil {
			holds(t, p.Path, data)
			sum += p.Fetched
		}
	}
	if sum != int64(len(data)) {
		t.Errorf("want one download of %d bytes, got %d bytes", len(data), sum)
	}
}

// A file is moved into the snapshot only while nobody removes one of its name.
func TestLinklessWaits(t *testing.T) {
	withoutLinks(t)
	s := hubtest.New(t)
	data := content(1, 3000)
	s.Put(g1Repo, g1File, data)
	h := newHub(t, s)
	n := parse(t, "g1:7.2b")
	unlock, ok := fetch.TryLock(h.Cache.lock(n.folder(), g1File))
	if !ok {
		t.Fatal("want the lock")
	}
	waited := false
	h.Fetch.Notice = func(text string) {
		if strings.Contains(text, "waiting") {
			waited = true
			if list := h.Cache.Models(); len(list) > 0 {
				t.Errorf("want no model yet, got %v", list)
			}
			unlock()
		}
	}
	p, err := h.Pull(context.Background(), n)
	if err != nil || !waited {
		t.Fatalf("want the pull to wait, got %v (%v)", waited, err)
	}
	holds(t, p.Path, data)
}
