package hub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/hub/fetch"
	"github.com/rwkv-gpu/rwkv-gpu/hub/hubtest"
)

const (
	g1Repo = "BlinkDL/rwkv7-g1"
	g1File = "rwkv7-g1h-7.2b-20260710-ctx10240.pth"
)

// quick are options with which failures take milliseconds.
func quick() fetch.Options {
	return fetch.Options{Connections: 3, Segment: 1 << 10, Span: 4, Stall: time.Minute, Attempts: 6,
		Backoff: time.Microsecond, MostBackoff: time.Millisecond, Poll: time.Millisecond, Reserve: 1}
}

func newHub(t *testing.T, s *hubtest.Server) *Hub {
	t.Helper()
	return &Hub{Endpoint: s.URL, Token: hubtest.Token, Cache: Cache(filepath.Join(t.TempDir(), "hub")), Fetch: quick()}
}

func content(seed byte, n int) []byte {
	data := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed, 3}).Read(data) // never fails
	return data
}

func parse(t *testing.T, text string) Name {
	t.Helper()
	n, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// holds fails the test unless a file has the content.
func holds(t *testing.T, path string, want []byte) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s: want %d bytes, got %d (%v)", path, len(want), len(got), err)
	}
}

// A family's name means the newest file of its size, and all that is in a cache is where huggingface_hub looks for it.
func TestPull(t *testing.T) {
	s := hubtest.New(t)
	s.Private = true
	old, newest, vocab := content(1, 3000), content(2, 20_000), []byte("1 'a' 1\n")
	s.Put(g1Repo, "rwkv7-g1a-7.2b-20250905-ctx4096.pth", old)
	s.Put(g1Repo, g1File, newest)
	s.Put(g1Repo, "rwkv7-g1h-2.9b-20261010-ctx10240.pth", content(3, 10))
	s.Put(g1Repo, world.name, vocab)
	s.Put(g1Repo, "README.md", []byte("not wanted"))
	h := newHub(t, s)
	p, err := h.Pull(context.Background(), parse(t, "g1:7.2b"))
	if err != nil {
		t.Fatal(err)
	}
	if p.Name.String() != "g1:7.2b@20260710" || p.Bytes != 20_000 || p.Sum != hubtest.SHA256(newest) || p.Reused || p.Fetched != int64(20_000+len(vocab)) {
		t.Errorf("%+v", p)
	}
	holds(t, p.Path, newest)
	holds(t, p.Vocab, vocab)
	root := filepath.Join(string(h.Cache), "models--BlinkDL--rwkv7-g1")
	ref, err := os.ReadFile(filepath.Join(root, "refs", "main"))
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(root, "snapshots", string(ref), g1File); p.Path != want {
		t.Errorf("want %s, got %s", want, p.Path)
	}
	wantFiles := 3
	if links(t) {
		wantFiles = 5
		if link, err := os.Readlink(p.Path); err != nil || link != filepath.Join("..", "..", "blobs", hubtest.SHA256(newest)) {
			t.Errorf("want a link to the blob, got %q (%v)", link, err)
		}
		holds(t, filepath.Join(root, "blobs", hubtest.Git(vocab)), vocab)
	}
	if files := filesBelow(root); len(files) != wantFiles {
		t.Errorf("want two files and a ref, and two links where there are links, got %v", files)
	}
	before := len(s.Requests())
	if p, err = h.Pull(context.Background(), parse(t, "g1h:7.2b")); err != nil || !p.Reused || p.Fetched != 0 {
		t.Errorf("want it to be there, got %+v, %v", p, err)
	}
	for _, line := range s.Requests()[before:] {
		if strings.HasPrefix(line, "GET") && !strings.Contains(line, "/api/") {
			t.Errorf("fetched again: %s", line)
		}
	}
	m, err := Find([]Cache{h.Cache}, parse(t, "g1:7.2b"))
	if err != nil || m.Path != p.Path || m.Name.String() != "g1:7.2b@20260710" || m.Bytes != 20_000 {
		t.Errorf("%+v, %v", m, err)
	}
}

// What is wrong with a name or with what a server says is an error of its kind that names it.
func TestPullErrors(t *testing.T) {
	s := hubtest.New(t)
	s.Put(g1Repo, g1File, content(2, 100))
	s.Put("o/two", "a.pth", content(3, 100))
	s.Put("o/two", "b.gguf", content(4, 100))
	s.Put("o/none", "README.md", []byte("x"))
	h := newHub(t, s)
	for name, want := range map[string]struct {
		kind fetch.Kind
		text string
	}{
		"g1:0.4b":                          {fetch.NotFound, "BlinkDL/rwkv7-g1: want a file of g1:0.4b, got " + g1File},
		"g1:7.2b@20200101":                 {fetch.NotFound, "want a file of g1:7.2b@20200101"},
		"raven:7b":                         {fetch.NotFound, "404 Not Found"},
		"hf:o/two":                         {fetch.NotFound, "o/two: want one model, or its name behind hf:o/two/, got a.pth, b.gguf"},
		"hf:o/two/c.pth":                   {fetch.NotFound, "want the file c.pth, got a.pth, b.gguf"},
		"hf:o/none":                        {fetch.NotFound, "got no model"},
		"hf:nobody/nothing":                {fetch.NotFound, "404 Not Found"},
		"http://127.0.0.1:1/x.pth?key=abc": {fetch.Network, "http://127.0.0.1:1/x.pth: gave up after 6 failures"},
	} {
		_, err := h.Pull(context.Background(), parse(t, name))
		if !fetch.Is(err, want.kind) || !strings.Contains(err.Error(), want.text) {
			t.Errorf("%s: want kind %d and %q, got %v", name, want.kind, want.text, err)
		}
	}
	s.Private, h.Token = true, ""
	if _, err := h.Pull(context.Background(), parse(t, "g1:7.2b")); !fetch.Is(err, fetch.Denied) || !strings.Contains(err.Error(), "HF_TOKEN") {
		t.Errorf("want to be told of tokens, got %v", err)
	}
	if list := h.Cache.Models(); len(list) > 0 {
		t.Errorf("want no models, got %v", list)
	}
}

// A folder in the layout of transformers is one model, and of its files only those that count come.
func TestPullDirectory(t *testing.T) {
	s := hubtest.New(t)
	for i, name := range []string{"config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
		"model.safetensors.index.json", "vocab.txt", "pytorch_model.bin", "image.png", "folder/other.safetensors"} {
		s.Put("fla-hub/rwkv7-0.4B-g1", name, content(byte(i), 2000+i))
	}
	h := newHub(t, s)
	p, err := h.Pull(context.Background(), parse(t, "hf:fla-hub/rwkv7-0.4B-g1"))
	if err != nil {
		t.Fatal(err)
	}
	files := filesBelow(p.Path)
	slices.Sort(files)
	want := []string{"config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json", "vocab.txt"}
	if !slices.Equal(files, want) || p.Bytes != 2000+2001+2002+2003 || filepath.Base(p.Vocab) != "vocab.txt" {
		t.Errorf("%v, %+v", files, p)
	}
	m, err := Find([]Cache{h.Cache}, parse(t, "hf:fla-hub/rwkv7-0.4B-g1"))
	if err != nil || m.Path != p.Path {
		t.Errorf("%+v, %v", m, err)
	}
	if err := os.Remove(filepath.Join(p.Path, "model-00002-of-00002.safetensors")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(p.Path, "model-00002-of-00002.safetensors")); err != nil {
		t.Fatal(err)
	}
	if _, err := Find([]Cache{h.Cache}, parse(t, "hf:fla-hub/rwkv7-0.4B-g1")); err == nil {
		t.Error("want no model where a file is missing")
	}
}

// A file of any server is found by its address again, and its hash is checked if the address tells one.
func TestPullAddress(t *testing.T) {
	s := hubtest.New(t)
	data := content(5, 5000)
	s.Put("some/repo", "x.gguf", data)
	h := newHub(t, s)
	address := s.URL + "/some/repo/resolve/main/x.gguf"
	for _, name := range []string{address + "#sha256=" + hubtest.SHA256(data), address} {
		p, err := h.Pull(context.Background(), parse(t, name))
		if err != nil {
			t.Fatal(err)
		}
		holds(t, p.Path, data)
		if m, err := Find([]Cache{h.Cache}, parse(t, name)); err != nil || m.Path != p.Path {
			t.Errorf("%+v, %v", m, err)
		}
	}
	wrong := address + "#sha256=" + strings.Repeat("0", 64)
	if _, err := h.Pull(context.Background(), parse(t, wrong)); !fetch.Is(err, fetch.Damaged) {
		t.Errorf("want it damaged, got %v", err)
	}
	if m, err := Find([]Cache{h.Cache}, parse(t, wrong)); err == nil {
		t.Errorf("want none, got %+v", m)
	}
}

// A file that is replaced while it is fetched comes as it is now.
func TestChanged(t *testing.T) {
	s := hubtest.New(t)
	before, after := content(6, 20_000), content(7, 21_000)
	s.Put(g1Repo, g1File, before)
	var once sync.Once
	var h *Hub
	s.Fault = func(r *http.Request) *hubtest.Fault {
		once.Do(func() { s.Put(g1Repo, g1File, after) })
		return nil
	}
	h = newHub(t, s)
	p, err := h.Pull(context.Background(), parse(t, "g1:7.2b"))
	if err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(s.Requests(), "\n"))
	}
	holds(t, p.Path, after)
	if left := h.Cache.Unfinished(); len(left) > 0 {
		t.Errorf("want nothing unfinished, got %+v", left)
	}
}

// Removing takes all of a model, and nothing of another one.
func TestRemove(t *testing.T) {
	s := hubtest.New(t)
	s.Put(g1Repo, g1File, content(1, 3000))
	s.Put(g1Repo, "rwkv7-g1h-2.9b-20261010-ctx10240.pth", content(3, 10))
	h := newHub(t, s)
	var found []*Model
	for _, name := range []string{"g1:7.2b", "g1:2.9b"} {
		if _, err := h.Pull(context.Background(), parse(t, name)); err != nil {
			t.Fatal(err)
		}
		m, err := Find([]Cache{h.Cache}, parse(t, name))
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, m)
	}
	if _, err := found[0].Remove(); err != nil {
		t.Fatal(err)
	}
	if list := h.Cache.Models(); len(list) != 1 || list[0].Path != found[1].Path {
		t.Fatalf("want the other one, got %+v", list)
	}
	if blobs, _ := os.ReadDir(filepath.Join(string(h.Cache), found[0].folder, "blobs")); links(t) && len(blobs) != 1 {
		t.Errorf("want one blob, got %v", blobs)
	}
	if _, err := found[1].Remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(string(h.Cache), found[0].folder)); err == nil {
		t.Error("want the folder gone")
	}
}

// A link out of the cache is no reason to remove what it leads to.
func TestRemoveOutside(t *testing.T) {
	if !links(t) {
		t.Skip("no links can be made here")
	}
	c := Cache(t.TempDir())
	mine := filepath.Join(t.TempDir(), "mine.pth")
	dir := c.snapshot("models--o--r", "abc")
	if err := errors.Join(os.WriteFile(mine, []byte("x"), 0o600), os.MkdirAll(dir, 0o700), os.Symlink(mine, filepath.Join(dir, "m.pth"))); err != nil {
		t.Fatal(err)
	}
	list := c.Models()
	if len(list) != 1 {
		t.Fatalf("%+v", list)
	}
	if _, err := list[0].Remove(); err == nil {
		t.Error("want an error")
	}
	holds(t, mine, []byte("x"))
}

// The listing of a server that means ill names no file outside the cache, and its next page is at the same server.
func TestHostileListing(t *testing.T) {
	for _, path := range []string{"../x.pth", "/etc/x.pth", "a/../../x.pth", "", ".", "a//b.pth", `a\b.pth`, "c:x.pth", "what?.md"} {
		list, err := parseTree(fmt.Appendf(nil, `[{"type":"file","path":%q,"size":1},{"type":"file","path":"x.pth","size":2}]`, path))
		if err != nil || len(list) != 1 || list[0].path != "x.pth" {
			t.Errorf("%q: want x.pth alone, got %+v (%v)", path, list, err)
		}
	}
	h := Hub{Endpoint: "https://a.example"}
	for next, want := range map[string]bool{"https://b.example/x": false, "http://a.example/x": false, "/x?cursor=2": true, "https://a.example/y": true} {
		if _, err := h.follow("https://a.example/api", next); (err == nil) != want {
			t.Errorf("%s: %v", next, err)
		}
	}
	if got := nextPage(http.Header{"Link": {`<https://a/x?c=1>; rel="next"`}}); got != "https://a/x?c=1" {
		t.Error(got)
	}
}

// All published models are listed, by names that Parse reads and that mean these files.
func TestPublished(t *testing.T) {
	s := hubtest.New(t)
	for i, name := range []string{"rwkv7-g1a-0.4b-20250905-ctx4096.pth", "rwkv7-g1d-0.4b-20260210-ctx8192.pth", g1File,
		"rwkv7-g1h-7.2b-20260710-ctx4096.pth", "rwkv7-g1-tool.txt"} {
		s.Put(g1Repo, name, content(byte(i), 100+i))
	}
	s.Put("BlinkDL/rwkv-6-world", "RWKV-x060-World-1B6-v2.1-20240328-ctx4096.pth", content(9, 50))
	list, err := newHub(t, s).Published(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range list {
		got = append(got, p.Name.String())
		n := parse(t, p.Name.String())
		if n.Family != "" {
			if file, ok := n.newest([]string{p.File}); !ok || file != p.File {
				t.Errorf("%s does not mean %s", n, p.File)
			}
		}
	}
	want := []string{"g1:0.4b@20260210", "g1:0.4b@20250905", "g1:7.2b@20260710", "hf:BlinkDL/rwkv7-g1/rwkv7-g1h-7.2b-20260710-ctx4096.pth", "world6:1.6b@20240328"}
	if !slices.Equal(got, want) {
		t.Errorf("want %v, got %v", want, got)
	}
}
