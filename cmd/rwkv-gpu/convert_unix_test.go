//go:build unix

package main

import (
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
)

// A file that cannot grow, as on a full disk, ends with status 1, one line, and nothing left.
func TestConvertFullDisk(t *testing.T) {
	dir := t.TempDir()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ) // a write past the limit is then an error
	defer signal.Reset(syscall.SIGXFSZ)
	small := limit
	small.Cur = 3 << 20
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &small); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out.gguf")
	r := cli("convert", out)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	wantError(t, r, statusFailed, "convert: "+out+": write: file too large")
	if list, err := os.ReadDir(dir); err != nil || len(list) != 0 {
		t.Errorf("files are left: %v (%v)", list, err)
	}
}
