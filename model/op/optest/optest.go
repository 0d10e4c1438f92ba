// Package optest runs the conformance cases of package opcase as tests of an executor, and those of a useful size as
// its benchmarks.
package optest

import (
	"sync"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/op/opcase"
)

// Open makes an executor for a program with guard unused elements around each scratch and state operand.
type Open func(tb testing.TB, prog *op.Program, s op.Sizes, guard int) op.Prober

// Run tests every case on the executors that open makes.
func Run(t *testing.T, open Open) { RunIf(t, open, func(string) bool { return true }) }

// RunIf tests the cases whose name want accepts; in a short run without those of a useful size. To accept none is a
// failure.
func RunIf(t *testing.T, open Open, want func(name string) bool) {
	if missing := opcase.Uncovered(); len(missing) > 0 {
		t.Errorf("ops without a conformance case: %v", missing)
	}
	none, names := true, map[string]bool{}
	for _, c := range opcase.Cases() {
		if names[c.Name] {
			t.Fatalf("two cases have the name %s", c.Name)
		}
		names[c.Name] = true
		if !(c.Perf && testing.Short()) && want(c.Name) {
			none = false
			t.Run(c.Name, func(t *testing.T) { run(t, &c, open) })
		}
	}
	if none {
		t.Error("none of the cases is wanted: nothing is tested")
	}
}

// setups holds the cases that this process has built, by name. Tests run a case on many executors, and the oracle takes
// longer than most of them.
var setups sync.Map

func setupOf(t *testing.T, c *opcase.Case) *opcase.Setup {
	t.Helper()
	if s, ok := setups.Load(c.Name); ok {
		return s.(*opcase.Setup)
	}
	s, err := c.Setup()
	if err != nil {
		t.Fatal(err)
	}
	s.Slim()
	setups.Store(c.Name, s)
	return s
}

func run(t *testing.T, c *opcase.Case, open Open) {
	s := setupOf(t, c)
	e := open(t, s.Prog, s.Sizes, opcase.Guard)
	r, err := s.Check(e, opcase.Float32, func() error { return e.RunStep(0) })
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range r.Faults {
		t.Error(fault)
	}
}
