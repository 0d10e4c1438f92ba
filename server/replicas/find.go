package replicas

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/cluster/store"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// look returns the entry of a key that spells an answer. If the store does not answer, as while its servers agree who
// leads, look asks the other replicas, and tries again for as long as that may take. A store that has not answered for
// longer costs a client no time.
func (m *Model) look(ctx context.Context, key, answer string) (entry, bool) {
	for {
		var err error
		if !m.mute() {
			var r record
			wait, cancel := context.WithTimeout(ctx, getTime)
			r, _, err = m.get(wait, key)
			cancel()
			if err == nil || errors.Is(err, store.ErrNone) {
				m.since.Store(0)
				return m.fitting(r.Entries, answer)
			}
		}
		if e, found := m.others(ctx, key, answer); found || ctx.Err() != nil {
			return e, found
		}
		if m.long(&m.since) {
			if err != nil {
				m.silent.Store(time.Now().Add(silentTime).UnixNano())
				m.complain("cluster: a record is not read", err)
			}
			return entry{}, false
		}
		select {
		case <-ctx.Done():
		case <-time.After(againTime):
		}
	}
}

// takeOver has this replica know the state behind the last answer of a prompt, if another one wrote it.
func (m *Model) takeOver(ctx context.Context, user string, places []place) {
	looked := 0
	for _, p := range slices.Backward(places) {
		if p.answer == "" {
			continue
		}
		own := []byte(m.mine.get(p.key))
		e, found := m.fitting([]entry{{IDs: own}}, p.answer)
		if !found && looked < lookBack {
			if e, found = m.look(ctx, p.key, p.answer); !found && looked == 0 {
				e, found = m.others(ctx, p.key, p.answer)
			}
			looked++
		}
		if found {
			ids, err := readIDs(e.IDs)
			if err == nil && m.learn(ctx, user, ids, stateName(user, ids)) {
				m.mine.set(p.key, string(e.IDs))
			}
			return
		}
		if len(own) > 0 || looked == lookBack {
			return
		}
	}
}

// takeOverFor is takeOver for a request. A run that goes on for a lost one has the ids of its prompt: a state saves it
// time, and changes nothing that it says. So it does not wait for a store that is silent.
func (m *Model) takeOverFor(ctx context.Context, r *api.Request, places []place) {
	if r.IDs != nil {
		hurried, cancel := context.WithTimeout(ctx, hurry)
		defer cancel()
		ctx = hurried
	}
	m.takeOver(ctx, r.User, places)
}

const hurry = 500 * time.Millisecond

// fitting returns the first of the entries whose ids spell an answer.
func (m *Model) fitting(list []entry, answer string) (entry, bool) {
	answer = strings.TrimSpace(answer)
	for _, e := range list {
		ids, err := readIDs(e.IDs)
		if err == nil && spells(string(tokenizer.Decode(m.Tokenizer(), ids)), answer) {
			return e, true
		}
	}
	return entry{}, false
}

// spells reports whether a text has an answer, or ends within its last token: where a text ends by its length, that token
// is drawn and not fed.
func spells(text, answer string) bool {
	if strings.Contains(text, answer) {
		return true
	}
	for n := len(answer) - 1; n > 0 && n >= len(answer)-mostToken; n-- {
		if strings.HasSuffix(text, answer[:n]) {
			return true
		}
	}
	return false
}

// mostToken is how many bytes a token may have.
const mostToken = 256

// learn has this replica know a state, and reports whether it does.
func (m *Model) learn(ctx context.Context, user string, ids []int, name string) bool {
	if m.Knows(user, ids) {
		return true
	}
	state := m.state(ctx, name)
	if state != nil {
		m.learnt.Add(1)
	} else {
		m.read.Add(1)
	}
	if err := m.Learn(ctx, user, ids, state); err != nil {
		if ctx.Err() == nil {
			m.complain("cluster: a state is not taken over", err)
		}
		return false
	}
	return true
}

// state returns a state of the store; nil where it is not there, or does not come in time.
func (m *Model) state(ctx context.Context, name string) []float32 {
	if m.mute() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, stateTime)
	defer cancel()
	data, err := m.store.State(ctx, name)
	if err == nil {
		var state []float32
		if state, err = decodeState(data); err == nil {
			return state
		}
	}
	if !errors.Is(err, store.ErrNone) {
		m.complain("cluster: a state is not read", err)
	}
	return nil
}

// mute reports whether the store is not to be asked now, since it does not answer.
func (m *Model) mute() bool { return !m.node.Connected() || time.Now().UnixNano() < m.silent.Load() }

// complain tells the log, once in ten seconds.
func (m *Model) complain(what string, err error) {
	now := time.Now().UnixNano()
	if before := m.complained.Load(); now-before > int64(10*time.Second) && m.complained.CompareAndSwap(before, now) {
		m.o.Log.Warn(what, slog.Any("cause", err))
	}
}
