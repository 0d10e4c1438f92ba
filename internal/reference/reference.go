// Package reference finds the reference data that tests compare against.
package reference

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Shared returns the path of an entry of the reference data folder that lies beside the checkout (../shared), and skips
// the test with one line where that folder is absent, as it is in a bare clone. With RWKV_REQUIRE_SHARED=1 its absence
// is a failure instead.
func Shared(tb testing.TB, elem ...string) string {
	tb.Helper()
	root := filepath.Join(filepath.Dir(Root(tb)), "shared")
	if _, err := os.Stat(root); err != nil {
		if os.Getenv("RWKV_REQUIRE_SHARED") == "1" {
			tb.Fatalf("reference data wanted (RWKV_REQUIRE_SHARED=1): %v", err)
		}
		tb.Skip("reference data absent: ../shared is not beside this checkout")
	}
	path := filepath.Join(append([]string{root}, elem...)...)
	if _, err := os.Stat(path); err != nil {
		tb.Fatalf("reference data incomplete: %v", err)
	}
	return path
}

// Numbers skips, under the race detector, a test that only compares numbers: the race detector finds nothing there that
// it does not find elsewhere, slows it down ten times, and the run without it has the numbers.
func Numbers(tb testing.TB) {
	tb.Helper()
	if Race {
		tb.Skip("numbers alone: not under the race detector")
	}
}

// Sequential skips, under the race detector, a test that takes long there and in which nothing is concurrent.
func Sequential(tb testing.TB) {
	tb.Helper()
	if Race {
		tb.Skip("nothing is concurrent in it: not under the race detector")
	}
}

// RacedIn skips a test under the race detector if others, which it names, run there what is concurrent in it. The rest
// of it is slowed down ten times, and the run without the race detector has it.
func RacedIn(tb testing.TB, others string) {
	tb.Helper()
	if Race {
		tb.Skip("under the race detector the same runs in " + others)
	}
}

// Root returns the top folder of the checkout.
func Root(tb testing.TB) string {
	tb.Helper()
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		tb.Fatal("reference: no caller information")
	}
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

// Self returns a command that runs this test program again. Where the system does not know how to run programs of its
// kind, the command and arguments of RWKV_EMULATOR do, as they do for this process.
func Self(args ...string) *exec.Cmd {
	words := append(strings.Fields(os.Getenv("RWKV_EMULATOR")), os.Args[0])
	return exec.Command(words[0], append(words[1:], args...)...)
}

// CutFiles skips, in an emulator, a test of reads in a mapped file that was cut: QEMU does not tell which address could
// not be read, and so nobody knows which file it was.
func CutFiles(tb testing.TB) {
	tb.Helper()
	if os.Getenv("RWKV_EMULATOR") != "" {
		tb.Skip("a mapped file that is cut: not in an emulator, which does not tell the address of a read that failed")
	}
}

// AtMost returns the time that a test allows for something: usual, or as much more as an emulator is slower.
func AtMost(usual time.Duration) time.Duration {
	if os.Getenv("RWKV_EMULATOR") != "" {
		return 20 * usual
	}
	return usual
}
