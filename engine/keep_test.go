package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/cpu"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// closeStates wants two states to agree within what other chunks of the same tokens make.
func closeStates(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if off := distance(got, want); !(off < 1e-4) {
		t.Errorf("%s: state off by %g", what, off)
	}
}

// However a sequence came to its state, by prompts, bursts, forks and restored states, and however often it was kept
// meanwhile, it is made again with all that it was fed.
func TestReopen(t *testing.T) {
	m := golden.Tiny(t)
	eachDrawing(t, func(t *testing.T, d *device.Device) {
		for _, keep := range []int{1, 5, 1000} {
			e := newEngine(t, m, d, Options{Slots: 8, Chunk: 8, Keep: keep})
			c := begin(t, e, decodeSettings())
			drawn := 0
			burst := func(n int) { decode(t, e, c, n, func(int, int) bool { drawn++; return true }) }
			burst(13)
			child, err := e.Fork(c[0].Seq)
			if err != nil {
				t.Fatal(err)
			}
			step(t, e, input{child, []int{4, 4, 2, 1, 9, 8, 7, 6, 5, 4, 3}, 0})
			burst(9)
			given, err := e.NewSeq(mustState(t, e, c[1].Seq))
			if err != nil {
				t.Fatal(err)
			}
			step(t, e, input{given, []int{1, 2}, 0})
			fresh := newSeq(t, e)
			setState(t, e, c[2].Seq, mustState(t, e, c[3].Seq))
			gone := newSeq(t, e)
			gone.Release()
			all := []*Seq{c[0].Seq, c[1].Seq, c[2].Seq, c[3].Seq, child, given, fresh}
			var before [][]float32
			for _, s := range all {
				before = append(before, mustState(t, e, s))
				if n := len(s.kept.tokens); keep < 1000 && n > 2*keep+32+8 {
					t.Errorf("keep %d: %d tokens are to be fed again", keep, n)
				}
			}
			for range 2 {
				if err := e.Reopen(t.Context()); err != nil {
					t.Fatal(err)
				}
				for i, s := range all {
					closeStates(t, fmt.Sprintf("keep %d, sequence %d", keep, i), mustState(t, e, s), before[i])
				}
			}
			if s := e.Stats(); s.Reopened != 2 || s.InUse != len(all) {
				t.Errorf("%+v", s)
			}
			if err := second(e.Save([]*Seq{gone}, before[:1])); !errors.Is(err, ErrNotInUse) {
				t.Errorf("a released sequence: %v", err)
			}
			burst(3)
			for _, s := range all {
				s.Release()
			}
		}
	})
}

// Where numbers do not depend on how tokens were cut into passes, a sequence that is made again has its state to the
// last bit, and draws on as if nothing had been.
func TestReopenExactly(t *testing.T) {
	m := golden.Tiny(t)
	eachDevice(t, func(t *testing.T, d *device.Device) {
		e := newEngine(t, m, d, Options{Slots: 8, Chunk: 8, Keep: 9, Exact: true})
		want, got := begin(t, e, decodeSettings()), begin(t, e, decodeSettings())
		ids := make([][]int, len(want))
		decode(t, e, want, 40, func(i, id int) bool {
			ids[i] = append(ids[i], id)
			return true
		})
		drawn := make([][]int, len(got))
		for range 4 {
			decode(t, e, got, 10, func(i, id int) bool {
				drawn[i] = append(drawn[i], id)
				return true
			})
			if err := e.Reopen(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		decode(t, e, want, 1, func(int, int) bool { return true })
		decode(t, e, got, 1, func(int, int) bool { return true })
		for i := range want {
			if !slices.Equal(drawn[i], ids[i]) {
				t.Errorf("sequence %d: drew %v, want %v", i, drawn[i], ids[i])
			}
			sameContinuation(t, e, fmt.Sprintf("sequence %d", i), &got[i], &want[i])
		}
	})
}

// interrupted is an executor whose passes are interrupted behind their last part.
type interrupted struct{ op.Executor }

func (x interrupted) ForwardContext(_ context.Context, b *op.Batch) error {
	return errors.Join(x.Forward(b), context.Canceled)
}

// A pass that is interrupted between its parts leaves sequences as they were, if they are kept; else they say that they
// are lost, until they are restored.
func TestInterruptedPass(t *testing.T) {
	m := golden.Demo(t, 0)
	eachDevice(t, func(t *testing.T, d *device.Device) {
		for _, keep := range []int{0, 4} {
			e := newEngine(t, m, d, Options{Slots: 3, Chunk: 8, Keep: keep})
			a, b, other := newSeq(t, e), newSeq(t, e), newSeq(t, e)
			step(t, e, input{a, []int{3, 1, 4, 1, 5, 9}, 0}, input{b, []int{2}, 0}, input{other, []int{7, 7}, 0})
			before, untouched := mustState(t, e, a), mustState(t, e, other)
			rows := []Row{{Seq: a, Tokens: []int{1, 2, 3, 4}, Want: WantDraw, Sampler: newSampler(t, sample.Params{}, e)}, {Seq: b, Tokens: []int{5}}}
			ctx := t.Context()
			whole := e.host.exec
			if e.host.exec = (interrupted{whole}); d.IsCPU() {
				ctx, e.host.exec = &countdown{ctx, len(m.Program.Steps) / 2}, whole
			}
			err := e.Pass(ctx, rows)
			e.host.exec = whole
			if !errors.Is(err, context.Canceled) || rows[0].Taken != 0 || rows[0].ID != -1 || rows[1].Taken != 0 {
				t.Fatalf("want an interrupted pass, got %v, %+v", err, rows)
			}
			if !slices.Equal(mustState(t, e, other), untouched) {
				t.Error("a sequence of no row changed")
			}
			if keep > 0 {
				closeStates(t, "after it", mustState(t, e, a), before)
				step(t, e, input{a, []int{6}, 1}, input{b, []int{6}, 1})
				continue
			}
			rows = append(rows, Row{Seq: other, Tokens: []int{5}})
			if err := e.Pass(t.Context(), rows); err != nil || !errors.Is(rows[0].Err, ErrStateLost) || !errors.Is(rows[1].Err, ErrStateLost) || rows[2].Err != nil {
				t.Errorf("lost sequences: %v, %v, %v, %v", err, rows[0].Err, rows[1].Err, rows[2].Err)
			}
			for name, err := range map[string]error{"Save": second(e.Save([]*Seq{a}, [][]float32{before})), "Fork": second(e.Fork(a))} {
				if !errors.Is(err, ErrStateLost) && !errors.Is(err, ErrNoSlot) {
					t.Errorf("%s of a lost sequence: %v", name, err)
				}
			}
			setState(t, e, a, before)
			if !slices.Equal(mustState(t, e, a), before) {
				t.Error("a restored sequence has another state")
			}
		}
	})
}

// unreadable is an executor that has no memory to read states, at once or when they are waited for.
type unreadable struct {
	*cpu.Exec
	refuses, fails bool
}

func (x *unreadable) StartRead(slots []int, dst [][]float32) (op.Transfer, error) {
	if x.refuses {
		return nil, gpu.ErrOutOfMemory
	}
	t, err := x.Exec.StartRead(slots, dst)
	if x.fails && err == nil {
		t = unreadTransfer{t}
	}
	return t, err
}

type unreadTransfer struct{ op.Transfer }

func (t unreadTransfer) Wait() error { return errors.Join(t.Transfer.Wait(), gpu.ErrOutOfMemory) }

// Where states cannot be read, what is kept of a sequence does not grow beyond a bound, behind which it is not made
// again, until its state was read after all.
func TestKeepWithoutReading(t *testing.T) {
	m := golden.Tiny(t)
	for _, x := range []unreadable{{refuses: true}, {fails: true}} {
		e := newEngine(t, m, &device.Device{}, Options{Slots: 2, Chunk: 4, Keep: 5})
		x.Exec = e.host.exec.(*cpu.Exec)
		e.host.exec = &x
		s := newSeq(t, e)
		fed, longest, bound := 0, 0, e.keeper.mostKept()
		feed := func() {
			t.Helper()
			step(t, e, input{s, []int{fed % 7, 1, 2}, 0})
			if _, err := e.PassTimes([]Row{{Seq: s, Tokens: []int{3}}}); err != nil {
				t.Fatal(err)
			}
			fed += 4
			longest = max(longest, len(s.kept.tokens))
		}
		state := func() []float32 {
			t.Helper()
			f := make([]float32, m.Program.StateLen())
			if err := x.ReadState(s.slot, f); err != nil {
				t.Fatal(err)
			}
			return f
		}
		lose := func() error { // the state, which is made again or not
			t.Helper()
			step(t, e, input{s, []int{1}, 0})
			want := state()
			if err := x.ResetState(s.slot); err != nil {
				t.Fatal(err)
			}
			s.stale = true
			err := e.keeper.checkState(s)
			if err == nil {
				err = e.keeper.revive(t.Context(), []*Seq{s})
			}
			if err == nil {
				closeStates(t, "made again", state(), want)
			}
			return err
		}
		for fed < bound-8 {
			feed()
		}
		if longest < bound/2 {
			t.Fatalf("%d tokens were kept: the test cannot tell", longest)
		}
		for fed < 4*bound {
			feed()
		}
		if longest > bound+8 || cap(s.kept.tokens) > 2*bound {
			t.Errorf("%d tokens were kept, want at most about %d", longest, bound)
		}
		if err := lose(); !errors.Is(err, ErrStateLost) {
			t.Errorf("want the state lost, got %v", err)
		}
		setState(t, e, s, nil) // kept anew
		feed()
		if err := lose(); err != nil {
			t.Errorf("a restored sequence: %v", err)
		}
		for range bound {
			feed()
		}
		child, err := e.Fork(s)
		if err != nil {
			t.Fatal(err)
		}
		x.refuses, x.fails = false, false
		if err := lose(); err != nil {
			t.Errorf("a sequence whose state was read after all: %v", err)
		}
		feed()
		if s.kept.givenUp || child.kept.givenUp {
			t.Errorf("want both kept, got given up %t, the fork %t", s.kept.givenUp, child.kept.givenUp)
		}
	}
}

// Without Keep nothing is noted, and Reopen says of each sequence that it is lost.
func TestReopenWithoutKeep(t *testing.T) {
	m := golden.Tiny(t)
	e := newEngine(t, m, &device.Device{}, Options{Slots: 2})
	a := newSeq(t, e)
	step(t, e, input{a, []int{1, 2}, 0})
	if a.kept.tokens != nil || a.kept.state != nil {
		t.Errorf("kept %+v", a.kept)
	}
	if err := e.Reopen(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := second(e.Save([]*Seq{a}, [][]float32{make([]float32, m.Program.StateLen())})); !errors.Is(err, ErrStateLost) {
		t.Errorf("want a lost sequence, got %v", err)
	}
	step(t, e, input{newSeq(t, e), []int{1}, 1})
}

// Keeping states costs no allocation for a token once there is memory for them.
func TestKeepAllocatesNothing(t *testing.T) {
	m := golden.Tiny(t)
	e := newEngine(t, m, vulkanDevice(t), Options{Slots: 1, Keep: 1 << 20})
	c := begin(t, e, decodeSettings()[1:2])
	ctx, each := t.Context(), func(int, int) bool { return true }
	c[0].Seq.kept.tokens = slices.Grow(c[0].Seq.kept.tokens, 1<<16)
	run := func() {
		if _, err := e.Burst(ctx, c, 1, each); err != nil {
			t.Fatal(err)
		}
	}
	for range 64 {
		run()
	}
	if n := gputest.Allocs(64, run); n > 0 {
		t.Errorf("%v allocations for a token", n)
	}
}
