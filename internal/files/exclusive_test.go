package files

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
)

const (
	countEnv = "RWKV_TEST_COUNT" // a file, in which a process of this test counts
	counts   = 50
	shortly  = 100 * time.Millisecond
)

// countIn adds one to a file's number, so often.
func countIn(path string) error {
	for range counts {
		err := Exclusively(path, time.Hour, func() error {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			n, err := strconv.Atoi(string(data))
			if err != nil {
				return err
			}
			return Keep(path, fmt.Append(nil, n+1), false)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Whatever many processes and goroutines change in one file, nothing of it is lost, and nothing else stays in the
// folder.
func TestExclusively(t *testing.T) {
	if path := os.Getenv(countEnv); path != "" {
		if err := countIn(path); err != nil {
			t.Fatal(err)
		}
		return
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := os.WriteFile(path, []byte("0"), 0o600); err != nil {
		t.Fatal(err)
	}
	const each = 3 // processes, goroutines
	var all sync.WaitGroup
	for range each {
		all.Add(1)
		go func() {
			defer all.Done()
			cmd := reference.Self("-test.run=^TestExclusively$")
			cmd.Env = append(os.Environ(), countEnv+"="+path)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		}()
		all.Add(1)
		go func() {
			defer all.Done()
			if err := countIn(path); err != nil {
				t.Error(err)
			}
		}()
	}
	all.Wait()
	if data, err := os.ReadFile(path); string(data) != fmt.Sprint(2*each*counts) {
		t.Errorf("want %d changes, got %s (%v)", 2*each*counts, data, err)
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 1 {
		t.Errorf("want the file alone, got %v (%v)", list, err)
	}
}

// Who waits too long for somebody else gets an error that names the file, and has changed nothing.
func TestExclusivelyBusy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "folder", "file") // the folder is made
	err := Exclusively(path, 0, func() error {
		return Exclusively(path, shortly, func() error {
			t.Error("two at once")
			return nil
		})
	})
	if want := "lock " + path + ": not free for " + shortly.String() + ": " + ErrBusy.Error(); !errors.Is(err, ErrBusy) || err.Error() != want {
		t.Errorf("want %q, got %v", want, err)
	}
	if err := Exclusively(path, 0, func() error { return nil }); err != nil {
		t.Errorf("want it free afterwards, got %v", err)
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Exclusively(filepath.Join(filepath.Dir(path), "x", "file"), shortly, func() error { return nil }); err == nil {
		t.Error("want an error where there is no folder to be")
	}
}

// Who was stopped while he waited, or got no turn on a busy machine, has not waited meanwhile.
func TestWaitStopped(t *testing.T) {
	looks := 0
	release, err := waitFor("file", shortly, func() (func(), error) {
		if looks++; looks == 5 {
			return func() {}, nil
		}
		time.Sleep(2 * shortly)
		return nil, nil
	})
	if release == nil || err != nil {
		t.Errorf("want it to wait on, got %v after %d looks", err, looks)
	}
	begin := time.Now()
	_, err = waitFor("file", shortly, func() (func(), error) { return nil, nil })
	if waited := time.Since(begin); !errors.Is(err, ErrBusy) || waited < shortly {
		t.Errorf("want an error after %v, got %v after %v", shortly, err, waited)
	}
}

// Systems without locks of files hold a name by a file that is there. What a killed process left is taken away.
func TestHoldByName(t *testing.T) {
	name := filepath.Join(t.TempDir(), "held")
	release, err := holdByName(name)
	if release == nil || err != nil {
		t.Fatalf("want it held, got %v", err)
	}
	if again, err := holdByName(name); again != nil || err != nil {
		t.Errorf("want it taken, got %t (%v)", again != nil, err)
	}
	release()
	if release, err = holdByName(name); release == nil || err != nil {
		t.Fatalf("want it free again, got %v", err)
	}
	release()
	if err := os.WriteFile(name, nil, 0o600); err != nil { // as a killed process leaves it
		t.Fatal(err)
	}
	old := time.Now().Add(-2 * heldLong)
	if err := os.Chtimes(name, old, old); err != nil {
		t.Fatal(err)
	}
	release, err = waitFor(name, shortly, func() (func(), error) { return holdByName(name) })
	if release == nil || err != nil {
		t.Fatalf("want an old one taken away, got %v", err)
	}
	release()
	if _, err := holdByName(filepath.Join(name, "none")); err == nil {
		t.Error("want an error where no file can be")
	}
}
