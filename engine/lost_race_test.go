package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest/faultvk"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
)

// hazard loses the device again and again, each time a few calls after somebody met the last loss.
type hazard struct {
	mu    sync.Mutex
	ctl   *faultvk.Control
	rng   *rand.Rand
	most  int // losses
	begun int
	fired int
}

// meet begins the next loss if the last one is over.
func (h *hazard) meet() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := h.ctl.Report()
	if err != nil || !r.Fired && h.begun > h.fired {
		return err
	}
	f := faultvk.Fault{Result: faultvk.DeviceLost, At: 1 + h.rng.IntN(1+h.rng.IntN(120))}
	f.Function = [...]string{"vkQueueSubmit", "vkWaitForFences"}[h.rng.IntN(2)]
	h.fired = h.begun
	if h.begun == h.most {
		f.At = 0
	} else {
		h.begun++
	}
	return h.ctl.Begin(f)
}

// survivor is one user of an engine who does the same, however often the device is lost.
type survivor struct {
	e     *Engine
	rng   *rand.Rand
	c     Continuation
	log   []int
	state []float32
	err   error
	near  *hazard // nil for none
}

// run does so many things in an order that the seed sets, and notes the tokens drawn and the last state.
func (w *survivor) run(seed uint64, steps int) error {
	w.rng = rand.New(rand.NewPCG(seed, 1))
	p := sample.Params{Temperature: 1, TopP: 0.9, Presence: 0.3, Seed: seed}
	smp, err := sample.New(p, sample.NewVocabulary(w.e.Model.Vocab, nil))
	if err != nil {
		return err
	}
	w.c = Continuation{Token: int(seed), Sampler: smp, Logprobs: seed%3 == 0}
	w.state = make([]float32, w.e.Model.Program.StateLen())
	if err := w.begin(nil); err != nil {
		return err
	}
	for i := range steps {
		if w.near != nil {
			if err := w.near.meet(); err != nil {
				return err
			}
		}
		if err := w.once(); err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
	}
	defer w.c.Seq.Release()
	return w.save()
}

func (w *survivor) begin(state []float32) error {
	return persist(w.e, func() (err error) {
		w.c.Seq, err = w.e.NewSeq(state)
		return err
	})
}

func (w *survivor) save() error {
	return persist(w.e, func() error {
		t, err := w.e.Save([]*Seq{w.c.Seq}, [][]float32{w.state})
		if err != nil {
			return err
		}
		return t.Wait()
	})
}

func (w *survivor) pass(want Want, tokens ...int) error {
	rows := []Row{{Seq: w.c.Seq, Tokens: tokens, Want: want, Sampler: w.c.Sampler}}
	err := persist(w.e, func() error { return w.e.Pass(context.Background(), rows) })
	if rows[0].ID >= 0 {
		w.c.Token = rows[0].ID
		w.log = append(w.log, rows[0].ID)
	}
	return errors.Join(err, rows[0].Err)
}

// once does one thing.
func (w *survivor) once() error {
	switch w.rng.IntN(6) {
	case 0: // a piece of a prompt
		return w.pass(WantDraw, w.c.Token, w.rng.IntN(9), w.rng.IntN(9))
	case 1: // a fork takes the place of the sequence
		before := w.c.Seq
		defer before.Release()
		return persist(w.e, func() error {
			fork, err := w.e.Fork(before)
			if err == nil {
				w.c.Seq = fork
			}
			return err
		})
	case 2: // the state goes out and into another sequence
		if err := w.save(); err != nil {
			return err
		}
		w.c.Seq.Release()
		return w.begin(w.state)
	case 3: // a saved state undoes what is done to the sequence
		if err := errors.Join(w.save(), w.pass(WantNothing, 1, 2, 3)); err != nil {
			return err
		}
		return persist(w.e, func() error { return second(w.e.Restore([]*Seq{w.c.Seq}, [][]float32{w.state})) })
	}
	list := []Continuation{w.c}
	left := 3
	for left > 0 {
		err := persist(w.e, func() error {
			_, err := w.e.Burst(context.Background(), list, left, func(_, id int) bool {
				w.log = append(w.log, id)
				left--
				return left > 0
			})
			return err
		})
		if err := errors.Join(err, list[0].Err); err != nil {
			return err
		}
		list[0].Over = false
	}
	w.c = list[0]
	return nil
}

// Whatever several goroutines do with two engines on one device that is lost again and again, at any call, also while
// one of them opens it anew, their tokens and states are those that they have alone, and nothing is left in the end.
func TestLostBesideOthers(t *testing.T) {
	ctl := gputest.Faulty(t)
	if ctl == nil {
		return
	}
	d, err := device.Open("gpu", nil)
	if err != nil {
		t.Fatal(err)
	}
	const engines, workers = 2, 3
	losses := min(gputest.Faults(t, 8), 40) // for which a process has the time
	steps := 20 + 5*losses
	var all []*survivor
	for range engines {
		e, err := New(golden.Tiny(t), d, Options{Slots: 2 * workers, Chunk: 8, Keep: 7, Exact: true})
		if err != nil {
			t.Fatal(err)
		}
		for range workers {
			all = append(all, &survivor{e: e})
		}
	}
	var want []*survivor
	for i, w := range all {
		want = append(want, &survivor{e: w.e})
		if err := want[i].run(uint64(i+1), steps); err != nil {
			t.Fatal(err)
		}
	}
	near := &hazard{ctl: ctl, rng: rand.New(rand.NewPCG(1, 2)), most: losses}
	var wg sync.WaitGroup
	for i, w := range all {
		w.near = near
		wg.Add(1)
		go func() {
			defer wg.Done()
			w.err = w.run(uint64(i+1), steps)
		}()
	}
	wg.Wait()
	for i, w := range all {
		if w.err != nil || !slices.Equal(w.log, want[i].log) || !slices.Equal(w.state, want[i].state) {
			t.Errorf("worker %d: drew %v, want %v, or its state is another (%v)", i, w.log, want[i].log, w.err)
		}
	}
	for i := 0; i < len(all); i += workers {
		if n := all[i].e.Stats().InUse; n != 0 {
			t.Errorf("%d slots are still in use", n)
		}
		if err := all[i].e.Close(); err != nil {
			t.Error(err)
		}
	}
	err = d.Close()
	r, failed := ctl.Report()
	if err := errors.Join(err, failed); err != nil || r.Live != "" || r.Strange != 0 || near.fired < losses/2 {
		t.Errorf("lost %d times of %d, %v; left: %+v", near.fired, losses, err, r)
	}
}
