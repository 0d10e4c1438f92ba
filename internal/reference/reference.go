// Package reference finds the reference data that tests compare against.
package reference

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
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
