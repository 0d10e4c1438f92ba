package tune

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/shaders"
)

// Processes that save by turns keep one another's findings, their own where both have one.
func TestTunerShares(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tuning.json")
	a, b := New(path, false, nil), New(path, false, nil)
	a.take("of both", found{Form: Form{Rows: 1}})
	b.take("of b", found{Form: Form{Rows: 2}})
	b.take("of both", found{Form: Form{Rows: 3}})
	a.take("of a", found{Form: Form{Rows: 4}})
	c := New(path, false, nil)
	for key, rows := range map[string]uint32{"of a": 4, "of b": 2, "of both": 1} {
		if c.kept.found[key].Rows != rows {
			t.Errorf("%s: want %d, got %v", key, rows, c.kept.found)
		}
	}
}

// Whatever many tuners find at the same time, nothing of it is lost, though none of them waits for another until all is
// found.
func TestTunerSharesAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tuning.json")
	const tuners, each = 6, 20
	var all sync.WaitGroup
	for i := range tuners {
		all.Add(1)
		go func() {
			defer all.Done()
			tuner := New(path, false, func(s string) { t.Error(s) })
			tuner.kept.patience = 0
			for j := range each {
				tuner.take(fmt.Sprint(i, "-", j), found{Form: Form{Rows: uint32(i)}})
			}
			tuner.kept.patience = 10 * time.Minute
			tuner.Flush()
		}()
	}
	all.Wait()
	if found := New(path, false, nil).kept.found; len(found) != tuners*each {
		t.Errorf("want %d findings, got %d", tuners*each, len(found))
	}
}

// If two processes measure one list, the measurement that got further stays. A process that has not measured a list
// does not bring it back to where it was when the process began.
func TestTunerSharesFurther(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tuning.json")
	at := func(rows uint32, next int) found { return found{Form: Form{Rows: rows}, Next: next, Among: "a list"} }
	New(path, false, nil).take("begun", at(1, 2))
	a, b := New(path, false, nil), New(path, false, nil)
	b.take("begun", at(2, 0))
	b.take("all", at(3, 0))
	b.take("most", at(4, 5))
	b.take("another list", found{Form: Form{Rows: 5}, Among: "another list"})
	a.take("all", at(6, 4))
	a.take("most", at(7, 4))
	a.take("another list", at(8, 1))
	a.take("of a", at(9, 0))
	want := map[string]found{"begun": at(2, 0), "all": at(3, 0), "most": at(4, 5), "another list": at(8, 1), "of a": at(9, 0)}
	if found := New(path, false, nil).kept.found; !maps.Equal(found, want) || !maps.Equal(a.kept.found, want) {
		t.Errorf("want %v, got %v in the file and %v", want, found, a.kept.found)
	}
}

// A form whose trial its user ended is not to blame for that, and the process writes no other down while it ends; one
// that ends by itself leaves its form behind.
func TestAcquitForms(t *testing.T) {
	defer func() { underTrial.over = false }()
	underTrial.paths = nil // of tests whose folders are gone
	path := filepath.Join(t.TempDir(), "tuning.json")
	end := &stoppedTrial{stop: AcquitForms}
	w := workOf(New(path, false, nil), "a product", []Form{{Rows: 1}, {Rows: 2}, {Rows: 4}}, end)
	New(path, false, nil).take("another", found{Form: Form{Rows: 3}})
	trying := func() int {
		t.Helper()
		file, err := read(path)
		if err != nil || file.Found["another"].Rows != 3 {
			t.Fatalf("want what was found kept, got %+v (%v)", file, err)
		}
		return len(file.Trying)
	}
	during, after := 0, 0
	end.stop = func() {
		during = trying()
		AcquitForms()
		after = trying()
	}
	if err := w.measure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if last := trying(); during != 1 || after != 0 || last != 0 || !slices.Contains(end.tried, 4) {
		t.Errorf("want one form under trial, then none, got %d, %d, %d (%v tried)", during, after, last, end.tried)
	}
	mark := filepath.Join(t.TempDir(), "mark.json")
	tuner := New(mark, false, nil)
	if tuner.tries("a form"); len(New(mark, false, nil).kept.lethal) != 0 {
		t.Error("want no form written down after that")
	}
}

// What was measured counts for the kernels of this build alone: those of products, of recurrences by chunks, and of
// draws.
func TestKernelSum(t *testing.T) {
	prefixes := []string{"matmul_", "wkv7", "sample_"}
	for i, p := range prefixes {
		if rest := slices.Delete(slices.Clone(prefixes), i, i+1); shaders.Sum(p) == shaders.Sum("none") || kernelSum() == shaders.Sum(rest...) {
			t.Errorf("kernels %s do not count", p)
		}
	}
}
