package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/model"
)

// Options say what to measure: every length of PP and TG with every batch at every depth.
type Options struct {
	PP, TG  []int // tokens to each sequence; empty for no such test
	Gen     []int // tokens drawn by each sequence; empty for none
	First   []int // tokens of prompts for FirstTokens, which Run leaves out
	Batches []int // sequences at once
	Depths  []int // tokens behind each sequence
	Warmup  int   // runs of each test that do not count
	Repeat  int   // runs that do
	Chunk   int   // most tokens of a pass; 0 is the engine's choice
	Exact   bool  // see engine.Options
	Half    bool  // the same
	Ops     bool  // time each op too

	Loading  func(done, all int64) error        // bytes of weights; may be nil
	Progress func(what string, done, all int64) // of what is run now; may be nil
}

// The largest values of Options: beyond them a run would take years, or more memory than there is.
const (
	MaxTokens = 1 << 20
	MaxBatch  = 4096
	MaxDepth  = 1 << 30
	MaxRepeat = maxSamples
)

// check returns an error if there is nothing to measure, or if a value is out of its limits.
func (o *Options) check() error {
	if len(o.PP)+len(o.TG)+len(o.Gen) == 0 || len(o.Batches) == 0 || len(o.Depths) == 0 {
		return errors.New("bench: want at least one length, batch and depth")
	}
	for _, f := range []struct {
		what        string
		values      []int
		least, most int
	}{
		{"length", o.PP, 1, MaxTokens}, {"length", o.TG, 1, MaxTokens}, {"length", o.Gen, 1, MaxTokens},
		{"batch", o.Batches, 1, MaxBatch},
		{"depth", o.Depths, 0, MaxDepth}, {"warm-up", []int{o.Warmup}, 0, MaxRepeat}, {"repeat", []int{o.Repeat}, 1, MaxRepeat},
		{"chunk", []int{o.Chunk}, 0, MaxTokens},
	} {
		for _, v := range f.values {
			if v < f.least || v > f.most {
				return fmt.Errorf("bench: %s: want %d to %d, got %d", f.what, f.least, f.most, v)
			}
		}
	}
	return nil
}

// Most and least weights for measuring the read limit.
const (
	leastRead = 1 << 20
	mostRead  = 256 << 20
)

// Run measures m on d until it is done, or ctx is.
func Run(ctx context.Context, m *model.Model, d *device.Device, o Options) (*Report, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	run := &runner{ctx: ctx, o: o, dev: d, cost: modelCostOf(m.Program)}
	run.take = func(int, []float32) error { return nil } // they are in the host's memory by now
	run.work = run.workDone
	run.drawn = run.onDrawn
	r := &run.report
	r.Time, r.Driver = time.Now().UTC().Truncate(time.Second), d.Driver()
	r.Load = Load{Average: loadAverage(), Cores: runtime.NumCPU()}
	if err := run.limits(); err != nil {
		return nil, err
	}
	if err := run.model(m); err != nil {
		return nil, err
	}
	if err := run.limits(); err != nil {
		return nil, err
	}
	r.share()
	return r, nil
}

// limits measures the device, and sets the report's Roofline from all measurements so far.
func (r *runner) limits() error {
	r.tell("measuring the device's limits", 0, 1)
	found, err := r.dev.Roofline(r.readBytes())
	if err != nil {
		return err
	}
	r.reads, r.flops = append(r.reads, found.Read/1e9), append(r.flops, found.Flops/1e9)
	r.report.Roofline = Roofline{ReadGBPerS: upperMedian(r.reads), ReadBytes: r.readBytes(), FMAGFLOPS: upperMedian(r.flops)}
	return r.ctx.Err()
}

// readBytes returns how much the read limit streams: what a token reads, within reason.
func (r *runner) readBytes() int { return min(max(int(r.cost.token().weights), leastRead), mostRead) }

// mostBetween is how many times the limits are measured between repetitions, at most.
const mostBetween = 4

// measuresBetween reports whether the limits are measured after so many repetitions of repeat: evenly spread, and never
// after the last.
func measuresBetween(repeated, repeat int) bool {
	between := min(mostBetween, repeat-1)
	return 0 < repeated && repeated < repeat && repeated*between/(repeat-1) > (repeated-1)*between/(repeat-1)
}

// limitsBetween measures the limits between repetitions, unless that could push the model out of the device's memory.
func (r *runner) limitsBetween(repeated int) error {
	if !measuresBetween(repeated, r.o.Repeat) || !r.dev.HasRoom(2*r.readBytes()) {
		return nil
	}
	return r.limits()
}

// memory notes the memory in use.
func (r *runner) memory() {
	m := &r.report.Memory
	m.DeviceBytes, m.DeviceBlockBytes = r.dev.Memory()
	m.ProcessBytes, m.ProcessPeakBytes = processMemory()
}

// model measures the model.
func (r *runner) model(m *model.Model) (err error) {
	depths := slices.Compact(slices.Sorted(slices.Values(r.o.Depths)))
	most := slices.Max(r.o.Batches)
	r.e, err = engine.New(m, r.dev, engine.Options{Slots: most + len(depths), Seqs: most, Chunk: r.o.Chunk, Exact: r.o.Exact, Half: r.o.Half, Progress: r.o.Loading})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.e.Close()) }()
	r.report.Device, r.report.Chunk, r.report.Exact, r.report.Half = r.e.Device(), r.e.Chunk(), r.o.Exact, r.o.Half
	r.begin = time.Now()
	return r.all(depths)
}

// runner is a run.
type runner struct {
	ctx    context.Context
	o      Options
	dev    *device.Device
	e      *engine.Engine
	cost   modelCost
	report Report
	reads  []float64 // limits found so far, GB/s
	flops  []float64 // GFLOPS
	bases  []base    // by depth, the least first
	begin  time.Time // of the first pass
	ids    []int
	rows   []engine.Row
	gen    []engine.Continuation

	samplers []*sample.Sampler // of gen, used again and again
	host     hostTime

	// These are made once, since a method value would be an allocation in each step.
	take  func(pos int, logits []float32) error
	drawn func(i, id int) (more bool)
	work  func() engine.Work
}

// tell reports progress.
func (r *runner) tell(what string, done, all int64) {
	if r.o.Progress != nil {
		r.o.Progress(what, done, all)
	}
}

// base is a state that sequences begin with.
type base struct {
	seq   *engine.Seq
	depth int // tokens behind it
}

// all goes to each depth, from the one before, and then measures at all depths.
func (r *runner) all(depths []int) error {
	for _, depth := range depths {
		if err := r.advance(depth); err != nil {
			return err
		}
	}
	if err := r.tests(); err != nil {
		return err
	}
	if r.o.Ops {
		return r.ops()
	}
	return nil
}

// advance makes the base of a depth.
func (r *runner) advance(depth int) error {
	from, take := base{}, func() (*engine.Seq, error) { return r.e.NewSeq(nil) }
	if n := len(r.bases); n > 0 {
		from = r.bases[n-1]
		take = func() (*engine.Seq, error) { return r.e.Fork(from.seq) }
	}
	seq, err := take()
	if err != nil {
		return err
	}
	for at := from.depth; at < depth; {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		r.tell(fmt.Sprintf("running to depth %d", depth), int64(at-from.depth), int64(depth-from.depth))
		n := min(depth-at, r.e.Chunk())
		rows := []engine.Row{{Seq: seq, Tokens: r.random(n, at)}}
		if err := errors.Join(r.e.Feed(r.ctx, rows), rows[0].Err); err != nil {
			return err
		}
		at += n
	}
	r.bases = append(r.bases, base{seq, depth})
	return nil
}

// random returns n token ids, which differ with the seed. The next call reuses their memory.
func (r *runner) random(n, seed int) []int {
	r.ids = r.ids[:0]
	state := uint64(seed)*0x9e3779b97f4a7c15 + 1
	for range n {
		state = state*6364136223846793005 + 1442695040888963407 // Knuth's MMIX
		r.ids = append(r.ids, int(state>>33)%r.e.Model.Vocab)
	}
	return r.ids
}
