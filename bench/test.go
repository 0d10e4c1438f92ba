package bench

import (
	"fmt"
	"runtime"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
)

// The kinds of tests, by their names.
const (
	prefill  = "pp"
	decode   = "tg"
	generate = "gen"
)

// test is a test at some depth with its samples.
type test struct {
	kind          string
	tokens, batch int
	base          base
	rates         []float64
	work          engine.Work
	host          []time.Duration // see hostTime
	submission    time.Duration   // the longest
	mallocs       uint64
	other         otherCPU
}

func (t *test) name() string { return fmt.Sprint(t.kind, t.tokens) }

// tests measures every test at every depth. Repetitions of different tests take turns, and those of one test at
// different depths follow each other. The limits are measured between repetitions. So changes of the machine meanwhile
// affect all tests alike.
func (r *runner) tests() error {
	depths := make([][]*test, len(r.bases))
	for i, base := range r.bases {
		for _, batch := range r.o.Batches {
			for _, l := range []struct {
				kind    string
				lengths []int
			}{{prefill, r.o.PP}, {decode, r.o.TG}, {generate, r.o.Gen}} {
				for _, n := range l.lengths {
					depths[i] = append(depths[i], &test{kind: l.kind, tokens: n, batch: batch, base: base})
				}
			}
		}
	}
	all := int64(len(depths) * len(depths[0]) * (r.o.Warmup + r.o.Repeat))
	done := int64(0)
	for run := range r.o.Warmup + r.o.Repeat {
		for i := range depths[0] {
			for _, tests := range depths {
				t := tests[i]
				if err := r.ctx.Err(); err != nil {
					return err
				}
				r.tell(fmt.Sprintf("measuring at depth %d", t.base.depth), done, all)
				if err := r.sample(t, run < r.o.Warmup); err != nil {
					return err
				}
				done++
			}
		}
		if run == r.o.Warmup-1 {
			if err := r.settle(depths); err != nil {
				return err
			}
		}
		if run == r.o.Warmup {
			r.memory()
		}
		if err := r.limitsBetween(run - r.o.Warmup + 1); err != nil {
			return err
		}
	}
	for _, tests := range depths {
		for _, t := range tests {
			r.report.Results = append(r.report.Results, r.result(t))
		}
	}
	return nil
}

// settleTime is how long a first run on a device may take to find the device's fastest kernels.
const settleTime = 10 * time.Second

// settle warms up until the tuner has found the device's fastest kernels, between passes as in any run. So the tests
// measure what every later run has.
func (r *runner) settle(depths [][]*test) error {
	for !r.e.Settled() && time.Since(r.begin) < settleTime {
		for _, tests := range depths {
			for _, t := range tests {
				if err := r.ctx.Err(); err != nil {
					return err
				}
				if err := r.sample(t, true); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// warmTokens is the number of decode steps of a warm-up: after 1 + 2 + 4 + … + 32 steps a submission takes as many as
// it ever will.
const warmTokens = 63

// sample runs a test once. It cuts a warm-up short if the rest would change nothing: no new shape of a pass, and no
// other state of the processor.
func (r *runner) sample(t *test, warmup bool) error {
	tokens := t.tokens
	if chunk := r.e.Chunk(); warmup && t.kind != prefill {
		tokens = min(tokens, warmTokens)
	} else if warmup && tokens > chunk {
		tokens = chunk + tokens%chunk
	}
	seqs, err := r.fork(t.base, t.batch)
	if err != nil {
		return err
	}
	defer release(seqs)
	ids := r.random(t.batch*tokens, t.base.depth+len(t.rates))
	if err := r.continuations(seqs, ids); err != nil {
		return err
	}
	r.host.begin(r.work, t.host, tokens)
	cpu := readCPUTime()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_ = r.e.LongestSubmission() // up to now
	work, elapsed := r.work(), r.e.Stopwatch()
	if err := r.feed(t.kind, seqs, ids, tokens); err != nil {
		return err
	}
	seconds := elapsed().Seconds()
	runtime.ReadMemStats(&after)
	if warmup {
		return nil
	}
	t.other.add(cpu)
	t.work = t.work.Add(r.work().Sub(work))
	t.submission = max(t.submission, r.e.LongestSubmission())
	t.mallocs += after.Mallocs - before.Mallocs
	t.host = r.host.tokens
	t.rates = append(t.rates, float64(t.batch*tokens)/seconds)
	return nil
}

// feed runs the measured work.
func (r *runner) feed(kind string, seqs []*engine.Seq, ids []int, tokens int) error {
	switch kind {
	case generate:
		for left := tokens; left > 0; {
			steps, err := r.e.Burst(r.ctx, r.gen, left, r.drawn)
			if err != nil {
				return err
			}
			if err := r.broken(); err != nil {
				return err
			}
			left -= steps
		}
		r.host.end(r.host.drawn)
		return nil
	case prefill:
		return r.step(seqs, ids, 0, tokens)
	}
	for s := range tokens {
		if err := r.step(seqs, ids, s, 1); err != nil {
			return err
		}
		r.host.end(len(seqs))
	}
	return nil
}

// broken returns the error that ended one of r.gen, if there is one.
func (r *runner) broken() error {
	for i := range r.gen {
		if err := r.gen[i].Err; err != nil {
			return err
		}
	}
	return nil
}

// continuations makes r.gen, which draws tokens by the default settings.
func (r *runner) continuations(seqs []*engine.Seq, ids []int) error {
	r.gen = r.gen[:0]
	for i, seq := range seqs {
		if i == len(r.samplers) {
			p := sample.Default()
			p.Seed = uint64(i)
			s, err := sample.New(p, sample.NewVocabulary(r.e.Model.Vocab, nil))
			if err != nil {
				return err
			}
			r.samplers = append(r.samplers, s)
		}
		r.samplers[i].Reset()
		r.gen = append(r.gen, engine.Continuation{Seq: seq, Token: ids[i], Sampler: r.samplers[i]})
	}
	return nil
}

// onDrawn goes on with every sequence.
func (r *runner) onDrawn(int, int) bool {
	r.host.draw()
	return true
}

// step feeds each sequence its next n tokens and takes the last one's logits.
func (r *runner) step(seqs []*engine.Seq, ids []int, step, n int) error {
	r.rows = r.rows[:0]
	for i, s := range seqs {
		at := (step*len(seqs) + i) * n
		r.rows = append(r.rows, engine.Row{Seq: s, Tokens: ids[at : at+n], Want: engine.WantLogits, Each: r.take})
	}
	if err := r.e.Feed(r.ctx, r.rows); err != nil {
		return err
	}
	for i := range r.rows {
		if err := r.rows[i].Err; err != nil {
			return err
		}
	}
	return nil
}

// result returns the result of a test's samples.
func (r *runner) result(t *test) Result {
	rates := ratesOf(t.rates)
	// The figures of all runs stand for the median run, since the runs of a test are alike.
	runs := float64(len(t.rates))
	seconds := float64(t.batch*t.tokens) / rates.Median
	c := r.cost.of(t.work)
	x := Result{Test: t.name(), Batch: t.batch, Depth: t.base.depth, Rates: rates,
		GBPerS: c.weights / runs / seconds / 1e9, GFLOPS: c.flops / runs / seconds / 1e9, OtherCPU: t.other.cores()}
	x.DeviceBytes, _ = r.dev.Memory()
	r.report.Load.note(x.OtherCPU)
	if !r.dev.IsCPU() {
		ms := t.submission.Seconds() * 1e3
		x.SubmissionMS = &ms
	}
	tokens := runs * float64(t.batch*t.tokens)
	if t.kind == generate {
		x.drawn(t.work, tokens)
	}
	if t.work.Cut > 0 {
		us := t.work.Cut.Seconds() * 1e6 / tokens
		x.CutUS = &us
	}
	if t.kind != prefill {
		allocs := float64(t.mallocs) / tokens
		x.Allocs = &allocs
		if !r.dev.IsCPU() {
			x.HostUS = medianUS(t.host)
		}
	}
	return x
}

// drawn notes where so many tokens were drawn.
func (x *Result) drawn(w engine.Work, tokens float64) {
	x.DrawnOn = "device"
	if w.HostDraws == 0 {
		return
	}
	if x.DrawnOn = "host"; w.DeviceDraws > 0 {
		x.DrawnOn = "both"
	}
	us := w.Drawing.Seconds() * 1e6 / tokens
	x.DrawUS = &us
}

// fork returns sequences with the state of a base.
func (r *runner) fork(from base, n int) ([]*engine.Seq, error) {
	seqs := make([]*engine.Seq, n)
	for i := range seqs {
		s, err := r.e.Fork(from.seq)
		if err != nil {
			return nil, err
		}
		seqs[i] = s
	}
	return seqs, nil
}

func release(seqs []*engine.Seq) {
	for _, s := range seqs {
		s.Release()
	}
}

// workDone returns what the engine has done so far.
func (r *runner) workDone() engine.Work { return r.e.Stats().Work }
