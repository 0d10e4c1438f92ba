//go:build unix

package files

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// openPart opens a file as another process does that looks whether it is stale.
func openPart(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// create creates a file that is not there.
func create(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// A file that another process has locked, to look whether it is stale, before who created it could lock it, is not
// taken for locked: its writer has the lock afterwards, or learns that the file is gone.
func TestLockedByAnother(t *testing.T) {
	for _, removed := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), ".out.1-1.part")
		mine := create(t, path)
		other := openPart(t, path)
		if err := syscall.Flock(int(other.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			t.Skipf("no locks here: %v", err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			lock(mine)
		}()
		select {
		case <-done:
			t.Error("lock ended while another process had it")
		case <-time.After(shortly):
		}
		if removed {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
		_ = other.Close()
		<-done
		if still(mine) == removed {
			t.Errorf("removed %v, still there %v", removed, !removed)
		}
		if removeUnlocked(path); still(mine) == removed {
			t.Error("the file was removed while it was locked")
		}
	}
}

// A file that was opened as a stale one, and became complete before it could be locked, does not take the next file of
// its name with it; a stale one goes.
func TestRenamedMeanwhile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, ".out.1-1.part")
	first := create(t, path)
	opened := openPart(t, path)
	if err := os.Rename(path, filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	_ = first.Close()
	second := create(t, path)
	if removeOpened(opened); !still(second) {
		t.Error("another file was removed")
	}
	if removeOpened(openPart(t, path)); still(second) {
		t.Error("a stale file was not removed")
	}
}

// No two files of a process have the same name, also if the first is gone.
func TestPartNames(t *testing.T) {
	target := filepath.Join(t.TempDir(), "out")
	seen := map[string]bool{}
	for range 3 {
		f, err := createBeside(target)
		if err != nil {
			t.Fatal(err)
		}
		if seen[f.Name()] {
			t.Errorf("%s twice", f.Name())
		}
		seen[f.Name()] = true
		_ = f.Close()
		if err := os.Remove(f.Name()); err != nil {
			t.Fatal(err)
		}
	}
}
