package tune

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/files"
)

// busyFile is a tuning file, and a tuner that waits for no other writer of it.
func busyFile(t *testing.T) (path string, tuner *Tuner, notices *[]string) {
	path, notices = filepath.Join(t.TempDir(), "tuning.json"), &[]string{}
	tuner = New(path, false, func(s string) { *notices = append(*notices, s) })
	tuner.kept.patience = 0
	return path, tuner, notices
}

// What a tuner finds while others write the file is saved when it finds more, or at the end, and the user is told
// nothing of that. If others are still writing at the end, the user is told once.
func TestTunerBusy(t *testing.T) {
	path, tuner, notices := busyFile(t)
	kept := func() int { return len(New(path, false, nil).kept.found) }
	during := func(f func()) {
		t.Helper()
		if err := files.Exclusively(path, 0, func() error { f(); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	during(func() { tuner.take("a", found{Form: Form{Rows: 1}}) })
	if before := kept(); before != 0 {
		t.Fatalf("want nothing written while another writes, got %d findings", before)
	}
	tuner.take("b", found{Form: Form{Rows: 2}})
	if n := kept(); n != 2 {
		t.Errorf("want both kept with the second, got %d", n)
	}
	during(func() { tuner.take("c", found{Form: Form{Rows: 3}}) })
	tuner.Flush()
	if n := kept(); n != 3 || len(*notices) != 0 {
		t.Errorf("want all kept at the end and nothing told, got %d, %q", n, *notices)
	}
	during(func() {
		tuner.take("d", found{Form: Form{Rows: 4}})
		tuner.Flush()
		tuner.Flush()
	})
	if len(*notices) != 1 || !strings.HasPrefix((*notices)[0], "tuning is not kept: lock "+path+": not free") {
		t.Errorf("want it told once, got %q", *notices)
	}
	if tuner.Flush(); kept() != 4 {
		t.Error("want it kept when the file is free")
	}
	(*Tuner)(nil).Flush() // of a device without one
}

// If others write the file when a trial ends, the form that was tried stays this process's until the file is free. It is
// no suspect of other processes, not even later.
func TestTunerBusyAfterTrial(t *testing.T) {
	path, tuner, _ := busyFile(t)
	held, free, done := make(chan struct{}), make(chan struct{}), make(chan error)
	trial := &stoppedTrial{stop: func() { // in the last form, which the file names by now
		go func() { done <- files.Exclusively(path, 0, func() error { close(held); <-free; return nil }) }()
		<-held
	}}
	w := workOf(tuner, "a product", []Form{{Rows: 1}, {Rows: 2}}, trial)
	err := w.measure(t.Context())
	file, fault := read(path)
	claims := files.Claimed(path, owner())
	close(free)
	if err := errors.Join(err, fault, <-done); err != nil {
		t.Fatal(err)
	}
	if len(file.Trying) != 1 || !claims {
		t.Errorf("want a form under trial and its process alive, got %+v, %t", file, claims)
	}
	tuner.Flush()
	if file, err = read(path); err != nil || len(file.Trying) != 0 || file.Found["a product"].Rows != 2 || files.Claimed(path, owner()) {
		t.Errorf("want what was found and nothing under trial, got %+v, claimed: %t (%v)", file, files.Claimed(path, owner()), err)
	}
}
