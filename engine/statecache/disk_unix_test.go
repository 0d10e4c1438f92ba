//go:build darwin || linux

package statecache

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
)

// withoutFiles runs f while this process may open no file.
func withoutFiles(t *testing.T, f func()) {
	t.Helper()
	var usual syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &usual); err != nil {
		t.Fatal(err)
	}
	none := usual
	none.Cur = 0
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &usual); err != nil {
			t.Fatal(err)
		}
	}()
	f()
}

// A checkpoint whose file cannot be opened for lack of descriptors is a miss, and is found again afterwards.
func TestPassingErrors(t *testing.T) {
	o, ids := onDiskOptions(t), []int{5, 1, 4}
	name := keptIn(t, o, ids)[0]
	c := newCache(t, o)
	s := c.Space("ann")
	withoutFiles(t, func() {
		if f, err := os.Open(filepath.Join(o.Dir, name)); err == nil {
			_ = f.Close()
			t.Fatal("files can be opened")
		}
		if f, ok := c.writer.look(name); ok {
			t.Errorf("the scan found %+v", f)
		}
		hit := s.Find(ids, 99)
		defer hit.Release()
		if hit.Tokens != 0 || hit.State != nil {
			t.Errorf("found %+v", hit)
		}
	})
	if err := c.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	hit := s.Find(ids, 99)
	defer hit.Release()
	if hit.Tokens != len(ids) || !slices.Equal(hit.State, after(ids)) {
		t.Errorf("afterwards: found %+v", hit)
	}
	if st := c.Stats(); st.Broken != 0 || st.Checkpoints != 1 || st.Misses != 1 || st.Hits != 1 {
		t.Errorf("%+v", st)
	}
	if left := names(t, o.Dir); !slices.Equal(left, []string{name}) {
		t.Errorf("files %v, want %s", left, name)
	}
}
