package weights_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

// wantFiles wants exactly these files, with their contents, in a folder.
func wantFiles(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil || len(list) != len(want) {
		t.Errorf("want %d files, got %v (%v)", len(want), list, err)
	}
	for name, content := range want {
		if data, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(data) != content {
			t.Errorf("%s: want %q, got %q (%v)", name, content, data, err)
		}
	}
}

// A file appears complete or not at all, and replaces another only by force.
func TestSave(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	broken := errors.New("broken")
	fail := func(w io.Writer) error {
		list, err := os.ReadDir(dir)
		if err != nil || len(list) == 0 || list[0].Name() == "out" {
			t.Errorf("nothing is written beside the file: %v (%v)", list, err)
		}
		return errors.Join(text("half of it")(w), broken)
	}
	if err := weights.Save(path, false, fail); !errors.Is(err, broken) {
		t.Error(err)
	}
	wantFiles(t, dir, map[string]string{})
	if err := weights.Save(path, false, text("first")); err != nil {
		t.Error(err)
	}
	info, err := os.Stat(path)
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm()&0o600 != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if err := weights.Save(path, false, text("second")); !errors.Is(err, weights.ErrExists) {
		t.Error(err)
	}
	if err := weights.Save(path, true, fail); !errors.Is(err, broken) {
		t.Error(err)
	}
	wantFiles(t, dir, map[string]string{"out": "first"})
	if err := errors.Join(os.Chmod(path, 0o600), weights.Save(path, true, text("second"))); err != nil {
		t.Error(err)
	}
	wantFiles(t, dir, map[string]string{"out": "second"})
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the permissions have changed: %v %v", info.Mode(), err)
	}
	func() {
		defer func() { _ = recover() }()
		_ = weights.Save(path, true, func(io.Writer) error { panic("broken") })
	}()
	wantFiles(t, dir, map[string]string{"out": "second"})
	// One that appears while the new one is written is not replaced either.
	late := filepath.Join(dir, "late")
	err = weights.Save(late, false, func(w io.Writer) error {
		return errors.Join(text("mine")(w), os.WriteFile(late, []byte("yours"), 0o600))
	})
	if !errors.Is(err, weights.ErrExists) {
		t.Error(err)
	}
	wantFiles(t, dir, map[string]string{"out": "second", "late": "yours"})
}

// What is no file is never replaced; a link keeps pointing where it did.
func TestSaveTargets(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{dir, os.DevNull} {
		if err := weights.Save(path, true, text("x")); !errors.Is(err, weights.ErrNotFile) {
			t.Errorf("%s: %v", path, err)
		}
	}
	var e *weights.SaveError
	missing := filepath.Join(dir, "no", "folder")
	if err := weights.Save(missing, false, text("x")); !errors.As(err, &e) || !errors.Is(err, fs.ErrNotExist) || e.Path != missing || !strings.HasPrefix(err.Error(), missing+": open: ") {
		t.Errorf("%v", err)
	}
	real, link := filepath.Join(dir, "real"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(real, []byte("old"), 0o600), os.Symlink("real", link)); err != nil {
		t.Skip(err)
	}
	if _, err := os.Readlink(link); err != nil {
		t.Skipf("links are made here that cannot be read: %v", err)
	}
	if err := weights.Save(link, true, text("new")); err != nil {
		t.Error(err)
	}
	if to, err := os.Readlink(link); to != "real" || err != nil {
		t.Errorf("the link is to %q (%v)", to, err)
	}
	wantFiles(t, dir, map[string]string{"real": "new", "link": "new"})
	nowhere := filepath.Join(dir, "nowhere")
	if err := os.Symlink("nothing", nowhere); err != nil {
		t.Fatal(err)
	}
	if err := weights.Save(nowhere, true, text("x")); !errors.Is(err, weights.ErrNotFile) {
		t.Error(err)
	}
	if to, err := os.Readlink(nowhere); to != "nothing" || err != nil {
		t.Errorf("the link is to %q (%v)", to, err)
	}
}
