package cpu

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// resident returns how many bytes of a mapped file are in this process's memory.
func resident(t *testing.T, path string) (n int) {
	t.Helper()
	data, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	of := false
	for line := range strings.Lines(string(data)) {
		switch fields := strings.Fields(line); {
		case strings.Contains(fields[0], "-"):
			of = strings.HasSuffix(strings.TrimSpace(line), path)
		case of && fields[0] == "Rss:":
			kib, err := strconv.Atoi(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			n += kib << 10
		}
	}
	return n
}

// A matrix that is kept by columns gives the memory of the file's back: after the columns are written, and again some
// passes after one that reads the rows. What shares a page with others stays, and a page may have 2 MiB.
func TestColumnsGiveBack(t *testing.T) {
	path, m := writtenOf(t, 8192, mostlyZeros)
	e := at("", 2)(t, m.Program, columnSizes, 0).(*Exec)
	pass := func(rows int) int {
		t.Helper()
		var b op.Batch
		b.Add(0, make([]int, rows), 1)
		if err := e.Forward(&b); err != nil {
			t.Fatal(err)
		}
		return resident(t, path)
	}
	before := pass(32)
	if before < len(e.columns) {
		t.Fatalf("%d bytes of the file are in memory, fewer than the %d of the matrices", before, len(e.columns))
	}
	for _, passes := range []int{enough + 2, restful} { // of the first ones, two write a matrix each
		after := before
		for range passes {
			after = pass(1)
		}
		if before-after < len(e.columns)/3 {
			t.Errorf("after %d passes of a row %d bytes of the file are in memory, %d before, want less by most of %d", passes, after, before, len(e.columns))
		}
		if again := pass(32); again-after < len(e.columns)/3 {
			t.Errorf("a pass of many rows did not read the file: %d bytes of it are in memory, %d before", again, after)
		}
	}
}
