package schedule

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample/sampletest"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest/faultvk"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
)

// losses is a run of requests whose device is lost somewhere.
type losses struct {
	engine   engine.Options
	options  Options
	requests func(e *engine.Engine) ([]*asked, error)
	together bool // reports whether the requests have one prompt and are submitted together
	// begins reports whether the run is where losses of the device are counted from.
	begins func(s *Scheduler) bool
}

// steady is an engine whose bursts are short, so that they are as many on a fast device as on a slow one. Each time
// that its device is opened anew begins with the next fault.
type steady struct {
	engineRunner
	begin  func() error  // the next fault
	calls  func() counts // since then
	tries  int           // to open the device anew
	inside counts        // of the last one
}

func (d *steady) Burst(ctx context.Context, c []engine.Continuation, most int, each func(i, id int) bool) (int, error) {
	return d.engineRunner.Burst(ctx, c, min(most, 4), each)
}

func (d *steady) Reopen(ctx context.Context) error {
	d.tries++
	if err := d.begin(); err != nil {
		return err
	}
	err := d.engineRunner.Reopen(ctx)
	d.inside = d.calls()
	return err
}

// counts is how often functions were called.
type counts map[string]int

// outcome is what came of a run.
type outcome struct {
	all    []*asked
	stats  Stats
	report faultvk.Report // since the last fault began
	calls  counts         // likewise
	tries  int            // to open the device anew
	inside counts         // of the last one
	both   counts         // rounds from the first fault on, by how many sequences decode and how many read
}

// run does the requests on an engine. The first fault begins where losses are counted from, each of the others when the
// device is opened anew. The scheduler sees a clock that stands still, so that all runs are alike.
func (l *losses) run(t *testing.T, e *engine.Engine, ctl *faultvk.Control, faults ...faultvk.Fault) (o outcome) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%+v: %v", faults, err)
		}
	}
	must(ctl.Begin(faultvk.Fault{})) // what the run before may have left
	left := faults
	d := &steady{engineRunner: engineRunner{e}}
	d.begin = func() error {
		f := faultvk.Fault{}
		if len(left) > 0 {
			f, left = left[0], left[1:]
		}
		return ctl.Begin(f)
	}
	d.calls = func() counts {
		trace, err := ctl.Trace()
		must(err)
		n := counts{}
		for _, c := range trace {
			n[c.Function]++
		}
		return n
	}
	s := prepare(d, e.Stats().Slots, e.Seqs(), e.Chunk(), l.options)
	s.now = func() time.Time { return time.Time{} }
	var err error
	o.all, err = l.requests(e)
	must(err)
	if l.together {
		_, err = submitTogether(s, o.all)
		must(err)
		defer o.all[0].call.stop()
	}
	for i := 0; i < len(o.all) && !l.together; i++ {
		o.all[i].job, err = s.Submit(t.Context(), o.all[i].r)
		must(err)
	}
	o.both = counts{}
	for begun := false; s.Stats().Done < len(o.all); {
		if !begun && l.begins(s) {
			begun = true
			must(d.begin())
		}
		if s.cycle(); begun {
			o.both[now(s)]++
		}
	}
	o.stats, o.calls, o.tries, o.inside = s.Stats(), d.calls(), d.tries, d.inside
	o.report, err = ctl.Report()
	must(err)
	if n := e.Stats().InUse; n != 0 || len(o.both) == 0 {
		t.Errorf("%+v: %d slots are still in use, rounds %v", faults, n, o.both)
	}
	return o
}

// now returns how many sequences decode and how many read.
func now(s *Scheduler) string {
	reading := 0
	for _, j := range s.resident {
		if j.prompting() {
			reading++
		}
	}
	return fmt.Sprintf("%d decode, %d read", len(s.resident)-reading, reading)
}

// compare wants a run in which the device was lost to be like an undisturbed one, to the last bit.
func (o *outcome) compare(want *outcome) error {
	for i, a := range o.all {
		w := want.all[i]
		if err := a.job.Err(); err != nil {
			return fmt.Errorf("request %d: %w", i, err)
		}
		if !slices.Equal(a.drawn, w.drawn) {
			return fmt.Errorf("request %d drew %v, want %v", i, a.drawn, w.drawn)
		}
		last := len(a.r.Prompt) + len(a.drawn) - 1
		for at, state := range w.kept {
			// A state within the prompt is lost with the device if it was on its way just then.
			if missing := a.kept[at] == nil; missing && (at == last || a.lost == 0) || !missing && !slices.Equal(a.kept[at], state) {
				return fmt.Errorf("request %d: the state after %d tokens is another, or missing", i, at)
			}
		}
		if len(w.kept) == 0 || w.lost > 0 {
			return fmt.Errorf("request %d: %d states, %d lost", i, len(w.kept), w.lost)
		}
	}
	if o.stats.Reopened > o.tries || o.tries > 0 != (o.stats.Reopened > 0) || o.report.Strange != 0 {
		return fmt.Errorf("opened %d times in %d tries, %+v", o.stats.Reopened, o.tries, o.report)
	}
	return nil
}

// lostAt are the functions by which a driver tells that the device is lost.
var lostAt = [...]string{"vkQueueSubmit", "vkWaitForFences"}

// test loses the device at submissions and at waits of a run: at some, or at each with as many RWKV_FAULTS. With again
// it is lost once in the midst of the run, and then so often again, each time at those of opening it anew.
func (l *losses) test(t *testing.T, again int, undisturbed func(o *outcome) error) {
	ctl, each := gputest.FaultySeries(t)
	if ctl == nil {
		return
	}
	d, err := device.Open("gpu", nil)
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.New(golden.Tiny(t), d, l.engine)
	if err != nil {
		t.Fatal(err)
	}
	l.run(t, e, ctl) // what is done once is done
	want := l.run(t, e, ctl)
	if err := errors.Join(undisturbed(&want), want.compare(&want)); err != nil {
		t.Fatal(err)
	}
	calls := want.calls
	var first []faultvk.Fault
	if again > 0 {
		first = []faultvk.Fault{{Function: lostAt[0], At: calls[lostAt[0]] / 2, Result: faultvk.DeviceLost}}
		o := l.run(t, e, ctl, first...)
		calls = o.inside
	}
	usual := 3
	if again > 0 {
		usual = 2 // each opens the device several times
	}
	most, over, fired, inside := gputest.Faults(t, usual), 0, 0, maps.Clone(calls)
	each(func(i int) (more bool) {
		f := faultvk.Fault{Function: lostAt[i%2], Result: faultvk.DeviceLost}
		f.At = 1 + i/2*max(calls[f.Function]/most, 1)
		faults := first
		for range max(again, 1) {
			faults = append(faults[:len(faults):len(faults)], f)
		}
		o := l.run(t, e, ctl, faults...)
		if err := o.compare(&want); err != nil {
			t.Errorf("%s %d of %d: %v", f.Function, f.At, calls[f.Function], err)
		}
		if !o.report.Fired && o.tries < len(faults) && o.calls[f.Function] >= f.At {
			t.Errorf("%s %d of %d: opened in %d tries, %+v", f.Function, f.At, o.calls[f.Function], o.tries, o.report)
		}
		fired += o.tries
		if over++; o.tries == len(faults) {
			over = 0
		}
		if again > 0 { // opening takes more submissions at one time than at another
			inside[f.Function] = max(inside[f.Function], o.inside[f.Function])
			return f.At <= max(inside[lostAt[0]], inside[lostAt[1]])
		}
		return over < len(lostAt) // the last call of both is behind
	})
	fmt.Printf("the device was lost %d times; the calls in question are %d submissions and %d waits\n",
		fired, calls[lostAt[0]], calls[lostAt[1]])
	err = errors.Join(e.Close(), d.Close())
	r, failed := ctl.Report()
	if err := errors.Join(err, failed); err != nil || r.Live != "" {
		t.Errorf("%v; left: %s", err, r.Live)
	}
}

// lostRequest returns a request with a prompt of so many tokens, for so many drawn ones.
func lostRequest(e *engine.Engine, i, prompt, most int) (*asked, error) {
	a := &asked{r: Request{Max: most, Penal: i%2 == 0}}
	a.keep(e.Model.Program.StateLen())
	for j := range prompt {
		a.r.Prompt = append(a.r.Prompt, (7*i+5*j)%e.Model.Vocab)
	}
	p := sample.Params{Temperature: 1, TopP: 0.9, Presence: 0.4, Frequency: 0.1, PenaltyDecay: 0.9, Seed: uint64(i)}
	switch i % 6 {
	case 0:
		p = sample.Params{}
	case 1:
		a.r.Logprobs = true
	case 2:
		p.Bias = map[int]float32{3: 2, 5: -1}
	case 3:
		a.r.Top = 2
	case 4:
		p.TopK, p.MinP = 7, 0.01
	}
	var err error
	if a.r.Sampler, err = sample.New(p, sample.NewVocabulary(e.Model.Vocab, nil)); err != nil {
		return nil, err
	}
	if i%6 == 5 {
		a.r.Sampler.SetConstraint(sampletest.New(e.Model.Vocab, 0, uint64(i)))
	}
	a.r.Token = func(t Token) bool {
		a.drawn = append(a.drawn, t.ID)
		return true
	}
	return a, nil
}

// lostCrowd loses the device of 16 sequences that decode and 2 that read long prompts meanwhile, until all have ended.
func lostCrowd(t *testing.T, again int) {
	const decodes, prefills, long = 16, 2, 6 * 24
	l := losses{engine: engine.Options{Slots: decodes + prefills, Chunk: 24, Keep: 11, Exact: true}}
	l.requests = func(e *engine.Engine) (all []*asked, err error) {
		for i := range decodes + prefills {
			prompt, most := 3, 32+i%5
			if i >= decodes {
				prompt, most = long/prefills, 5
			}
			a, err := lostRequest(e, i, prompt, most)
			if err != nil {
				return nil, err
			}
			if i >= decodes {
				a.r.Marks = []int{40}
			}
			all = append(all, a)
		}
		return all, nil
	}
	l.begins = func(s *Scheduler) bool { return s.Stats().Fed >= 3*decodes }
	l.test(t, again, func(o *outcome) error {
		if n := o.both[fmt.Sprintf("%d decode, %d read", decodes, prefills)]; n < 4 {
			return fmt.Errorf("%d rounds of %d that decode beside %d that read: %v", n, decodes, prefills, o.both)
		}
		return nil
	})
}

// Wherever the device is lost while 16 sequences decode and 2 read long prompts, until all have ended, each has the
// tokens and the states that it has without that, none twice and none left out.
func TestLostDevice(t *testing.T) { lostCrowd(t, 0) }

// So it is where the device is lost again while it is opened anew, wherever that is, and once more the next time.
func TestLostDeviceAgain(t *testing.T) { lostCrowd(t, 2) }

// Wherever the device is lost while requests that are more than the slots are fed, drawn, parked and brought back, each
// has the tokens and the states that it has without that.
func TestLostDeviceParking(t *testing.T) {
	l := losses{engine: engine.Options{Slots: 3, Seqs: 2, Chunk: 8, Keep: 6, Exact: true}, options: Options{Quantum: 7}}
	l.requests = func(e *engine.Engine) (all []*asked, err error) {
		for i := range 7 {
			a, err := lostRequest(e, i, 3+5*i, 12+i)
			if err != nil {
				return nil, err
			}
			all = append(all, a)
		}
		return all, nil
	}
	l.begins = func(*Scheduler) bool { return true }
	l.test(t, 0, func(o *outcome) error {
		if o.stats.Parkings < 3 {
			return fmt.Errorf("%+v", o.stats)
		}
		return nil
	})
}
