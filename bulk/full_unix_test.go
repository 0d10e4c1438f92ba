//go:build unix

package bulk

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
)

const fullEnv = "RWKV_TEST_BULK_FULL" // the input of a process of TestFullDisk

// A disk that is full stops the job with an error that names the file. What has been done stays, and the job goes on when
// there is room.
func TestFullDisk(t *testing.T) {
	if input := os.Getenv(fullEnv); input != "" {
		limit := syscall.Rlimit{Cur: 24 << 10, Max: 24 << 10} // of each file, which fails as a full disk does
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			t.Fatal(err)
		}
		_, err := work(t.Context(), options(input), &echo{}, nil)
		if !errors.Is(err, syscall.EFBIG) || !strings.Contains(err.Error(), "journal") {
			t.Fatalf("want a file that is too large, got %v", err)
		}
		return
	}
	lines := some(300)
	undisturbed := options(file(t, t.TempDir(), lines...))
	if _, err := work(t.Context(), undisturbed, &echo{}, nil); err != nil {
		t.Fatal(err)
	}
	o := options(file(t, t.TempDir(), lines...))
	c := reference.Self("-test.run=^TestFullDisk$")
	c.Env = append(os.Environ(), fullEnv+"="+o.Input)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	w := &echo{}
	if _, err := work(t.Context(), o, w, nil); err != nil {
		t.Fatal(err)
	}
	sameResults(t, undisturbed, o)
	if n := w.asked.Load(); n == 0 || n > 250 {
		t.Errorf("%d items were done after the disk was full", n)
	}
}
