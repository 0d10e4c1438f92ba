package schedule

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/draft"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
)

// losing is a drafter under which the device is lost now and then, with tokens told that the sequence has not seen. It
// needs a slot of its own.
type losing struct {
	*draft.Drafter
	e      *engine.Engine
	rng    *rand.Rand
	unfed  int
	lost   int
	bursts atomic.Int64
}

func (l *losing) Unfed() int { return max(l.unfed, l.Drafter.Unfed()) }

func (l *losing) Burst(ctx context.Context, c []engine.Continuation, text []int, most int, each func(i, id int) bool) (steps int, err error) {
	l.bursts.Add(1)
	if l.unfed = 0; l.rng.IntN(3) > 0 {
		return l.Drafter.Burst(ctx, c, text, most, each)
	}
	seq := c[0].Seq
	if c[0].Seq, err = l.e.Fork(seq); err != nil {
		return 0, err
	}
	for n := 1 + l.rng.IntN(4); steps < n && steps < most && !c[0].Over && err == nil; {
		var more int
		more, err = l.e.Burst(ctx, c, 1, each)
		steps += more
	}
	c[0].Seq.Release()
	c[0].Seq, l.unfed = seq, steps
	l.lost++
	return steps, errors.Join(err, engine.ErrDeviceLost)
}

// Requests draw with a draft what they draw alone, and their last states are the same, whether they are alone or not,
// and if the device is lost in the middle of a round.
func TestDraft(t *testing.T) {
	onEngine(t, "cpu", engine.Options{Slots: 3 + draft.Slots + 1, Chunk: 8, Keep: 6}, func(t *testing.T, e *engine.Engine) {
		small, err := engine.New(golden.Tiny(t), &device.Device{}, engine.Options{Slots: draft.SmallSlots})
		if err != nil {
			t.Fatal(err)
		}
		d, err := draft.New(e, small, draft.Options{})
		if err != nil {
			t.Fatal(err)
		}
		l := &losing{Drafter: d, e: e, rng: rand.New(rand.NewPCG(1, 8))}
		s := prepare(engineRunner{e}, 3, 3, 8, Options{})
		s.draft = l
		go s.loop()
		rng := rand.New(rand.NewPCG(3, 4))
		for round := range 24 {
			together := 1
			if round%4 == 3 {
				together = 3
			}
			var list []*Request
			var jobs []*Job
			ids, states := make([][]int, together), make([][]float32, together)
			for i := range together {
				r := &Request{Max: 1 + rng.IntN(40), Penal: true, Sampler: tinySampler(t, e, round+i)}
				for range 1 + rng.IntN(12) {
					r.Prompt = append(r.Prompt, rng.IntN(e.Model.Vocab))
				}
				r.Token = func(t Token) bool {
					ids[i] = append(ids[i], t.ID)
					return true
				}
				r.Keep = into(&states[i], e.Model.Program.StateLen())
				j, err := s.Submit(t.Context(), *r)
				if err != nil {
					t.Fatal(err)
				}
				list, jobs = append(list, r), append(jobs, j)
			}
			for _, j := range jobs {
				<-j.Done()
			}
			for i, j := range jobs {
				if err := j.Err(); err != nil {
					t.Fatal(err)
				}
				if want, final := alone(t, e, list[i], round+i); !slices.Equal(ids[i], want) || !slices.Equal(states[i], final) {
					t.Fatalf("round %d: drew %v, alone %v; or another state", round, ids[i], want)
				}
			}
		}
		s.Close(t.Context())
		if l.lost < 5 || l.bursts.Load() < 20 {
			t.Errorf("%d losses in %d bursts with the draft", l.lost, l.bursts.Load())
		}
		d.Close()
		if err := small.Close(); err != nil {
			t.Error(err)
		}
	})
}
