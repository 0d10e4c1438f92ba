package roofline

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/cpu/kernel"
)

// The limits of a processor are those of its memory and its vectors: not below what a plain loop does on one thread,
// and not beyond what any processor does. A busy machine may take ten times as long for either.
func TestCPU(t *testing.T) {
	levels := kernel.Levels()
	for _, threads := range []int{1, 2, 3} {
		read, flops, err := CPU(levels[len(levels)-1], 32<<20, threads)
		if err != nil {
			t.Fatal(err)
		}
		plainRead, plainFlops := plainLoops()
		t.Logf("%d threads: %.1f GB/s (plain %.1f), %.1f GFLOPS (plain %.1f)", threads, read/1e9, plainRead/1e9, flops/1e9, plainFlops/1e9)
		if read < plainRead/10 || flops < plainFlops/10 {
			t.Errorf("%d threads: want at least a tenth of %g bytes and %g operations per second, got %g and %g", threads, plainRead, plainFlops, read, flops)
		}
		if most := float64(threads) * 1e12; read > most || flops > most {
			t.Errorf("%d threads: want at most %g bytes and operations per second, got %g and %g", threads, most, read, flops)
		}
	}
}

// plainLoops returns the bytes per second that a loop in Go reads of 32 MiB, and the operations per second of one chain
// of multiply-adds.
func plainLoops() (read, flops float64) {
	words := make([]uint64, 32<<20/8)
	for i := range words {
		words[i] = uint64(i)
	}
	start, sum := time.Now(), uint64(0)
	for _, w := range words {
		sum += w
	}
	read = float64(8*len(words)) / time.Since(start).Seconds()
	start = time.Now()
	x, half := float32(sum&1), float32(0.5)
	const n = 1 << 22
	for range n {
		x = x*half + 1
	}
	flops = 2 * n / time.Since(start).Seconds()
	if x > 2 { // the sums are needed
		panic("a chain that tends to 2 is beyond it")
	}
	return read, flops
}

// A rate is of all threads together, each of which runs as often as the others, for so long that the steps of a coarse
// clock do not make it infinite.
func TestCPURate(t *testing.T) {
	const threads, amount = 3, 1e6
	var ran [threads]atomic.Int32
	begin, best := time.Now(), time.Hour
	rate := processor{threads: threads}.rate(amount, func(thread int) {
		start := time.Now()
		ran[thread].Add(1)
		for time.Since(start) < time.Millisecond {
		}
		if thread == 0 {
			best = min(best, time.Since(start))
		}
	})
	if took := time.Since(begin); took < cpuRuns*cpuRun {
		t.Errorf("want %d runs of %v, all took %v", cpuRuns, cpuRun, took)
	}
	for thread := range ran {
		if n := ran[thread].Load(); n < cpuRuns || n != ran[0].Load() {
			t.Errorf("thread %d: %d runs, the first one %d", thread, n, ran[0].Load())
		}
	}
	if most := amount / best.Seconds(); rate > most {
		t.Errorf("want at most %g a second, got %g", most, rate)
	}
}
