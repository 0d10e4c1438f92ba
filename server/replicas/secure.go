package replicas

import (
	"context"
	"encoding/json"
	"errors"
	"sync/atomic"
	"time"
)

// While NATS servers agree who leads, they take no records. Until they do, a record is in the memory of the replica that
// wrote it and of all others that it reaches. A replica that finds no record in the store asks the others for it.

// question is what a replica asks all others.
type question struct {
	Key   string `json:"key"`             // of a record
	Entry *entry `json:"entry,omitempty"` // that they are to remember; nil: what they know of the key is asked for
}

// reply is what one of the others replies.
type reply struct {
	Held  bool   `json:"held,omitempty"`  // it remembers the entry
	Entry *entry `json:"entry,omitempty"` // that it knows; nil for none
}

const askTime = 300 * time.Millisecond

// errHeld is the error of a record that is to be written later, and is in another replica until then.
var errHeld = errors.New("replicas hold it")

// secure has a record outlive this replica. It writes the record to the store. Where that does not take it, it has other
// replicas hold it: errHeld says so. Where none does, as when links are cut, it tries again for as long as that may last.
// Where that lasts for longer it costs a client no time, and the record is in this replica alone. Without an error there
// is nothing to be written later.
func (m *Model) secure(key string, e entry) (err error) {
	defer func() {
		if err == nil {
			return
		}
		m.unkept.Add(1)
		switch {
		case errors.Is(err, errHeld):
			m.complain("cluster: a record is not written yet, and other replicas hold it", err)
			return
		case lasting(err):
			m.complain("cluster: a record is not written: other replicas encode an answer of it anew", err)
			err = nil
		default:
			m.complain("cluster: a record is not written: if this replica ends, others encode an answer of it anew", err)
		}
	}()
	for try := 0; ; try++ {
		if try > 0 || !m.behind.Load() {
			if err = m.kept(m.put(key, e)); err == nil || lasting(err) {
				break
			}
			m.behind.Store(true) // until what waits is written
		}
		if m.held(key, e) {
			err = errHeld
			break
		}
		if m.long(&m.lone) {
			return err
		}
		time.Sleep(againTime)
	}
	m.lone.Store(0)
	return err
}

// long reports whether something has lasted for longer than it may: since, 0 for not at all, is when it began, and is
// set where it begins now.
func (m *Model) long(since *atomic.Int64) bool {
	now := time.Now()
	since.CompareAndSwap(0, now.UnixNano())
	began := since.Load()
	return began > 0 && now.Sub(time.Unix(0, began)) > m.patience
}

// held has other replicas remember a record. It reports whether at least one does.
func (m *Model) held(key string, e entry) (yes bool) {
	m.ask(context.Background(), question{key, &e}, func(r reply) bool {
		yes = yes || r.Held
		return yes
	})
	return yes
}

// others returns the entry of a key that spells an answer, if another replica knows it.
func (m *Model) others(ctx context.Context, key, answer string) (e entry, found bool) {
	m.ask(ctx, question{Key: key}, func(r reply) bool {
		if r.Entry != nil {
			e, found = m.fitting([]entry{*r.Entry}, answer)
		}
		return found
	})
	return e, found
}

// ask asks all other replicas. Those that do not reply soon are not waited for.
func (m *Model) ask(ctx context.Context, q question, take func(reply) (enough bool)) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	data, err := json.Marshal(q)
	if err == nil {
		err = m.node.Ask(ctx, data, func(data []byte) bool {
			var r reply
			return json.Unmarshal(data, &r) == nil && take(r)
		})
	}
	if err != nil && ctx.Err() == nil {
		m.complain("cluster: other replicas are not asked for a record", err)
	}
}

// reply replies to what another replica asks.
func (m *Model) reply(data []byte) []byte {
	var q question
	var r reply
	if json.Unmarshal(data, &q) == nil && q.Entry != nil {
		m.remember(q.Key, *q.Entry)
		r.Held = true
	} else if ids := m.mine.get(q.Key); ids != "" {
		r.Entry = &entry{Replica: m.warm.get(q.Key), IDs: []byte(ids)}
	}
	data, err := json.Marshal(r)
	if err != nil { // a struct of strings and bytes is always JSON
		m.complain("cluster: a reply to another replica", err)
	}
	return data
}

// remember notes an answer, and which replica has its state.
func (m *Model) remember(key string, e entry) {
	m.warm.set(key, e.Replica)
	m.mine.set(key, string(e.IDs))
}
