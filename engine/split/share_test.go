package split

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/cpu"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// all calls try for each division of layers into n counts.
func all(layers, n int, try func([]int)) {
	if n == 1 {
		try([]int{layers})
		return
	}
	for first := 1; first <= layers-n+1; first++ {
		all(layers-first, n-1, func(rest []int) { try(append([]int{first}, rest...)) })
	}
}

// Of all divisions that the executors can take, the one found has the shortest longest time; none is found only if there
// is none.
func TestShare(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	fits, none := 0, 0
	for range 2000 {
		layers, n := 1+rng.IntN(12), 1+rng.IntN(4)
		speeds, extra, most := make([]float64, n), make([]float64, n), make([]int, n)
		for i := range n {
			speeds[i], most[i] = 0.1+rng.Float64(), rng.IntN(layers+3)
			if rng.IntN(2) == 0 {
				extra[i] = 5 * rng.Float64()
			}
		}
		longest := func(counts []int) (took float64) {
			for i, c := range counts {
				took = max(took, (float64(c)+extra[i])/speeds[i])
			}
			return took
		}
		best := -1.0
		all(layers, n, func(counts []int) {
			for i, c := range counts {
				if c > most[i] {
					return
				}
			}
			if took := longest(counts); best < 0 || took < best {
				best = took
			}
		})
		counts, ok := Share(layers, speeds, extra, most)
		if ok != (best >= 0) {
			t.Fatalf("%d layers, at most %v: found %v, want %v", layers, most, ok, best >= 0)
		}
		if !ok {
			none++
			continue
		}
		fits++
		sum := 0
		for i, c := range counts {
			if sum += c; c < 1 || c > most[i] {
				t.Fatalf("%d layers: want 1 to %d of %d, got %d", layers, most[i], i, c)
			}
		}
		if got := longest(counts); sum != layers || got > best*(1+1e-12) {
			t.Fatalf("%d layers at %v beside %v: %v takes %v, want %v", layers, speeds, extra, counts, got, best)
		}
	}
	if fits < 100 || none < 100 {
		t.Errorf("%d divisions fit and %d do not: want many of both", fits, none)
	}
}

func TestFirsts(t *testing.T) {
	if got := Firsts([]int{3, 1, 4}); !slices.Equal(got, []int{3, 4}) {
		t.Errorf("got cuts before %v", got)
	}
}

// slow is an executor that takes a certain time.
type slow struct {
	op.Prober
	took time.Duration
	runs int
}

func (s *slow) Forward(b *op.Batch) error {
	err := s.Prober.Forward(b)
	if s.runs++; s.runs == 1 {
		time.Sleep(10 * s.took) // as if kernels were made
	}
	time.Sleep(s.took)
	return err
}

// A part in the middle of a model can be timed by itself. Its first run does not count.
func TestTime(t *testing.T) {
	parts := evenly(t, golden.Tiny(t).Program, 2)
	for _, p := range parts {
		e, err := cpu.New(p.Program, cpu.Options{Sizes: op.Sizes{Slots: 1, Rows: 1, Seqs: 1, Outs: 1}, Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		x := &slow{Prober: e, took: 20 * time.Millisecond}
		took, err := Time(p, x, 50*time.Millisecond)
		if err := errors.Join(err, e.Close()); err != nil {
			t.Fatal(err)
		}
		if took < x.took || x.runs < 3 {
			t.Errorf("%d runs of at least %v: got %v", x.runs, x.took, took)
		}
	}
}
