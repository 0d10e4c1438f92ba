//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows

package files

import (
	"os"
	"path/filepath"
	"testing"
)

// A claim holds until it is released, whatever is written meanwhile, and a file that nobody has locked is none.
func TestClaim(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	release, err := Claim(path, "17")
	if err != nil {
		t.Fatal(err)
	}
	if err := Keep(path, []byte("x"), false); err != nil {
		t.Fatal(err)
	}
	if !Claimed(path, "17") || Claimed(path, "18") {
		t.Errorf("want 17 alone at work, got %v, %v", Claimed(path, "17"), Claimed(path, "18"))
	}
	if err := os.WriteFile(claimName(path, "18"), nil, 0o600); err != nil { // as a killed process leaves it
		t.Fatal(err)
	}
	if Claimed(path, "18") {
		t.Error("want a file that nobody has locked to be no claim")
	}
	release()
	if err := Keep(path, []byte("y"), false); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 || Claimed(path, "17") {
		t.Errorf("want the file alone, got %v (%v)", left, err)
	}
}
