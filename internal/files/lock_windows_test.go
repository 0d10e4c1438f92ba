package files

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A file that somebody reads for a moment is replaced afterwards. One that stays open stays as it is, and nothing else
// is left beside it.
func TestReplaceOpen(t *testing.T) {
	target := filepath.Join(t.TempDir(), "file")
	write := func(text string) error {
		return Replace(target, func(w io.Writer) error { _, err := io.WriteString(w, text); return err }, nil)
	}
	if err := write("first"); err != nil {
		t.Fatal(err)
	}
	open := func() *os.File {
		f, err := os.Open(target)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	f := open()
	time.AfterFunc(readBriefly/20, func() { _ = f.Close() }) // read only
	if err := write("second"); err != nil {
		t.Errorf("want it to wait for who reads: %v", err)
	}
	f = open()
	err := write("third")
	if !inUse(err) {
		t.Errorf("want an error while somebody has it open, got %v", err)
	}
	data, err := io.ReadAll(f)
	if err != nil || string(data) != "second" {
		t.Errorf("want the older content, got %q (%v)", data, err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(filepath.Dir(target)); err != nil || len(left) != 1 {
		t.Errorf("want the file alone, got %v (%v)", left, err)
	}
}

// What a killed process had begun goes with the next that writes the same file; what is being written stays.
func TestReplaceCleansOnWindows(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "file")
	stale := filepath.Join(dir, ".file.17-1"+partEnding)
	if err := os.WriteFile(stale, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := Replace(target, func(io.Writer) error {
		if _, err := os.Lstat(stale); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("want the stale file gone, got %v", err)
		}
		list, err := os.ReadDir(dir)
		if err != nil || len(list) != 1 {
			t.Fatalf("want the file that is written alone, got %v (%v)", list, err)
		}
		if Sweep(dir, func(string) bool { return true }); !locked(filepath.Join(dir, list[0].Name())) {
			t.Error("want the file that is written to stay, and locked")
		}
		return nil
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(target, []byte("text"), 0o600); err != nil { // nothing holds a lock on it
		t.Error(err)
	}
}
