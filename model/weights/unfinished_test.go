package weights

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// Once writing is given up, nothing of a file that is being written stays, and no other appears.
func TestAbandon(t *testing.T) {
	defer func() { unfinished.abandoned = false }()
	dir := t.TempDir()
	files := func() int {
		list, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	write := func(w io.Writer) error {
		_, err := w.Write([]byte("text"))
		if before := files(); before != 1 {
			t.Errorf("want the file that is written, got %d files", before)
		}
		Abandon()
		if after := files(); after != 0 {
			t.Errorf("want no file after it was given up, got %d", after)
		}
		return err
	}
	if err := Save(filepath.Join(dir, "first"), false, write); !errors.Is(err, errAbandoned) {
		t.Errorf("want an error, got %v", err)
	}
	if err := Save(filepath.Join(dir, "second"), false, func(io.Writer) error { return nil }); !errors.Is(err, errAbandoned) || files() != 0 {
		t.Errorf("want an error and no file, got %v and %d", err, files())
	}
	unfinished.abandoned = false
	if err := Save(filepath.Join(dir, "third"), false, func(io.Writer) error { return nil }); err != nil || files() != 1 || len(unfinished.files) != 0 {
		t.Errorf("want a file and nothing unfinished, got %d, %v (%v)", files(), unfinished.files, err)
	}
}
