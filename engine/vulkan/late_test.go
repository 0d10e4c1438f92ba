package vulkan

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// Where an item of a pass waits for the host, a submission begins with it, however many submissions there are. The
// others divide the items before and after it.
func TestBounds(t *testing.T) {
	for _, u := range []items{{count: 1}, {count: 7}, {count: 8, hold: 1}, {count: 8, hold: 7}, {count: 40, hold: 9}, {count: 2, hold: 1}} {
		for submissions := 1; submissions <= u.count; submissions++ {
			bounds, hold := u.bounds(submissions)
			want := submissions
			if u.hold > 0 {
				want = max(submissions, 2)
			}
			what := fmt.Sprintf("%d items in %d submissions, held at %d: %v, part %d", u.count, submissions, u.hold, bounds, hold)
			if len(bounds) != want+1 || bounds[0] != 0 || bounds[want] != u.count || bounds[hold] != u.hold {
				t.Fatal(what)
			}
			if even := slices.Clone(bounds); !slices.IsSorted(even) || len(slices.Compact(even)) != want+1 {
				t.Error(what)
			}
		}
	}
}

// The inputs of draws may be late: masks that are written while the device runs the first step lead to the same ids as
// masks that were there before, however many submissions the pass has. On a fast device these become two, and not
// fewer.
func TestDecodeBeside(t *testing.T) {
	m := golden.Tiny(t)
	const seqs, steps = 3, 4
	e := opener(kernels(t), "")(t, m.Program, op.Sizes{Slots: seqs, Rows: seqs, Seqs: seqs, Outs: seqs}, 0).(*Prober)
	masks := make([][]uint64, seqs)
	var draws []Draw
	for i := range masks {
		p := sample.Params{Temperature: 1, TopP: 0.9, Presence: 0.5, PenaltyDecay: 0.9, Seed: uint64(i)}
		s, err := sample.New(p, sample.NewVocabulary(m.Vocab, nil))
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 { // one without a mask
			masks[i] = make([]uint64, (m.Vocab+63)/64)
		}
		if err := s.SetMask(masks[i]); err != nil {
			t.Fatal(err)
		}
		draws = append(draws, Draw{Slot: i, Token: 3 + i, Sampler: s})
	}
	r := rand.New(rand.NewPCG(1, 8))
	for i, each := range []time.Duration{time.Millisecond, time.Millisecond, 2 * time.Second, 2 * time.Second, time.Millisecond, time.Millisecond} {
		ticking(e, each)
		fill := func() {
			for _, mask := range masks {
				for w := range mask {
					mask[w] = r.Uint64()
				}
			}
		}
		decode := func(run func() ([]uint32, error)) []uint32 {
			t.Helper()
			for slot := range seqs {
				if err := e.ResetState(slot); err != nil {
					t.Fatal(err)
				}
			}
			ids, err := run()
			if err != nil {
				t.Fatal(err)
			}
			return slices.Clone(ids)
		}
		for _, n := range []int{1, steps} {
			called := 0
			got := decode(func() ([]uint32, error) {
				return e.DecodeBeside(draws, n, func() {
					called++
					fill()
				})
			})
			want := decode(func() ([]uint32, error) { return e.Decode(draws, n) })
			if !slices.Equal(got, want) || called != 1 {
				t.Errorf("run %d, %d steps: drew %v, want %v; called %d times", i, n, got, want, called)
			}
			for _, mask := range masks {
				clear(mask)
			}
		}
	}
	least := 1 << 20
	for range 2 * (maxRest + 1) {
		for _, mask := range masks {
			clear(mask)
		}
		if _, err := e.DecodeBeside(draws, 1, func() { masks[1][0], masks[2][0] = 1, 2 }); err != nil {
			t.Fatal(err)
		}
		last := e.decode.shapes.entries[len(e.decode.shapes.entries)-1]
		least = min(least, len(last.pass.submissions))
	}
	if last := e.decode.shapes.entries[len(e.decode.shapes.entries)-1].pass; least != 2 || last.runs <= maxRest {
		t.Errorf("%d submissions at least; the last pass ran %d times", least, last.runs)
	}
}
