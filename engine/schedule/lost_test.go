package schedule

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest/faultvk"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
)

// losses is a run of requests whose device is lost somewhere.
type losses struct {
	engine   engine.Options
	options  Options
	requests func(e *engine.Engine) ([]*asked, error)
	// begins reports whether the run is where losses of the device are counted from.
	begins func(s *Scheduler, all []*asked) bool
}

// steady is a device whose bursts are short, so that they are as many on a fast device as on a slow one.
type steady struct{ engineRunner }

func (d steady) Burst(ctx context.Context, c []engine.Continuation, most int, each func(i, id int) bool) (int, error) {
	return d.engineRunner.Burst(ctx, c, min(most, 4), each)
}

// outcome is what came of a run.
type outcome struct {
	all    []*asked
	stats  Stats
	report faultvk.Report
	calls  map[string]int // from where losses are counted, by function
	both   map[string]int // rounds from there on, by how many sequences decode and how many read
}

// run does the requests on an engine. The scheduler sees a clock that stands still, so that all runs are alike.
func (l *losses) run(t *testing.T, e *engine.Engine, ctl *faultvk.Control, f faultvk.Fault) (o outcome) {
	t.Helper()
	if err := ctl.Begin(faultvk.Fault{}); err != nil { // what the run before may have left
		t.Fatal(err)
	}
	s := prepare(steady{engineRunner{e}}, e.Stats().Slots, e.Seqs(), e.Chunk(), l.options)
	s.now = func() time.Time { return time.Time{} }
	var err error
	if o.all, err = l.requests(e); err != nil {
		t.Fatal(err)
	}
	for _, a := range o.all {
		if a.job, err = s.Submit(t.Context(), a.r); err != nil {
			t.Fatal(err)
		}
	}
	o.calls, o.both = map[string]int{}, map[string]int{}
	begun := false
	for s.Stats().Done < len(o.all) {
		if !begun && l.begins(s, o.all) {
			begun = true
			if err := ctl.Begin(f); err != nil {
				t.Fatal(err)
			}
		}
		s.cycle()
		if begun {
			o.both[l.now(s)]++
		}
	}
	o.stats = s.Stats()
	trace, err := ctl.Trace()
	if err == nil {
		o.report, err = ctl.Report()
	}
	if err != nil || !begun {
		t.Fatalf("begun %t, %v", begun, err)
	}
	for _, c := range trace {
		o.calls[c.Function]++
	}
	if n := e.Stats().InUse; n != 0 {
		t.Errorf("%+v: %d slots are still in use", f, n)
	}
	return o
}

// now returns how many sequences decode and how many read.
func (l *losses) now(s *Scheduler) string {
	reading := 0
	for _, j := range s.resident {
		if j.reading() {
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
		if !slices.Equal(a.r.Final, w.r.Final) {
			return fmt.Errorf("request %d: its last state is another", i)
		}
		for k, m := range a.r.Marks {
			if a.job.Marked() != len(w.r.Marks) || !slices.Equal(m.State, w.r.Marks[k].State) {
				return fmt.Errorf("request %d: the state after %d tokens is another", i, m.At)
			}
		}
	}
	if o.report.Fired != (o.stats.Reopened == 1) || o.report.Strange != 0 {
		return fmt.Errorf("opened %d times, %+v", o.stats.Reopened, o.report)
	}
	return nil
}

// test loses the device at submissions and at waits: at some, or at each with as many RWKV_FAULTS.
func (l *losses) test(t *testing.T, undisturbed func(o *outcome) error) {
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
	l.run(t, e, ctl, faultvk.Fault{}) // what is done once is done
	want := l.run(t, e, ctl, faultvk.Fault{})
	if err := errors.Join(undisturbed(&want), want.compare(&want)); err != nil {
		t.Fatal(err)
	}
	functions := []string{"vkQueueSubmit", "vkWaitForFences"}
	most, over, fired := gputest.Faults(t, 3), 0, 0
	each(func(i int) (more bool) {
		function := functions[i%2]
		calls := want.calls[function]
		f := faultvk.Fault{Function: function, At: 1 + i/2*max(calls/most, 1), Result: faultvk.DeviceLost}
		o := l.run(t, e, ctl, f)
		if err := o.compare(&want); err != nil {
			t.Errorf("%s %d of %d: %v", f.Function, f.At, calls, err)
		}
		if o.report.Fired {
			over = 0
			fired++
			return true
		}
		if o.calls[function] >= f.At {
			t.Errorf("%s %d of %d: %+v", f.Function, f.At, o.calls[function], o.report)
		}
		over++
		return over < 2 // the last call of either is behind
	})
	fmt.Printf("the device was lost %d times; without that a run has %d submissions and %d waits\n",
		fired, want.calls[functions[0]], want.calls[functions[1]])
	err = errors.Join(e.Close(), d.Close())
	r, failed := ctl.Report()
	if err := errors.Join(err, failed); err != nil || r.Live != "" {
		t.Errorf("%v; left: %s", err, r.Live)
	}
}

// lostRequest returns a request with a prompt of so many tokens, for so many drawn ones.
func lostRequest(e *engine.Engine, i, prompt, most int) (*asked, error) {
	width := e.Model.Program.StateLen()
	a := &asked{r: Request{Max: most, Final: make([]float32, width), Penal: i%2 == 0}}
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
	a.r.Token = func(t Token) bool {
		a.drawn = append(a.drawn, t.ID)
		return true
	}
	return a, nil
}

// Wherever the device is lost while 16 sequences decode and 2 read long prompts, until all have ended, each has the
// tokens and the states that it has without that, none twice and none left out.
func TestLostDevice(t *testing.T) {
	const decodes, prefills, long = 16, 2, 6 * 24
	l := losses{engine: engine.Options{Slots: decodes + prefills, Chunk: 24, Keep: 11, Exact: true}}
	l.requests = func(e *engine.Engine) (all []*asked, err error) {
		for i := range decodes + prefills {
			a, err := lostRequest(e, i, 3, 16+i%5)
			if i >= decodes {
				if a, err = lostRequest(e, i, long/prefills, 5); err == nil {
					a.r.Marks = []Mark{{40, make([]float32, len(a.r.Final))}}
				}
			}
			if err != nil {
				return nil, err
			}
			all = append(all, a)
		}
		return all, nil
	}
	l.begins = func(s *Scheduler, all []*asked) bool { return s.Stats().Fed >= 3*decodes }
	l.test(t, func(o *outcome) error {
		if n := o.both[fmt.Sprintf("%d decode, %d read", decodes, prefills)]; n < 4 {
			return fmt.Errorf("%d rounds of %d that decode beside %d that read: %v", n, decodes, prefills, o.both)
		}
		return nil
	})
}

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
	l.begins = func(*Scheduler, []*asked) bool { return true }
	l.test(t, func(o *outcome) error {
		if o.stats.Parkings < 3 {
			return fmt.Errorf("%+v", o.stats)
		}
		return nil
	})
}
