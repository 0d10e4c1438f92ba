package vulkan

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// slowDevice takes the time of its items for a pass, one time in ten somewhat longer.
type slowDevice struct {
	items []time.Duration
	r     *rand.Rand
}

func (d *slowDevice) run(p *pass, submissions int) {
	p.total, p.longest = 0, 0
	for i := range submissions {
		var took time.Duration
		for _, u := range d.items[i*p.items/submissions : (i+1)*p.items/submissions] {
			took += u
		}
		if d.r.IntN(10) == 0 {
			took += took / 3
		}
		p.total, p.longest = p.total+took, max(p.longest, took)
	}
	if p.over++; p.longest <= longestSubmission {
		p.over = 0
	}
}

// However long a pass takes and whatever is known before, after a few runs its submissions are short enough and no
// shorter than is useful, and stay as they are.
func TestSubmissionsSettle(t *testing.T) {
	const items = 112
	for _, total := range []time.Duration{time.Microsecond, 30 * time.Millisecond, 240 * time.Millisecond, 2300 * time.Millisecond, 20 * time.Second, 300 * time.Second} {
		for _, before := range []known{{}, {1, total / 100, 0}, {1, total, 0}, {32, total / 9, 0}, {512, 2 * total, 0}} {
			t.Run(fmt.Sprintf("%s/%d,%s", total, before.rows, before.took), func(t *testing.T) {
				d := slowDevice{r: rand.New(rand.NewPCG(1, 2))}
				for i := range items { // of nine steps of a layer two take most of the time
					each := total / (items / 9 * 15)
					if i%9 >= 7 {
						each *= 4
					}
					d.items = append(d.items, each)
				}
				p := pass{items: items}
				n := (&pacing{known: before}).submissions(256, items)
				resize := func() bool {

					p.submissions = make([]*gpu.Commands, n)
					m := p.better()
					changed := m != n
					if n = m; changed {
						p.total, p.longest, p.over = 0, 0, 0
					}
					return changed
				}
				for range 6 {
					d.run(&p, n)
					resize()
				}
				for run := range 100 {
					d.run(&p, n)
					if was := n; resize() {
						t.Fatalf("run %d: %d submissions after %d, the longest of %s", run, n, was, p.longest)
					}
				}
				if n < items && p.longest > longestSubmission+longestSubmission/3 {
					t.Errorf("%d submissions, the longest of %s", n, p.longest)
				}
				if n > 1 && p.total/time.Duration(n) < shortSubmission {
					t.Errorf("%d submissions of %s", n, p.total/time.Duration(n))
				}
				if total > longestSubmission && n == 1 {
					t.Errorf("%d submissions of %s", n, total)
				}
			})
		}
	}
}

// ticking gives an executor a clock by which every part of a pass takes so long, or twice as long.
func ticking(e *Prober, part time.Duration) {
	var at time.Time
	e.pace.now = func() time.Time {
		at = at.Add(part)
		return at
	}
}

// A pass in several submissions does what it does in one: bit for bit, with logits and with tokens drawn; on a device
// that is fast again it becomes one.
func TestDividedAlike(t *testing.T) {
	m := golden.Tiny(t)
	s := op.Sizes{Slots: 2, Rows: 8, Seqs: 2, Outs: 2}
	e := opener(kernels(t), "")(t, m.Program, s, 0).(*Prober)
	steps := len(m.Program.Steps)
	var b op.Batch
	b.Add(0, []int{3, 1, 4}, 1)
	b.Add(1, []int{1, 5}, 1)
	smp, err := sample.New(sample.Default(), sample.NewVocabulary(m.Vocab, nil))
	if err != nil {
		t.Fatal(err)
	}
	run := func() (result []float32, forward, decode int) {
		t.Helper()
		if err := errors.Join(e.ResetState(0), e.ResetState(1), e.Forward(&b)); err != nil {
			t.Fatal(err)
		}
		result = append(slices.Clone(e.Logits(0)), e.Logits(1)...)
		ids, err := e.Decode([]Draw{{Slot: 1, Token: 9, Sampler: smp}}, 1)
		if err != nil {
			t.Fatal(err)
		}
		result = append(result, float32(ids[0]))
		for slot := range 2 {
			state := make([]float32, m.Program.StateLen())
			if err := e.ReadState(slot, state); err != nil {
				t.Fatal(err)
			}
			result = append(result, state...)
		}
		return result, len(e.shapes.entries[0].pass.submissions), len(e.decode.shapes.entries[0].pass.submissions)
	}
	ticking(e, time.Millisecond)
	var want []float32
	for i, c := range []struct {
		part            time.Duration
		forward, decode int
	}{
		{time.Millisecond, steps, 1}, {time.Millisecond, 1, 1}, {5 * longestSubmission, 1, 1}, {5 * longestSubmission, 10, 10},
		{5 * longestSubmission, steps, steps + 1}, {time.Microsecond, steps, steps + 1}, {time.Microsecond, steps, steps + 1},
		{time.Microsecond, 1, 1},
	} {
		if ticking(e, c.part); i == 7 { // it was divided twice, and rests
			for range 5 {
				run()
			}
		}
		got, forward, decode := run()
		if forward != c.forward || decode != c.decode {
			t.Errorf("run %d: %d and %d submissions, want %d and %d", i, forward, decode, c.forward, c.decode)
		}
		if want == nil {
			want = got
		}
		if !slices.Equal(got, want) {
			t.Errorf("run %d: not the same in %d and %d submissions", i, forward, decode)
		}
	}
	if l := e.LongestSubmission(); l < 5*longestSubmission || e.LongestSubmission() != 0 {
		t.Errorf("longest submission %s", l)
	}
}

// countdown is a context that is done when it was asked so many times.
type countdown struct {
	context.Context
	left int
}

func (c *countdown) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// A context that ends within a pass ends it before the next part; the executor goes on with whatever comes next.
func TestForwardContext(t *testing.T) {
	m := golden.Tiny(t)
	e := opener(kernels(t), "")(t, m.Program, op.Sizes{Slots: 1, Rows: 8, Seqs: 1, Outs: 1}, 0).(*Prober)
	var b op.Batch
	b.Add(0, []int{3, 1, 4, 1, 5}, 1)
	if err := e.Forward(&b); err != nil {
		t.Fatal(err)
	}
	want := slices.Clone(e.Logits(0))
	ticking(e, 5*longestSubmission)
	for _, left := range []int{0, 1, 2, 3, 5} {
		if err := errors.Join(e.ResetState(0), e.Forward(&b)); err != nil {
			t.Fatal(err)
		}
		asked := &countdown{t.Context(), left}
		if err := e.ForwardContext(asked, &b); !errors.Is(err, context.Canceled) || asked.left != -1 {
			t.Errorf("after %d submissions: %v, asked %d times more", left, err, -asked.left)
		}
	}
	if err := errors.Join(e.ResetState(0), e.Forward(&b)); err != nil || !slices.Equal(e.Logits(0), want) {
		t.Errorf("other logits after a pass that was given up (%v)", err)
	}
}
