package schedule

import (
	"context"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/draft"
)

// drafter is a draft.Drafter.
type drafter interface {
	Burst(ctx context.Context, c []engine.Continuation, text []int, most int, each func(i, id int) bool) (int, error)
	Unfed() int
}

var _ drafter = (*draft.Drafter)(nil)

// leastDrafted is the least most tokens of a burst with the draft: one good round.
const leastDrafted = 4

// burst draws tokens for the round's list, with the draft if that is one sequence and no other wants anything.
func (s *Scheduler) burst(most int) (steps int, err error) {
	alone := len(s.round.list) == 1 && len(s.resident) == 1 && s.queue.n == 0
	if s.draft == nil || !alone {
		return s.run.Burst(context.Background(), s.round.list, most, s.round.onDrawn)
	}
	j := s.round.drawing[0]
	if step := s.round.pace.Step(); step > 0 { // somebody may come meanwhile
		most = min(most, max(leastDrafted, int(s.share()/3/max(step, time.Microsecond))))
	}
	s.round.text = append(append(s.round.text[:0], j.Prompt...), j.at.told[:len(j.at.told)-1]...)
	steps, err = s.draft.Burst(context.Background(), s.round.list, s.round.text, most, s.round.onDrawn)
	if n := s.draft.Unfed(); err != nil && n > 0 && s.round.list[0].Err == nil {
		// They are fed with the last one, like forced ones, when the device is there again.
		last := len(j.at.told) - 1
		j.forced = forced{ids: append(j.forced.ids[:0], j.at.told[last-n:]...)}
		if c := &s.round.list[0]; c.Over { // it is over when they are fed
			j.forced.ids, j.forced.last, c.Over = j.forced.ids[:n], true, false
		}
	}
	return steps, err
}
