package hub

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/hub/fetch"
	"github.com/rwkv-gpu/rwkv-gpu/hub/hubtest"
)

// put writes a file, with the folders that it lies in.
func put(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, data, 0o600)); err != nil {
		t.Fatal(err)
	}
}

// pull pulls a model and finds it.
func pull(t *testing.T, h *Hub, name string) *Model {
	t.Helper()
	if _, err := h.Pull(context.Background(), parse(t, name)); err != nil {
		t.Fatal(err)
	}
	m, err := Find([]Cache{h.Cache}, parse(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Removing the last model of a folder leaves what others have put there.
func TestRemoveLeavesOthers(t *testing.T) {
	s := hubtest.New(t)
	s.Put(g1Repo, g1File, content(1, 3000))
	h := newHub(t, s)
	m := pull(t, h, "g1:7.2b")
	top := filepath.Join(string(h.Cache), m.folder)
	running := filepath.Join(top, "blobs", "abc.incomplete")
	unknown := filepath.Join(h.Cache.snapshot(m.folder, m.commit), "model.onnx")
	put(t, running, []byte("huggingface_hub is at it"))
	put(t, unknown, []byte("no model here"))
	dangling := filepath.Join(h.Cache.snapshot(m.folder, "other"), "x.pth")
	if links(t) {
		if err := errors.Join(os.MkdirAll(filepath.Dir(dangling), 0o700), os.Symlink("nowhere", dangling)); err != nil {
			t.Fatal(err)
		}
	} else {
		put(t, dangling, []byte("of another revision"))
	}
	freed, err := m.Remove()
	if err != nil || freed != 3000 {
		t.Errorf("want 3000 bytes free, got %d (%v)", freed, err)
	}
	files := filesBelow(top)
	slices.Sort(files)
	want := []string{"blobs/abc.incomplete", "refs/main", "snapshots/" + m.commit + "/model.onnx", "snapshots/other/x.pth"}
	slices.Sort(want)
	if !slices.Equal(files, want) {
		t.Errorf("want %v, got %v", want, files)
	}
}

// Removing a revision leaves another one whole, and its own blobs go.
func TestRemoveRevision(t *testing.T) {
	s := hubtest.New(t)
	weights, before, after := content(1, 3000), []byte(`{"a":1}`), []byte(`{"a":20}`)
	s.Put("o/r", "model.safetensors", weights)
	s.Put("o/r", "config.json", before)
	h := newHub(t, s)
	old := pull(t, h, "hf:o/r")
	s.Put("o/r", "config.json", after)
	now := pull(t, h, "hf:o/r")
	if old.Path == now.Path {
		t.Fatal("want two snapshots")
	}
	want := len(before)
	if !links(t) { // each revision has its own files
		want += len(weights)
	}
	if freed, err := old.Remove(); err != nil || freed != int64(want) {
		t.Errorf("want the old config.json gone, %d bytes, got %d bytes (%v)", want, freed, err)
	}
	holds(t, filepath.Join(now.Path, "model.safetensors"), weights)
	holds(t, filepath.Join(now.Path, "config.json"), after)
	if _, err := os.Lstat(old.Path); err == nil {
		t.Error("want the old snapshot gone")
	}
	if freed, err := now.Remove(); err != nil || freed != int64(len(weights)+len(after)) {
		t.Errorf("want the rest gone, got %d bytes (%v)", freed, err)
	}
	if files := filesBelow(filepath.Join(string(h.Cache), now.folder)); len(files) > 0 {
		t.Errorf("want nothing, got %v", files)
	}
}

// A model stays while somebody holds what its link leads to, or the file itself where there are no links.
func TestRemoveBusy(t *testing.T) {
	for _, links := range []bool{true, false} {
		if !links {
			withoutLinks(t)
		}
		s := hubtest.New(t)
		data := content(1, 3000)
		s.Put(g1Repo, g1File, data)
		h := newHub(t, s)
		m := pull(t, h, "g1:7.2b")
		real, err := filepath.EvalSymlinks(m.Path)
		if err != nil {
			t.Fatal(err)
		}
		unlock, ok := fetch.TryLock(h.Cache.lock(m.folder, filepath.Base(real)))
		if !ok {
			t.Fatal("want the lock")
		}
		if _, err := m.Remove(); !errors.Is(err, errBusy) {
			t.Errorf("links %v: want it busy, got %v", links, err)
		}
		holds(t, m.Path, data)
		unlock()
		if _, err := m.Remove(); err != nil {
			t.Error(err)
		}
	}
}

// A pull that ends while the vocabulary comes ends with the context's error.
func TestCancelVocabulary(t *testing.T) {
	s := hubtest.New(t)
	s.Put(g1Repo, g1File, content(1, 3000))
	h := newHub(t, s)
	h.VocabDir = t.TempDir()
	ctx, cancel := context.WithCancelCause(context.Background())
	ended := errors.New("the user has ended it")
	unlock, ok := fetch.TryLock(filepath.Join(h.VocabDir, ".locks", world.name+".lock"))
	if !ok {
		t.Fatal("want the lock")
	}
	defer unlock()
	h.Fetch.Notice = func(text string) {
		if bytes.Contains([]byte(text), []byte("waiting")) {
			cancel(ended)
		}
	}
	if _, err := h.Pull(ctx, parse(t, "g1:7.2b")); !errors.Is(err, ended) {
		t.Errorf("want the context's error, got %v", err)
	}
}
