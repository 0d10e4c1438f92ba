package hub

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/hub/fetch"
	"github.com/rwkv-gpu/rwkv-gpu/hub/hubtest"
)

// A directory model is found when all of it is there. A pull that ends after any file leaves none, and none of its
// shards is a model.
func TestHalfDirectory(t *testing.T) {
	names := []string{"config.json", "a-00001-of-00003.safetensors", "a-00002-of-00003.safetensors", "a-00003-of-00003.safetensors", "vocab.txt"}
	s := hubtest.New(t)
	for i, name := range names {
		s.Put("o/r", name, content(byte(i), 2000+i))
	}
	n := parse(t, "hf:o/r")
	for most := range len(names) + 1 {
		h := newHub(t, s)
		h.Fetch.Connections = 1
		ctx, cancel := context.WithCancel(context.Background())
		begun := map[string]bool{}
		s.Fault = func(r *http.Request) *hubtest.Fault {
			if begun[r.URL.Path] = true; len(begun) > most {
				cancel()
				return &hubtest.Fault{Kind: "silence"}
			}
			return nil
		}
		_, err := h.Pull(ctx, n)
		cancel()
		list := h.Cache.Models()
		_, missing := Find([]Cache{h.Cache}, n)
		if most == len(names) {
			if err != nil || missing != nil || len(list) != 1 {
				t.Errorf("want the model, got %+v (%v, %v)", list, err, missing)
			}
			continue
		}
		if !errors.Is(err, context.Canceled) || missing == nil || len(list) > 0 {
			t.Errorf("after %d files: want none, got %+v (%v)", most, list, err)
		}
		for _, u := range h.Cache.Unfinished() {
			if strings.Contains(u.File, "-of-") && u.Name() != n {
				t.Errorf("want %s, got %s", n, u.Name())
			}
		}
		for _, m := range h.Cache.Halves() {
			if m.Name != n || !m.Means(n) || m.Means(parse(t, "hf:o/other")) || m.Means(parse(t, "hf:o/r/"+names[1])) {
				t.Errorf("after %d files: want a half of %s, got %+v", most, n, m)
			}
		}
		if most >= 3 && len(h.Cache.Halves()) != 1 { // the vocabulary and a shard
			t.Errorf("after %d files: %+v", most, h.Cache.Halves())
		}
		var fault error
		halves := h.Cache.Halves()
		for _, u := range h.Cache.Unfinished() {
			fault = errors.Join(fault, u.Remove())
		}
		for _, m := range halves {
			_, err := m.Remove()
			fault = errors.Join(fault, err)
		}
		left := slices.DeleteFunc(filesBelow(string(h.Cache)), func(f string) bool { return strings.HasPrefix(f, ".locks/") })
		if shards := strings.Contains(strings.Join(left, " "), "-of-"); fault != nil || shards || most >= 2 && len(left) > 0 {
			t.Errorf("after %d files: %v, left %q", most, fault, left)
		}
	}
	s.Fault = nil
	if _, err := newHub(t, s).Pull(context.Background(), parse(t, "hf:o/r/"+names[1])); !fetch.Is(err, fetch.NotFound) || !strings.Contains(err.Error(), "such as hf:o/r, got "+names[1]) {
		t.Errorf("want an error about a part, got %v", err)
	}
}

// A config.json alone, as other programs fetch it, makes no shard a model.
func TestShards(t *testing.T) {
	for text, want := range map[string]bool{
		"config.json":                                                   false,
		"model.safetensors":                                             false,
		"config.json model.safetensors":                                 true,
		"config.json m-00001-of-00001.bin":                              true,
		"config.json m-00001-of-00002.bin":                              false,
		"config.json m-00002-of-00002.bin x.bin":                        false,
		"config.json m-00003-of-00002.bin x.bin":                        false,
		"m-00001-of-00002.bin m-00002-of-00002.bin config.json":         true,
		"m-00001-of-00002.bin m-00002-of-00002.safetensors config.json": false,
		"config.json folder/model.safetensors":                          false,
	} {
		if got := isDirectoryModel(strings.Fields(text)); got != want {
			t.Errorf("%s: want %t, got %t", text, want, got)
		}
	}
}

// A model comes from one cache: the files that another one has of it are of no use alone.
func TestOneCache(t *testing.T) {
	s := hubtest.New(t)
	s.Put("o/r", "model.safetensors", content(1, 3000))
	s.Put("o/r", "config.json", []byte("{}"))
	s.Put("o/r", world.name, []byte("1 'a' 1\n"))
	n := parse(t, "hf:o/r")
	other := newHub(t, s)
	m := pull(t, other, "hf:o/r")
	if err := os.Remove(filepath.Join(m.Path, "model.safetensors")); err != nil {
		t.Fatal(err)
	}
	h := newHub(t, s)
	h.Others = []Cache{other.Cache}
	p, err := h.Pull(context.Background(), n)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"config.json", "model.safetensors", world.name} {
		if path := filepath.Join(h.Cache.snapshot(m.folder, m.commit), file); !isFile(path) {
			t.Errorf("want %s", path)
		}
	}
	if p.Reused || filepath.Dir(p.Vocab) != p.Path {
		t.Errorf("%+v", p)
	}
	third := newHub(t, s)
	third.Others = []Cache{h.Cache}
	if err := os.Remove(p.Vocab); err != nil {
		t.Fatal(err)
	}
	if again, err := third.Pull(context.Background(), n); err != nil || again.Path != p.Path || !again.Reused || again.Vocab != "" {
		t.Errorf("want the one that is there, got %+v (%v)", again, err)
	}
}

// A hash behind an address means these bytes alone, whatever was pulled from the address before and after.
func TestAddressSums(t *testing.T) {
	s := hubtest.New(t)
	a, b := content(1, 3000), content(2, 3000)
	s.Put("some/repo", "x.gguf", a)
	h := newHub(t, s)
	address := s.URL + "/some/repo/resolve/main/x.gguf"
	sumA, sumB := address+"#sha256="+hubtest.SHA256(a), address+"#sha256="+hubtest.SHA256(b)
	first := pull(t, h, sumA)
	if first.Name != parse(t, sumA) {
		t.Errorf("want %s, got %s", sumA, first.Name)
	}
	pull(t, h, address)
	s.Put("some/repo", "x.gguf", b)
	if m, err := Find([]Cache{h.Cache}, parse(t, sumB)); err == nil {
		t.Errorf("want none, got %+v", m)
	}
	holds(t, pull(t, h, sumB).Path, b)
	pull(t, h, address)
	for text, want := range map[string][]byte{sumA: a, sumB: b} {
		m, err := Find([]Cache{h.Cache}, parse(t, text))
		if err != nil {
			t.Fatal(err)
		}
		holds(t, m.Path, want)
	}
	if _, err := Find([]Cache{h.Cache}, parse(t, address)); err != nil {
		t.Error(err)
	}
}

// What is unfinished of an address has its name, is removed by it, and leaves nothing. Only the user may read the name.
func TestUnfinishedAddress(t *testing.T) {
	s := hubtest.New(t)
	s.Put("some/repo", "x.gguf", content(1, 30_000))
	h := newHub(t, s)
	n := parse(t, s.URL+"/some/repo/resolve/main/x.gguf")
	s.Fault = func(*http.Request) *hubtest.Fault { return &hubtest.Fault{Kind: "drop", At: 10} }
	if _, err := h.Pull(context.Background(), n); !fetch.Is(err, fetch.Network) {
		t.Fatalf("want it to give up, got %v", err)
	}
	list := h.Cache.Unfinished()
	if len(list) != 1 || list[0].Name() != n || !list[0].Is(n) {
		t.Fatalf("want %s, got %+v", n, list)
	}
	top := filepath.Join(string(h.Cache), n.folder())
	if info, err := os.Stat(filepath.Join(top, addressFile)); err != nil || info.Mode().Perm()&0o077 != 0 && filepath.Separator == '/' {
		t.Errorf("want a file of the user alone, got %v (%v)", info, err)
	}
	if err := list[0].Remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(top); err == nil {
		t.Errorf("want nothing, got %v", filesBelow(top))
	}
}

// A repository of several models is no name of one: the error has the names.
func TestSeveral(t *testing.T) {
	s := hubtest.New(t)
	s.Put("o/two", "a.pth", content(3, 100))
	s.Put("o/two", "b.gguf", content(4, 100))
	h := newHub(t, s)
	pull(t, h, "hf:o/two/a.pth")
	if _, err := Find([]Cache{h.Cache}, parse(t, "hf:o/two")); err != nil {
		t.Errorf("want the only one, got %v", err)
	}
	pull(t, h, "hf:o/two/b.gguf")
	_, err := Find([]Cache{h.Cache}, parse(t, "hf:o/two"))
	var several *SeveralError
	if !errors.As(err, &several) || err.Error() != "want one model, got hf:o/two, which has hf:o/two/a.pth, hf:o/two/b.gguf" {
		t.Errorf("want both names, got %v", err)
	}
}

// The name of an address is shown without its query, and the model is found and removed by that.
func TestQuery(t *testing.T) {
	s := hubtest.New(t)
	data := content(1, 3000)
	s.Put("some/repo", "x.gguf", data)
	h := newHub(t, s)
	address := s.URL + "/some/repo/resolve/main/x.gguf"
	m := pull(t, h, address+"?key=secret")
	if m.Name.Shown() != address {
		t.Errorf("want %s, got %s", address, m.Name.Shown())
	}
	if m, err := Find([]Cache{h.Cache}, parse(t, address)); err != nil {
		t.Error(err)
	} else {
		holds(t, m.Path, data)
	}
	pull(t, h, address+"?key=other")
	_, err := Find([]Cache{h.Cache}, parse(t, address))
	if err == nil || !strings.HasSuffix(err.Error(), "with which several addresses begin: name the whole address") {
		t.Errorf("want an error, got %v", err)
	}
	_, err = Find([]Cache{h.Cache}, parse(t, address+"2.pth?key=secret"))
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("want an error without the query, got %v", err)
	}
	if _, err := m.Remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(filepath.Join(string(h.Cache), m.folder)); err == nil {
		t.Error("want the folder gone")
	}
}

// A file without a model's ending is an error before any of it comes, and a token is advised for the hub alone.
func TestRefused(t *testing.T) {
	s := hubtest.New(t)
	s.Put("o/r", "model.zip", content(1, 3000))
	h := newHub(t, s)
	_, err := h.Pull(context.Background(), parse(t, "hf:o/r/model.zip"))
	if !fetch.Is(err, fetch.NotFound) || !strings.Contains(err.Error(), "o/r: want a file that ends in .pth, .safetensors, .st, .gguf or .bin, got model.zip") {
		t.Errorf("want it refused, got %v", err)
	}
	s.Private, h.Token = true, ""
	for name, want := range map[string]bool{"hf:o/r/a.pth": true, s.URL + "/o/r/resolve/main/a.pth": false} {
		_, err := h.Pull(context.Background(), parse(t, name))
		if !fetch.Is(err, fetch.Denied) || strings.Contains(err.Error(), "HF_TOKEN") != want {
			t.Errorf("%s: want it denied, HF_TOKEN named: %t, got %v", name, want, err)
		}
	}
}

// What is left of a model that lacks shards goes, and other models of the same snapshot stay with what they need.
func TestHalf(t *testing.T) {
	for files, want := range map[string]string{
		"config.json m-00001-of-00002.bin m-00002-of-00002.bin": "",
		"config.json a.json vocab.txt":                          "",
		"config.json m-00002-of-00002.bin":                      "config.json m-00002-of-00002.bin",
		"m-00002-of-00002.bin readme.md sub/config.json":        "m-00002-of-00002.bin",
		"config.json m-00002-of-00002.bin x.gguf":               "m-00002-of-00002.bin",
	} {
		if got := strings.Join(half(strings.Fields(files), false), " "); got != want {
			t.Errorf("%s: want %q, got %q", files, want, got)
		}
	}
	if got := half([]string{"a.json"}, true); len(got) != 1 {
		t.Errorf("while a shard is being fetched: %q", got)
	}
}
