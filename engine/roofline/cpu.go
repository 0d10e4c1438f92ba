package roofline

import (
	"errors"
	"sync"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/cpu/kernel"
)

// CPU measures the processor with so many threads at once, each of which runs the kernels of a level. read is the bytes
// per second that they read together from so many bytes of memory, which they share out. flops is the float32
// operations per second of independent multiply-adds, each of which counts as two. It is an error if there is no memory
// for the bytes.
func CPU(level kernel.Level, bytes, threads int) (read, flops float64, err error) {
	p := processor{level, threads}
	if read, err = p.read(bytes); err != nil {
		return 0, 0, err
	}
	return read, p.multiplyAdds(), nil
}

// processor measures with the kernels of a level.
type processor struct {
	level   kernel.Level
	threads int
}

const (
	streamUnit = 512      // bytes: Stream reads multiples of it
	streamRun  = 64 << 20 // bytes that a thread reads in a run, at least, so that its start does not count
	addRun     = 1 << 28  // multiply-adds of a thread in a run: some milliseconds of the widest vectors
	cpuRuns    = 10       // the best of them counts

	cpuRun = 20 * time.Millisecond // a run's least time, since a clock of Windows may go on in steps of 16 ms
)

// read streams through memory that is written before, since a system may give memory only then.
func (p processor) read(bytes int) (best float64, err error) {
	part := max((bytes/p.threads+streamUnit-1)/streamUnit, 1) * streamUnit // of a thread
	memory, err := kernel.AllocBytes(part * p.threads)
	if err != nil {
		return 0, err
	}
	defer kernel.Free(memory)
	of := func(thread int) []byte { return memory[thread*part:][:part] }
	p.all(func(thread int) {
		for i := range of(thread) {
			of(thread)[i] = 0x3f // floats of 0.747: others, such as the smallest, may take longer to add
		}
	})
	repeats := max(streamRun/part, 1)
	errs := make([]error, p.threads)
	best = p.rate(float64(repeats*part*p.threads), func(thread int) {
		for range repeats {
			_, err := p.level.Stream(of(thread))
			errs[thread] = errors.Join(errs[thread], err)
		}
	})
	return best, errors.Join(errs...)
}

// multiplyAdds computes in registers.
func (p processor) multiplyAdds() float64 {
	each := p.level.MultiplyAdd(1) // the least that it does
	n := (addRun + each - 1) / each * each
	return p.rate(2*float64(n*p.threads), func(int) { p.level.MultiplyAdd(n) })
}

// rate returns how much of an amount per second all threads do together, in the best of some runs.
func (p processor) rate(amount float64, do func(thread int)) (best float64) {
	for range cpuRuns {
		start, times := time.Now(), 0
		for time.Since(start) < cpuRun {
			p.all(do)
			times++
		}
		best = max(best, float64(times)*amount/time.Since(start).Seconds())
	}
	return best
}

// all runs do for each thread, and waits.
func (p processor) all(do func(thread int)) {
	var wg sync.WaitGroup
	for thread := range p.threads {
		wg.Add(1)
		go func() {
			defer wg.Done()
			do(thread)
		}()
	}
	wg.Wait()
}
