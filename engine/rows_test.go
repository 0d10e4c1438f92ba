package engine

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// limited is an executor of a slow device, which notes the most rows of a pass.
type limited struct {
	op.Executor
	rows, most int
}

func (l *limited) MostRows() int { return l.rows }

func (l *limited) ForwardContext(ctx context.Context, b *op.Batch) error {
	l.most = max(l.most, len(b.Tokens))
	return l.Executor.ForwardContext(ctx, b)
}

// A device that would be busy with a pass for too long gets its rows in several, with the same results as any chunks
// have.
func TestStepOnSlowDevice(t *testing.T) {
	m := golden.Tiny(t)
	rng := rand.New(rand.NewPCG(6, 1))
	eachDevice(t, func(t *testing.T, d *device.Device) {
		e := newEngine(t, m, d, Options{Slots: 4, Chunk: 40})
		for _, rows := range []int{1, 3, 7} {
			var in []input
			for _, n := range []int{1, 25, 33} {
				tokens := randomTokens(rng, n, m.Vocab)
				in = append(in, input{newSeq(t, e), tokens, 1})
			}
			want := step(t, e, in...)
			for _, x := range in {
				setState(t, e, x.seq, nil)
			}
			slow := &limited{Executor: e.host.exec, rows: rows}
			e.host.exec = slow
			got := step(t, e, in...)
			e.host.exec = slow.Executor
			if slow.most != rows {
				t.Errorf("want passes of %d rows, got some of %d", rows, slow.most)
			}
			for i := range in {
				if off := distance(got[i][0], want[i][0]); !(off < 1e-4) {
					t.Errorf("%d rows at once, input %d: off by %g", rows, i, off)
				}
				in[i].seq.Release()
			}
		}
	})
}
