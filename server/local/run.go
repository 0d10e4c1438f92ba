package local

import (
	"context"
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/engine/completion"
	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// runOf returns what a completion needs of a request that is one of several runs.
func runOf(r *api.Request) completion.Run {
	run := completion.Run{Traced: r.Traced, Kept: r.Kept}
	for _, t := range r.Drawn {
		run.Drawn = append(run.Drawn, completion.Token{ID: t.ID, Logprob: t.Logprob, Alternatives: t.Top})
	}
	return run
}

// Identity names what the numbers of states depend on, besides ids. Processes of one identity may exchange states and
// answers under way.
func (m *Model) Identity() (string, error) {
	id, err := m.service.Identity()
	return fmt.Sprintf("%s first %v", id, m.first), err
}

// Load tells how much there is to do: requests that wait, and those in work.
func (m *Model) Load() (waiting, working int) {
	s := m.service.Stats().Schedule
	return s.Waiting, s.Resident + s.Parked
}

// Knows reports whether a state of a user that has seen exactly the ids, as Run.Kept told of them, is in memory.
func (m *Model) Knows(user string, ids []int) bool { return m.service.Knows("user "+user, ids) }

// Learn has a state known that another process of the same Identity told Run.Kept of. Without a state the ids are read.
// The errors are those of Start and of the context; a state that there is no room for is none.
func (m *Model) Learn(ctx context.Context, user string, ids []int, state []float32) error {
	for _, id := range ids {
		if id < 0 || id >= m.info.Vocab {
			return fmt.Errorf("ids: want ids below %d, got %d", m.info.Vocab, id)
		}
	}
	if len(state) > 0 && m.service.Learn("user "+user, ids, state) {
		return nil
	}
	q := asked(ctx, &api.Request{User: user, Follows: true})
	q.Prompt = []statecache.Segment{{Text: string(tokenizer.Decode(m.tok, ids)), IDs: ids, End: statecache.Turn}}
	state, _, err := m.service.State(ctx, q)
	if err == nil {
		m.service.Learn("user "+user, ids, state)
	}
	return m.fault(err)
}
