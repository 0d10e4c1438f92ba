package states

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A state whose file somebody has removed is none, and takes no room.
func TestRemovedFile(t *testing.T) {
	dir := t.TempDir()
	s := reopen(t, Options{Dir: dir, Bytes: 50})
	for _, get := range []func(id string) error{
		func(id string) error { _, err := s.Get("ann", id); return err },
		func(id string) error { _, err := s.File("ann", id); return err },
		func(id string) error { _, err := s.Fork("ann", id, ""); return err },
	} {
		i, err := s.add("ann", "", true, made(1))
		if err != nil {
			t.Fatal(err)
		}
		names, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil || len(names) != 1 {
			t.Fatalf("%q, %v", names, err)
		}
		if err := os.Remove(names[0]); err != nil {
			t.Fatal(err)
		}
		if err := get(i.ID); !errors.Is(err, ErrNone) {
			t.Errorf("%v", err)
		}
		if n, bytes := s.Stats(); n != 0 || bytes != 0 || len(s.List("ann")) != 0 || len(s.held) != 0 {
			t.Errorf("%d states of %d bytes are left, %v held", n, bytes, s.held)
		}
	}
}

// A state comes back from its folder as it was, with the name by which caches know it. What else lies there stays and is
// told of. Of two files of one state the newer one counts.
func TestFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	o := Options{Dir: dir}
	s := reopen(t, o)
	i, err := s.add("ann", "x", true, made(3))
	if err != nil {
		t.Fatal(err)
	}
	before, err := s.Get("ann", i.ID)
	if err != nil {
		t.Fatal(err)
	}
	old, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(old) != 1 || !strings.HasPrefix(filepath.Base(old[0]), i.ID+".") {
		t.Fatalf("%q, %v", old, err)
	}
	earlier, err := os.ReadFile(old[0])
	if err != nil {
		t.Fatal(err)
	}
	s = reopen(t, o)
	after, err := s.Get("ann", i.ID)
	if err != nil || !slices.Equal(after.Data, before.Data) || after.Origin != before.Origin {
		t.Errorf("%+v, then %+v, %v", before, after, err)
	}
	if i, err = s.Replace("ann", i.ID, made(5)); err != nil {
		t.Fatal(err)
	}
	put := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	put(filepath.Base(old[0]), earlier) // as if the process had ended before it removed it
	put("other.txt", nil)
	want := []string{put("empty.state", nil), put("state_renamed.x.state", earlier), put(i.ID+".cut.state", earlier[:len(earlier)/3])}
	for at := range 40 {
		bad := bytes.Clone(earlier)
		bad[at] ^= 1
		want = append(want, put(fmt.Sprintf("%s.%d.state", i.ID, at), bad))
	}
	var broken []string
	s, err = Open(plainCodec{}, o, func(path string, err error) { broken = append(broken, path) })
	slices.Sort(want)
	if slices.Sort(broken); err != nil || !slices.Equal(broken, want) {
		t.Errorf("%v: told of %q, want %q", err, broken, want)
	}
	if got, err := s.Get("ann", i.ID); err != nil || !slices.Equal(got.Data, made(5).Data) || got.Origin == before.Origin {
		t.Errorf("the newer of two: %+v, %v", got, err)
	}
	if _, err := os.Stat(old[0]); !os.IsNotExist(err) {
		t.Errorf("the older of two is still there: %v", err)
	}
	files, err := filepath.Glob(filepath.Join(dir, i.ID+".*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !slices.Contains(broken, f) {
			if err := os.Truncate(f, 30); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err = s.Get("ann", i.ID); err == nil || errors.Is(err, ErrNone) {
		t.Errorf("a file that was cut meanwhile: %v", err)
	}
}
