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
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
)

// worker is one user of an engine, who does the same whatever else happens to the engine.
type worker struct {
	e   *Engine
	rng *rand.Rand
	c   Continuation
	log []int
	err error
}

// run does so many things in an order that the seed sets, and notes what came of them.
func (w *worker) run(ctx context.Context, seed uint64, steps int) error {
	w.rng = rand.New(rand.NewPCG(seed, 1))
	smp, err := sample.New(sample.Params{Temperature: 1, TopP: 0.9, Presence: 0.3, Seed: seed}, sample.NewVocabulary(w.e.Model.Vocab, nil))
	if err != nil {
		return err
	}
	seq, err := w.e.NewSeq(nil)
	if err != nil {
		return err
	}
	w.c = Continuation{Seq: seq, Token: int(seed), Sampler: smp}
	for range steps {
		if err := w.once(ctx); err != nil {
			return err
		}
	}
	w.c.Seq.Release()
	return nil
}

// once does one thing.
func (w *worker) once(ctx context.Context) error {
	e, state := w.e, make([]float32, w.e.Model.Program.StateLen())
	seq, dst := []*Seq{w.c.Seq}, [][]float32{state}
	switch w.rng.IntN(6) {
	case 0: // a piece of a prompt
		rows := []Row{{Seq: w.c.Seq, Tokens: []int{w.c.Token, w.rng.IntN(9), w.rng.IntN(9)}, Want: WantDraw, Sampler: w.c.Sampler}}
		if err := errors.Join(e.Feed(ctx, rows), rows[0].Err); err != nil {
			return err
		}
		w.c.Token = rows[0].ID
		w.log = append(w.log, rows[0].ID)
	case 1: // a fork takes the place of the sequence
		fork, err := e.Fork(w.c.Seq)
		if err != nil {
			return err
		}
		w.c.Seq.Release()
		w.c.Seq = fork
	case 2: // the state goes out and into another sequence, in two transfers that overlap
		out, err := e.Save(seq, dst)
		if err != nil {
			return err
		}
		if err := out.Wait(); err != nil {
			return err
		}
		w.c.Seq.Release()
		if w.c.Seq, err = e.NewSeq(state); err != nil {
			return err
		}
	case 3: // what is done to it is undone by a saved state
		out, err := e.Save(seq, dst)
		if err != nil {
			return err
		}
		rows := []Row{{Seq: w.c.Seq, Tokens: []int{1, 2, 3}}}
		if err := errors.Join(e.Pass(ctx, rows), rows[0].Err, out.Wait()); err != nil {
			return err
		}
		if _, err := e.Restore(seq, dst); err != nil {
			return err
		}
	default:
		list := []Continuation{w.c}
		_, err := e.Burst(ctx, list, 1, func(_, id int) bool {
			w.log = append(w.log, id)
			_ = e.Stats()
			return true
		})
		w.c = list[0]
		if err := errors.Join(err, w.c.Err); err != nil {
			return err
		}
	}
	return nil
}

// What a goroutine does with its sequences is what it would be if it were alone, whatever others do at the same time
// with theirs: passes, bursts, forks, states to and fro, releases of sequences that are in a pass, and a device opened
// anew.
func TestSideBySide(t *testing.T) {
	m := golden.Tiny(t)
	const workers, steps = 6, 60
	eachDevice(t, func(t *testing.T, d *device.Device) {
		e := newEngine(t, m, d, Options{Slots: 2*workers + 2, Chunk: 8, Keep: 7, Exact: true})
		var want [workers][]int
		for i := range want {
			w := worker{e: e}
			if err := w.run(t.Context(), uint64(i+1), steps); err != nil {
				t.Fatal(err)
			}
			want[i] = w.log
		}
		list := make([]worker, workers)
		var wg sync.WaitGroup
		for i := range list {
			list[i].e = e
			wg.Add(1)
			go func() {
				defer wg.Done()
				list[i].err = list[i].run(t.Context(), uint64(i+1), steps)
			}()
		}
		stop := make(chan struct{})
		var others sync.WaitGroup
		others.Add(2)
		go func() { // releases sequences while others run them
			defer others.Done()
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				s, err := e.NewSeq(nil)
				if err != nil {
					t.Error(err)
					return
				}
				done := make(chan error)
				go func() {
					rows := []Row{{Seq: s, Tokens: []int{1, 2, 3, 4, 5, 6, 7}}}
					err := e.Pass(t.Context(), rows)
					if rows[0].Err != nil && !errors.Is(rows[0].Err, ErrNotInUse) {
						err = rows[0].Err
					}
					done <- err
				}()
				s.Release()
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
		}()
		go func() {
			defer others.Done()
			for range 3 {
				if err := e.Reopen(t.Context()); err != nil {
					t.Error(err)
				}
				if s := e.Stats(); s.InUse > s.Slots {
					t.Errorf("%+v", s)
				}
			}
		}()
		wg.Wait()
		close(stop)
		others.Wait()
		for i := range list {
			if list[i].err != nil || !slices.Equal(list[i].log, want[i]) {
				t.Errorf("worker %d: %v, want %v (%v)", i, list[i].log, want[i], list[i].err)
			}
		}
		if s := e.Stats(); s.InUse != 0 {
			t.Errorf("%d slots are still in use", s.InUse)
		}
	})
}

// A turn that is long is not waited for longer than a context lasts.
func TestTurnEndsWithContext(t *testing.T) {
	e := newEngine(t, golden.Tiny(t), &device.Device{}, Options{})
	s := newSeq(t, e)
	ctx, cancel := context.WithCancel(t.Context())
	rows := []Row{{Seq: s, Tokens: []int{1}, Want: WantLogits, Each: func(int, []float32) error {
		done := make(chan error)
		go func() { done <- e.Pass(ctx, []Row{{Seq: s, Tokens: []int{1}}}) }()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			return fmt.Errorf("a pass in the middle of another: %w", err)
		}
		return nil
	}}}
	if err := errors.Join(e.Pass(t.Context(), rows), rows[0].Err); err != nil {
		t.Error(err)
	}
}

// A sequence that is released in the midst of a pass keeps its slot to the pass's end, so that nobody else's state
// comes into it meanwhile; then the slot is free.
func TestReleaseWithinPass(t *testing.T) {
	eachDevice(t, func(t *testing.T, d *device.Device) {
		e := newEngine(t, golden.Tiny(t), d, Options{Slots: 2})
		a, b := newSeq(t, e), newSeq(t, e)
		rows := []Row{{Seq: a, Tokens: []int{1}, Want: WantLogits, Each: func(int, []float32) error {
			b.Release()
			if n := e.Stats().InUse; n != 2 {
				return fmt.Errorf("%d slots in use", n)
			}
			return nil
		}}, {Seq: b, Tokens: []int{2}, Want: WantDraw, Sampler: newSampler(t, sample.Params{}, e)}}
		if err := errors.Join(e.Pass(t.Context(), rows), rows[0].Err, rows[1].Err); err != nil || rows[1].ID < 0 {
			t.Errorf("drew %d, %v", rows[1].ID, err)
		}
		if n := e.Stats().InUse; n != 1 {
			t.Errorf("%d slots in use after it", n)
		}
		if err := e.Pass(t.Context(), rows[1:]); err != nil || !errors.Is(rows[1].Err, ErrNotInUse) {
			t.Errorf("the released sequence: %v, %v", err, rows[1].Err)
		}
		newSeq(t, e)
	})
}
