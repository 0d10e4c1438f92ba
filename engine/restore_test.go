package engine

import (
	"errors"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// halfWriting is an executor that sets the first of some states and then has no memory for the rest.
type halfWriting struct{ op.Executor }

func (h halfWriting) StartWrite(slots []int, src [][]float32) (op.Transfer, error) {
	t, err := h.Executor.StartWrite(slots[:1], src[:1])
	if err == nil {
		err = errors.Join(t.Wait(), gpu.ErrOutOfMemory)
	}
	return nil, err
}

// After a Restore that failed on its way no sequence goes on from what it may have left: with what is kept they have
// the states from before, and without it they are lost.
func TestRestoreFails(t *testing.T) {
	m := golden.Tiny(t)
	for _, keep := range []int{0, 5} {
		e := newEngine(t, m, &device.Device{}, Options{Slots: 2, Keep: keep})
		seqs := []*Seq{newSeq(t, e), newSeq(t, e)}
		step(t, e, input{seqs[0], []int{1, 2, 3}, 1}, input{seqs[1], []int{4, 5}, 1})
		want := [][]float32{mustState(t, e, seqs[0]), mustState(t, e, seqs[1])}
		other := make([]float32, len(want[0]))
		whole := e.host.exec
		e.host.exec = halfWriting{whole}
		_, err := e.Restore(seqs, [][]float32{other, other})
		e.host.exec = whole
		if !errors.Is(err, ErrOutOfMemory) {
			t.Fatalf("want the executor's error, got %v", err)
		}
		for i, s := range seqs {
			if keep > 0 {
				sameBits(t, "the state from before", mustState(t, e, s), want[i])
				continue
			}
			rows := []Row{{Seq: s, Tokens: []int{1}}}
			if err := e.Pass(t.Context(), rows); err != nil || !errors.Is(rows[0].Err, ErrStateLost) {
				t.Errorf("sequence %d: want its state lost, got %v (%v)", i, rows[0].Err, err)
			}
		}
	}
}
