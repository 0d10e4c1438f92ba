package files

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// Once writing is given up, nothing of a file that is being written stays, and no other appears.
func TestAbandon(t *testing.T) {
	defer func() { unfinished.abandoned = false }()
	dir := t.TempDir()
	count := func() int {
		list, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	write := func(w io.Writer) error {
		_, err := w.Write([]byte("text"))
		if before := count(); before != 1 {
			t.Errorf("want the file that is written, got %d files", before)
		}
		Abandon()
		if after := count(); after != 0 && runtime.GOOS != "windows" { // where it may go only once it is closed
			t.Errorf("want no file after it was given up, got %d", after)
		}
		return err
	}
	if err := Replace(filepath.Join(dir, "first"), write, nil); !errors.Is(err, errAbandoned) {
		t.Errorf("want an error, got %v", err)
	}
	if err := Replace(filepath.Join(dir, "second"), func(io.Writer) error { return nil }, nil); !errors.Is(err, errAbandoned) || count() != 0 {
		t.Errorf("want an error and no file, got %v and %d", err, count())
	}
	unfinished.abandoned = false
	if err := Replace(filepath.Join(dir, "third"), func(io.Writer) error { return nil }, nil); err != nil || count() != 1 || len(unfinished.files) != 0 {
		t.Errorf("want a file and nothing unfinished, got %d, %v (%v)", count(), unfinished.files, err)
	}
}
