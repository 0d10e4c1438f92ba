package cpu

import (
	"math"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/op/optest"
)

// at returns a way to open executors of a level with some threads.
func at(level string, threads int) optest.Open {
	return func(tb testing.TB, prog *op.Program, s op.Sizes, guard int) op.Prober {
		e, err := New(prog, Options{Sizes: s, Guard: guard, Level: level, Threads: threads, Spare: math.MaxInt})
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() {
			if err := e.Close(); err != nil {
				tb.Error(err)
			}
		})
		return e
	}
}

// eachLevel runs a test for each level of processor features that this machine has. The race detector, which does not see
// what assembly reads and writes, has the level without any and the best one.
func eachLevel(t *testing.T, test func(t *testing.T, level string)) {
	levels := Levels()
	if reference.Race && len(levels) > 2 {
		levels = []string{levels[0], levels[len(levels)-1]}
	}
	for _, level := range levels {
		t.Run(level, func(t *testing.T) { test(t, level) })
	}
}

func TestOps(t *testing.T) {
	eachLevel(t, func(t *testing.T, level string) { optest.Run(t, at(level, 3)) })
}

func BenchmarkOps(b *testing.B) { optest.Bench(b, at("", 0)) }
