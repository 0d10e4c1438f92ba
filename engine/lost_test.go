package engine

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest/faultvk"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
)

// persist repeats what fails since the device is lost, after the engine is made anew.
func persist(e *Engine, do func() error) error {
	err := do()
	for errors.Is(err, ErrDeviceLost) {
		if err = e.Reopen(context.Background()); err == nil {
			err = do()
		}
	}
	return err
}

// crowd is a run of sequences that decode beside two that read long prompts first, and then decode too.
type crowd struct {
	e     *Engine
	c     []Continuation
	rest  [][]int // of prompts
	drawn [][]int
	final [][]float32 // states
}

const (
	crowdDecodes  = 16
	crowdPrefills = 2
	crowdPrompt   = 40 // tokens of the long prompts
	crowdTokens   = 24 // drawn by each
)

// run has all sequences draw.
func (w *crowd) run() error {
	const all = crowdDecodes + crowdPrefills
	w.c, w.rest, w.drawn = make([]Continuation, all), make([][]int, all), make([][]int, all)
	var seqs []*Seq
	for i := range all {
		p := sample.Params{Temperature: 1, TopP: 0.9, Presence: 0.3, PenaltyDecay: 0.9, Seed: uint64(i)}
		smp, err := sample.New(p, sample.NewVocabulary(w.e.Model.Vocab, nil))
		if err != nil {
			return err
		}
		w.c[i] = Continuation{Sampler: smp, Ends: []int{i % 5}}
		if err := persist(w.e, func() (err error) {
			w.c[i].Seq, err = w.e.NewSeq(nil)
			return err
		}); err != nil {
			return err
		}
		seqs, w.final = append(seqs, w.c[i].Seq), append(w.final, make([]float32, w.e.Model.Program.StateLen()))
		n := 2
		if i >= crowdDecodes {
			n = crowdPrompt
		}
		for j := range n {
			w.rest[i] = append(w.rest[i], (7*i+5*j)%w.e.Model.Vocab)
		}
	}
	for round := 0; w.left() > 0; round++ {
		step := w.pass
		if round%2 == 1 {
			step = w.burst
		}
		if err := persist(w.e, step); err != nil {
			return err
		}
	}
	err := persist(w.e, func() error {
		t, err := w.e.Save(seqs, w.final)
		if err != nil {
			return err
		}
		return t.Wait()
	})
	for _, s := range seqs {
		s.Release()
	}
	return err
}

// left returns how many tokens the sequence that has drawn the fewest still has to draw.
func (w *crowd) left() (most int) {
	for i := range w.drawn {
		if !w.c[i].Over {
			most = max(most, crowdTokens-len(w.drawn[i]))
		}
	}
	return most
}

// pass feeds every sequence a token, or the next piece of its prompt.
func (w *crowd) pass() error {
	var rows []Row
	var of []int
	for i := range w.c {
		c := &w.c[i]
		if c.Over || len(w.drawn[i]) >= crowdTokens {
			continue
		}
		r := Row{Seq: c.Seq, Tokens: []int{c.Token}, Want: WantDraw, Sampler: c.Sampler}
		if rest := w.rest[i]; len(rest) > 0 {
			r.Tokens = rest[:min(len(rest), 9)]
			if len(r.Tokens) < len(rest) {
				r.Want = WantNothing
			}
		}
		rows, of = append(rows, r), append(of, i)
	}
	if err := w.e.Pass(context.Background(), rows); err != nil {
		return err
	}
	for j, i := range of {
		r := &rows[j]
		if r.Err != nil {
			return r.Err
		}
		if len(w.rest[i]) > 0 {
			w.rest[i] = w.rest[i][r.Taken:]
		}
		if r.ID >= 0 {
			w.c[i].Token = r.ID
			w.drawn[i] = append(w.drawn[i], r.ID)
			w.c[i].Over = slices.Contains(w.c[i].Ends, r.ID) // as in a burst
		}
	}
	return nil
}

// burst has those that decode draw some tokens.
func (w *crowd) burst() error {
	var list []Continuation
	var of []int
	for i := range w.c {
		if !w.c[i].Over && len(w.rest[i]) == 0 && len(w.drawn[i]) < crowdTokens {
			list, of = append(list, w.c[i]), append(of, i)
		}
	}
	_, err := w.e.Burst(context.Background(), list, 4, func(j, id int) bool {
		w.drawn[of[j]] = append(w.drawn[of[j]], id)
		return len(w.drawn[of[j]]) < crowdTokens
	})
	for j, i := range of {
		w.c[i] = list[j]
		err = errors.Join(err, list[j].Err)
	}
	return err
}

// Wherever the device is lost while many sequences decode and some read prompts in the same passes, all end with the
// tokens and the states that they have without that, no token twice and none left out, and nothing is left of the
// device that was lost.
func TestLostDevice(t *testing.T) {
	ctl, each := gputest.FaultySeries(t)
	if ctl == nil {
		return
	}
	m := golden.Tiny(t)
	d, err := device.Open("gpu", nil)
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(m, d, Options{Slots: crowdDecodes + crowdPrefills, Chunk: 24, Keep: 11, Exact: true})
	if err != nil {
		t.Fatal(err)
	}
	run := func(f faultvk.Fault) (w *crowd, r faultvk.Report, calls map[string]int) {
		t.Helper()
		if err := ctl.Begin(f); err != nil {
			t.Fatal(err)
		}
		e.bursts.steps = func(_, most int) int { return min(most, 4) } // whatever the device's speed, the same calls
		w = &crowd{e: e}
		if err := w.run(); err != nil {
			t.Fatalf("%+v: %v", f, err)
		}
		r, failed := ctl.Report()
		trace, err := ctl.Trace()
		if err := errors.Join(failed, err); err != nil {
			t.Fatal(err)
		}
		calls = map[string]int{}
		for _, c := range trace {
			calls[c.Function]++
		}
		return w, r, calls
	}
	run(faultvk.Fault{}) // what is done once is done
	want, _, calls := run(faultvk.Fault{})
	functions := []string{"vkQueueSubmit", "vkWaitForFences"}
	for i, drawn := range want.drawn {
		if len(drawn) == 0 {
			t.Fatalf("sequence %d drew nothing", i)
		}
	}
	most := gputest.Faults(t, 6)
	each(func(i int) (more bool) {
		function := functions[i%2]
		n := calls[function]
		if n < 20 {
			t.Fatalf("%d calls of %s", n, function)
		}
		f := faultvk.Fault{Function: function, At: 1 + i/2*max(n/most, 1), Result: faultvk.DeviceLost}
		if f.At > n {
			return f.At <= max(calls[functions[0]], calls[functions[1]])
		}
		before := e.Stats().Reopened
		got, r, _ := run(f)
		for i := range want.drawn {
			if !slices.Equal(got.drawn[i], want.drawn[i]) || !slices.Equal(got.final[i], want.final[i]) {
				t.Errorf("%s %d of %d: sequence %d drew %v, want %v, or its state is another", function, f.At, n, i, got.drawn[i], want.drawn[i])
			}
		}
		if reopened := e.Stats().Reopened - before; r.Fired != (reopened == 1) || r.Strange != 0 {
			t.Errorf("%s %d of %d: opened %d times, %+v", function, f.At, n, reopened, r)
		}
		return true
	})
	err = errors.Join(e.Close(), d.Close())
	r, failed := ctl.Report()
	if err := errors.Join(err, failed); err != nil || r.Live != "" {
		t.Errorf("%v; left: %s", err, r.Live)
	}
}
