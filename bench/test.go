package bench

import (
	"fmt"
	"runtime"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
)

// test is a test at some depth with its samples.
type test struct {
	decode        bool
	tokens, batch int
	rates         []float64
	seconds       float64 // of all samples
	work          engine.Work
	mallocs       uint64
	other         otherCPU
}

func (t *test) name() string {
	if t.decode {
		return fmt.Sprintf("tg%d", t.tokens)
	}
	return fmt.Sprintf("pp%d", t.tokens)
}

// atDepth measures every test at the depth of base. Repetitions are interleaved, so that what changes on the machine
// meanwhile concerns all tests alike.
func (r *runner) atDepth() error {
	var tests []*test
	for _, batch := range r.o.Batches {
		for _, n := range r.o.PP {
			tests = append(tests, &test{tokens: n, batch: batch})
		}
		for _, n := range r.o.TG {
			tests = append(tests, &test{decode: true, tokens: n, batch: batch})
		}
	}
	all := int64(len(tests) * (r.o.Warmup + r.o.Repeat))
	done := int64(0)
	for run := range r.o.Warmup + r.o.Repeat {
		for _, t := range tests {
			if err := r.ctx.Err(); err != nil {
				return err
			}
			r.tell(fmt.Sprintf("measuring at depth %d", r.depth), done, all)
			if err := r.sample(t, run < r.o.Warmup); err != nil {
				return err
			}
			done++
		}
	}
	for _, t := range tests {
		r.report.Results = append(r.report.Results, r.result(t))
	}
	return nil
}

// warmTokens is how many decode steps a warm-up needs.
const warmTokens = 8

// sample runs a test once. A warm-up is cut short where the rest would bring nothing new: neither another shape of a pass
// nor a processor in another state.
func (r *runner) sample(t *test, warmup bool) error {
	tokens := t.tokens
	if chunk := r.e.Chunk(); warmup && t.decode {
		tokens = min(tokens, warmTokens)
	} else if warmup && tokens > chunk {
		tokens = chunk + tokens%chunk
	}
	slots, err := r.fork(t.batch)
	if err != nil {
		return err
	}
	defer func() {
		for _, s := range slots {
			_ = r.e.Release(s) // it is in use
		}
	}()
	ids := r.random(t.batch*tokens, r.depth+len(t.rates))
	steps := 1
	if t.decode {
		steps = tokens
	}
	cpu := readCPUTime()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	work, start := r.e.Work(), time.Now()
	for s := range steps {
		if err := r.step(slots, ids, s, tokens/steps); err != nil {
			return err
		}
	}
	elapsed := time.Since(start).Seconds()
	runtime.ReadMemStats(&after)
	if warmup {
		return nil
	}
	t.other.add(cpu)
	t.work = t.work.Add(r.e.Work().Sub(work))
	t.mallocs += after.Mallocs - before.Mallocs
	t.seconds += elapsed
	t.rates = append(t.rates, float64(t.batch*tokens)/elapsed)
	return nil
}

// step feeds each sequence its next n tokens and takes the last one's logits.
func (r *runner) step(slots []engine.Slot, ids []int, step, n int) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	r.in = r.in[:0]
	for i, s := range slots {
		at := (step*len(slots) + i) * n
		r.in = append(r.in, engine.Input{Slot: s, Tokens: ids[at : at+n], Wanted: 1})
	}
	return r.e.Step(r.in, r.take)
}

// result is what the samples of a test amount to.
func (r *runner) result(t *test) Result {
	rates := ratesOf(t.rates)
	// Of the median run, as of all runs: a run of a test is like the other.
	runs := float64(len(t.rates))
	seconds := float64(t.batch*t.tokens) / rates.Median
	c := r.cost.of(t.work)
	x := Result{Test: t.name(), Batch: t.batch, Depth: r.depth, Rates: rates,
		GBPerS: c.weights / runs / seconds / 1e9, GFLOPS: c.flops / runs / seconds / 1e9, OtherCPU: t.other.cores()}
	x.DeviceBytes, _ = r.dev.Memory()
	r.report.Load.note(x.OtherCPU)
	if t.decode {
		tokens := runs * float64(t.batch*t.tokens)
		allocs := float64(t.mallocs) / tokens
		x.Allocs = &allocs
		if !r.dev.IsCPU() {
			host := (t.seconds - t.work.Waited.Seconds()) * 1e6 / tokens
			x.HostUS = &host
		}
	}
	return x
}

// fork returns slots with the state of base.
func (r *runner) fork(n int) ([]engine.Slot, error) {
	slots := make([]engine.Slot, n)
	for i := range slots {
		s, err := r.e.Fork(r.base)
		if err != nil {
			return nil, err
		}
		slots[i] = s
	}
	return slots, nil
}
