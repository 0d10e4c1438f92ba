package engine

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample/sampletest"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
)

// under draws n tokens one by one on the host, by a sampler whose mask is set to what the constraint says: what draws
// under the constraint have to equal.
func under(t *testing.T, e *Engine, c *Continuation, p sample.Constraint, n int) (ids []int) {
	t.Helper()
	for range n {
		mask, err := p.Mask()
		if err := errors.Join(err, c.Sampler.SetMask(mask)); err != nil {
			t.Fatal(err)
		}
		var id int
		rows := []Row{{Seq: c.Seq, Tokens: []int{c.Token}, Want: WantLogits, Each: func(_ int, logits []float32) (err error) {
			if id, err = c.Sampler.Sample(logits); err != nil {
				return err
			}
			_, err = p.Accept(id)
			return errors.Join(err, c.Sampler.Accept(id))
		}}}
		if err := errors.Join(e.Pass(t.Context(), rows), rows[0].Err); err != nil {
			t.Fatal(err)
		}
		c.Token, ids = id, append(ids, id)
	}
	return ids
}

// Sequences with constraints draw what their masks allow, whichever device draws and however many steps a burst has:
// the same ids as on the host one by one, and in the same states. A constraint that allows every id holds no burst up,
// and no other sequence is held up by one that does not. A fork goes on with a clone.
func TestBurstUnderConstraints(t *testing.T) {
	m := golden.Tiny(t)
	eachDrawing(t, func(t *testing.T, d *device.Device) {
		const n = 90
		e := newEngine(t, m, d, Options{Slots: 16, Chunk: 8, Exact: true})
		params := slices.Concat(decodeSettings()[1:], decodeSettings()[3:], []sample.Params{{Temperature: 1, TopP: 0.8, Presence: 0.3,
			Frequency: 0.2, PenaltyDecay: 0.9, Seed: 4}})
		const plain = 2 // the others have constraints
		want, got := begin(t, e, params), begin(t, e, params)
		var ids [][]int
		for i := range want {
			if i == plain {
				ids = append(ids, singly(t, e, want[i:i+1], n)[0])
				continue
			}
			got[i].Sampler.SetConstraint(sampletest.New(m.Vocab, n, uint64(i)))
			ids = append(ids, under(t, e, &want[i], sampletest.New(m.Vocab, n, uint64(i)), n))
		}
		drawn := make([][]int, len(got))
		var fork Continuation
		bursts, plainSteps, most := 0, 0, make([]int, len(got))
		for ; slices.ContainsFunc(got, func(c Continuation) bool { return !c.Over }); bursts++ {
			before := make([]int, len(got))
			for i := range got {
				before[i] = len(drawn[i])
			}
			left := n - len(drawn[plain])
			if left == 0 {
				left = n
			}
			steps, err := e.Burst(t.Context(), got, left, func(i, id int) bool {
				drawn[i] = append(drawn[i], id)
				return i != plain || len(drawn[i]) < n
			})
			if err != nil {
				t.Fatal(err)
			}
			if before[plain] < n {
				plainSteps += steps
			}
			for i := range got {
				most[i] = max(most[i], len(drawn[i])-before[i])
			}
			if fork.Seq == nil && len(drawn[0]) > n/2 && !got[0].Over {
				fork = got[0]
				if fork.Seq, err = e.Fork(got[0].Seq); err != nil {
					t.Fatal(err)
				}
				fork.Sampler = got[0].Sampler.Clone()
				ids = append(ids, ids[0][len(drawn[0]):])
			}
		}
		for i := range got {
			if !slices.Equal(drawn[i], ids[i]) || got[i].Err != nil {
				t.Errorf("sequence %d: drew %v (%v), want %v", i, drawn[i], got[i].Err, ids[i])
				continue
			}
			sameContinuation(t, e, fmt.Sprint("sequence ", i), &got[i], &want[i])
			if several := d.Draws == vulkan.DeviceDraws; (most[i] > 1) != several {
				t.Errorf("sequence %d: at most %d steps in a burst", i, most[i])
			}
		}
		if plainSteps != n {
			t.Errorf("the sequence without a constraint took part in %d steps for %d tokens", plainSteps, n)
		}
		forks := []Continuation{fork}
		var after []int
		for !forks[0].Over {
			if _, err := e.Burst(t.Context(), forks, n, func(_, id int) bool {
				after = append(after, id)
				return true
			}); err != nil {
				t.Fatal(err)
			}
		}
		if rest := ids[len(got)]; !slices.Equal(after, rest) || forks[0].Err != nil {
			t.Errorf("a fork drew %v (%v), want %v", after, forks[0].Err, rest)
		}
		end(slices.Concat(want, got, forks))
	})
}

// lasting is a constraint with two masks that last, each for six tokens.
type lasting struct {
	masks [2][]uint64
	n     int
}

func newLasting(vocab int) *lasting {
	l := new(lasting)
	for i, without := range []uint64{1, 0x5555555555555555} {
		l.masks[i] = slices.Repeat([]uint64{^without}, (vocab+63)/64)
	}
	return l
}

func (l *lasting) Mask() ([]uint64, error) { return l.masks[l.n/6%2], nil }

func (l *lasting) Lasts() bool { return true }

func (l *lasting) Forced() []int { return nil }

func (l *lasting) Accept(int) (bool, error) {
	l.n++
	return false, nil
}

func (l *lasting) Clone() sample.Constraint {
	c := *l
	return &c
}

// A mask that lasts, as one of think text does, holds no burst up. As soon as it is known a burst takes all steps, up to
// the token behind which it is another mask.
func TestBurstUnderMaskThatLasts(t *testing.T) {
	m := golden.Tiny(t)
	eachDrawing(t, func(t *testing.T, d *device.Device) {
		const n = 24
		e := newEngine(t, m, d, Options{Slots: 16, Chunk: 8, Exact: true})
		params := decodeSettings()[3:4]
		want, got := begin(t, e, params), begin(t, e, params)
		ids := under(t, e, &want[0], newLasting(m.Vocab), n)
		got[0].Sampler.SetConstraint(newLasting(m.Vocab))
		e.bursts.steps = func(_, most int) int { return min(most, 8) }
		var drawn []int
		bursts := 0
		for ; len(drawn) < n; bursts++ {
			if _, err := e.Burst(t.Context(), got, n-len(drawn), func(_, id int) bool {
				drawn = append(drawn, id)
				return true
			}); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(drawn, ids) {
			t.Errorf("drew %v, want %v", drawn, ids)
		}
		sameContinuation(t, e, "a mask that lasts", &got[0], &want[0])
		if several := d.Draws == vulkan.DeviceDraws; several && bursts != 1+n/6 {
			t.Errorf("%d bursts for %d tokens", bursts, n)
		}
		end(slices.Concat(want, got))
	})
}

// stubborn is a constraint that after some tokens has no mask, or refuses an id that its mask allowed.
type stubborn struct {
	free, mask, refuse int // tokens until it does; 0 for never
	vocab              int
}

func (s *stubborn) Mask() ([]uint64, error) {
	if s.mask == 1 {
		return nil, errors.New("no mask")
	}
	if s.free > 0 {
		return nil, nil
	}
	return slices.Repeat([]uint64{1<<60 - 1}, (s.vocab+63)/64), nil
}

func (s *stubborn) Lasts() bool { return false }

func (s *stubborn) Forced() []int { return nil }

func (s *stubborn) Accept(id int) (done bool, err error) {
	if s.refuse == 1 {
		return false, fmt.Errorf("id %d is refused", id)
	}
	s.free, s.mask, s.refuse = s.free-1, s.mask-1, s.refuse-1
	return false, nil
}

func (s *stubborn) Clone() sample.Constraint {
	c := *s
	return &c
}

// What a constraint does wrong ends its own sequence, with the state from before what it would not have, and no other.
func TestBurstConstraintErrors(t *testing.T) {
	m := golden.Tiny(t)
	eachDrawing(t, func(t *testing.T, d *device.Device) {
		const n = 40
		e := newEngine(t, m, d, Options{Slots: 12, Chunk: 8, Exact: true})
		params := slices.Repeat(decodeSettings()[3:], 5)
		constraints := []*stubborn{nil, {mask: 9, vocab: m.Vocab}, {mask: 9, free: 99, vocab: m.Vocab}, {refuse: 9, vocab: m.Vocab},
			{refuse: 9, free: 99, vocab: m.Vocab}}
		const ok = 8 // tokens until the error
		want, got := begin(t, e, params), begin(t, e, params)
		singly(t, e, want[:1], n)
		for i, s := range constraints {
			if s == nil {
				continue
			}
			got[i].Sampler.SetConstraint(s)
			under(t, e, &want[i], &stubborn{free: s.free, vocab: m.Vocab}, ok)
			step(t, e, input{want[i].Seq, []int{want[i].Token}, 0}) // of which nothing could be drawn
		}
		drawn := make([]int, len(got))
		for len(got) > 0 && drawn[0] < n {
			if _, err := e.Burst(t.Context(), got, n-drawn[0], func(i, _ int) bool {
				drawn[i]++
				return true
			}); err != nil {
				t.Fatal(err)
			}
		}
		for i := range got {
			if i > 0 && (!errors.Is(got[i].Err, sample.ErrConstraint) || !got[i].Over || drawn[i] != ok) {
				t.Errorf("sequence %d: %d tokens, over %t, %v", i, drawn[i], got[i].Over, got[i].Err)
			}
			sameContinuation(t, e, fmt.Sprint("sequence ", i), &got[i], &want[i])
		}
		if got[0].Err != nil {
			t.Error(got[0].Err)
		}
		end(slices.Concat(want, got))
	})
}
