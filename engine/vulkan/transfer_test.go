package vulkan

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// stateExec returns an executor of the tiny model, with a state of its own in each of its slots.
func stateExec(t *testing.T, slots int) (e *Prober, states [][]float32) {
	t.Helper()
	m := golden.Tiny(t)
	e, err := newProber(kernels(t), m.Program, Options{Sizes: op.Sizes{Slots: slots, Rows: 8, Seqs: 4, Outs: 4}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	r := rand.New(rand.NewPCG(1, uint64(slots)))
	for slot := range slots {
		state := make([]float32, m.Program.StateLen())
		for i := range state {
			state[i] = r.Float32()
		}
		states = append(states, state)
		if err := e.WriteState(slot, state); err != nil {
			t.Fatal(err)
		}
	}
	return e, states
}

func empty(e *Prober, n int) [][]float32 {
	list := make([][]float32, n)
	for i := range list {
		list[i] = make([]float32, e.prog.StateLen())
	}
	return list
}

// A read has the states of when it was started, whatever follows it and however late it is waited for, and a write
// those of the memory that it was given, which may change at once.
func TestTransfersKeepTheirPlace(t *testing.T) {
	e, states := stateExec(t, 9)
	slots := []int{4, 0, 8}
	before := empty(e, 3)
	first, err := e.StartRead(slots, before)
	if err != nil {
		t.Fatal(err)
	}
	var b op.Batch
	b.Add(4, []int{1, 2, 3}, 1)
	b.Add(0, []int{5}, 1)
	if err := e.Forward(&b); err != nil {
		t.Fatal(err)
	}
	src := [][]float32{slices.Clone(states[1]), slices.Clone(states[2])}
	write, err := e.StartWrite([]int{4, 8}, src)
	if err != nil {
		t.Fatal(err)
	}
	clear(src[0])
	clear(src[1])
	after := empty(e, 3)
	second, err := e.StartRead(slots, after)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(second.Wait(), write.Wait(), first.Wait(), first.Wait(), e.CopyState(3, 8)); err != nil {
		t.Fatal(err)
	}
	for i, slot := range slots {
		if !slices.Equal(before[i], states[slot]) {
			t.Errorf("slot %d: another state than before the pass", slot)
		}
	}
	fork := empty(e, 1)
	if err := e.ReadState(3, fork[0]); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(after[0], states[1]) || !slices.Equal(after[2], states[2]) || slices.Equal(after[1], states[0]) || !slices.Equal(fork[0], states[2]) {
		t.Error("other states than those written, copied and fed")
	}
}

// Whoever waits does so beside passes and other transfers.
func TestTransfersBesidePasses(t *testing.T) {
	e, states := stateExec(t, 4)
	var wg sync.WaitGroup
	fail := make(chan error, 100)
	for i := range 30 {
		dst := empty(e, 2)
		tr, err := e.StartRead([]int{1, 2}, dst)
		if err != nil {
			t.Fatal(err)
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := tr.Wait(); err != nil || !slices.Equal(dst[0], states[1]) || !slices.Equal(dst[1], states[2]) {
				fail <- fmt.Errorf("transfer %d: %w", i, errors.Join(err, errors.New("another state")))
			}
		}()
		var b op.Batch
		b.Add(0, []int{i % 5, 2}, 1)
		b.Add(3, []int{i % 7}, 1)
		if err := e.Forward(&b); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	close(fail)
	for err := range fail {
		t.Error(err)
	}
}
