package bench

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/synthetic"
)

// A process that found nothing kept is, some seconds after its start, as fast as one that begins with what it has
// found. The two run by turns, so that other work on the machine, which slows both, does not decide; more turns are
// taken while it might. A form that is not the fastest would cost more than a fifth.
func TestFirstProcess(t *testing.T) {
	if testing.Short() || reference.Race {
		t.Skip("measures the speed of a large model")
	}
	gputest.Device(t)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	size, err := synthetic.Named("0.1b")
	if err != nil {
		t.Fatal(err)
	}
	m := open(t, size)
	const rows = 64
	first := process(t, m, rows)
	for begin, i := time.Now(), 0; i < 2 || !first.e.Settled(); i++ {
		if time.Since(begin) > 50*settleTime {
			t.Fatal("measuring does not come to an end")
		}
		first.run(t, rows, 0)
		first.run(t, 1, 8)
	}
	second := process(t, m, rows)
	second.run(t, rows, 0)
	second.run(t, 1, 8)
	if told := second.told; len(told) > 0 {
		t.Errorf("the second process measures again: %q", told)
	}
	const least, turns, most = 0.8, 5, 9
	var speeds [2]speed // of prefill and decode
	for turn := range turns * most {
		for i, n := range []int{rows, 1} {
			pair := []*engineRun{first, second}
			if turn%2 == 1 {
				slices.Reverse(pair)
			}
			took := map[*engineRun]time.Duration{}
			for _, e := range pair {
				took[e] = e.run(t, n, 7*i)
			}
			speeds[i].add(took[first].Seconds(), took[second].Seconds())
		}
		if (turn+1)%turns == 0 && speeds[0].share() >= least && speeds[1].share() >= least {
			t.Logf("prefill %.3f, decode %.3f of the second's speed", speeds[0].share(), speeds[1].share())
			return
		}
	}
	t.Errorf("want at least %.2f of the second's speed, got %.3f in prefill, %.3f in decode", least, speeds[0].share(), speeds[1].share())
}

// speed is how long the first and the second took for the same, in seconds, turn by turn.
type speed struct{ first, second []float64 }

func (s *speed) add(first, second float64) {
	s.first, s.second = append(s.first, first), append(s.second, second)
}

// share returns the first's share of the second's speed, by the pairs or by the best of each: other work hits either
// figure, now and then, and what is slower shows in both.
func (s *speed) share() float64 {
	ratios := make([]float64, len(s.first))
	for i := range ratios {
		ratios[i] = s.second[i] / s.first[i]
	}
	return max(median(ratios), slices.Min(s.second)/slices.Min(s.first))
}

// engineRun is an engine as a process has it.
type engineRun struct {
	e    *engine.Engine
	seq  *engine.Seq
	told []string
}

func process(t *testing.T, m *model.Model, chunk int) *engineRun {
	t.Helper()
	d, err := device.Open("gpu", nil)
	if err != nil {
		t.Fatal(err)
	}
	r := &engineRun{}
	d.Tune(false, func(s string) { r.told = append(r.told, s) })
	if r.e, err = engine.New(m, d, engine.Options{Chunk: chunk}); err == nil {
		r.seq, err = r.e.NewSeq(nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.e.Close(); err != nil {
			t.Error(err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// run feeds so many tokens, and then more one by one, and returns how long that takes.
func (r *engineRun) run(t *testing.T, tokens, more int) time.Duration {
	t.Helper()
	take := func(int, []float32) error { return nil }
	start := time.Now()
	for i := range 1 + more {
		n := tokens
		if i > 0 {
			n = 1
		}
		ids := make([]int, n)
		for j := range ids {
			ids[j] = 1 + (i+j*j)%1000
		}
		rows := []engine.Row{{Seq: r.seq, Tokens: ids, Want: engine.WantLogits, Each: take}}
		if err := errors.Join(r.e.Feed(t.Context(), rows), rows[0].Err); err != nil {
			t.Fatal(err)
		}
	}
	return time.Since(start)
}
