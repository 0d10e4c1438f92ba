//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package vulkan

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/internal/files"
)

// watchedContest is one during whose second form the file is looked at.
type watchedContest struct {
	faultyContest
	watch func()
}

func (c *watchedContest) results(f matMulForm) ([]float32, error) {
	if f.rows == 2 {
		c.watch()
	}
	return c.faultyContest.results(f)
}

// A form that another process is trying at this moment is no suspect; once that process has ended it is.
func TestTunerTriedElsewhere(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "cache", "tuning.json")
	var claimed bool
	var left []byte
	c := &watchedContest{watch: func() {
		claimed = files.Claimed(path, owner())
		left, _ = os.ReadFile(path) // the test fails if there is none
	}}
	_, w := choice(&Exec{tuner: NewTuner(path, false, nil)}, "a product", few, []matMulForm{{rows: 1}, {rows: 2}},
		func() (contest[matMulForm], error) { return c, nil })
	if err := w.measure(t.Context(), time.Now().Add(time.Hour)); err != nil || !claimed {
		t.Errorf("want the trial claimed while it runs (%v)", err)
	}
	if all, err := os.ReadDir(filepath.Dir(path)); err != nil || len(all) != 1 {
		t.Errorf("want the file alone afterwards, got %v (%v)", all, err)
	}
	const other = "17"
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(left), owner(), other)), 0o600); err != nil {
		t.Fatal(err)
	}
	if next := NewTuner(path, false, nil); len(next.lethal) != 1 {
		t.Errorf("want a suspect of a process that ended in the trial, got %v", next.lethal)
	}
	release, err := files.Claim(path, other)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if next := NewTuner(path, false, nil); len(next.lethal) != 0 {
		t.Errorf("want no suspect of a process that lives, got %v", next.lethal)
	}
}
