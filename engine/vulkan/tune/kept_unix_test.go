//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package tune

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/files"
)

// watchedTrial is one during whose second form the file is looked at.
type watchedTrial struct {
	faultyTrial
	watch func()
}

func (c *watchedTrial) Results(f Form) ([]float32, error) {
	if f.Rows == 2 {
		c.watch()
	}
	return c.faultyTrial.Results(f)
}

// A form that another process is trying at this moment is no suspect; once that process has ended it is.
func TestTunerTriedElsewhere(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "cache", "tuning.json")
	var claimed bool
	var left []byte
	c := &watchedTrial{watch: func() {
		claimed = files.Claimed(path, owner())
		left, _ = os.ReadFile(path) // the test fails if there is none
	}}
	w := workOf(New(path, false, nil), "a product", []Form{{Rows: 1}, {Rows: 2}}, c)
	if err := w.measure(t.Context()); err != nil || !claimed {
		t.Errorf("want the trial claimed while it runs (%v)", err)
	}
	if all, err := os.ReadDir(filepath.Dir(path)); err != nil || len(all) != 1 {
		t.Errorf("want the file alone afterwards, got %v (%v)", all, err)
	}
	const other = "17"
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(left), owner(), other)), 0o600); err != nil {
		t.Fatal(err)
	}
	if next := New(path, false, nil); len(next.kept.lethal) != 1 {
		t.Errorf("want a suspect of a process that ended in the trial, got %v", next.kept.lethal)
	}
	release, err := files.Claim(path, other)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if next := New(path, false, nil); len(next.kept.lethal) != 0 {
		t.Errorf("want no suspect of a process that lives, got %v", next.kept.lethal)
	}
}
