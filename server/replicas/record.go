package replicas

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/cluster/store"
)

// record tells of the answers to one prompt.
type record struct {
	Entries []entry `json:"entries"` // the last one first
}

// entry is an answer as it was fed.
type entry struct {
	Replica string `json:"replica"` // that holds the state, or held it
	IDs     []byte `json:"ids"`     // of prompt and answer, as appendIDs writes them
	State   string `json:"state"`   // name of the state, which may not be there yet, or not any more
}

const (
	mostEntries = 4       // of a record: answers to one prompt
	mostRecord  = 1 << 19 // bytes of a record; longer texts are read anew
	mostQueued  = 1 << 28 // bytes that wait to be written, with which no state is added, and with twice as many no record
	lookBack    = 4       // answers whose records are looked for, from the last one on
	getTime     = 300 * time.Millisecond
	putTime     = time.Second
	stateTime   = time.Second
	saveTime    = 10 * time.Second
	mostTries   = 20 // of a state
	againTime   = 50 * time.Millisecond
	patience    = 5 * time.Second // Model.patience
	silentTime  = time.Second     // in which a store that has not answered is not asked for records
)

// keep secures the record of an answer, and has its state written after that.
func (m *Model) keep(key, user string, ids []int, state []float32) {
	e := entry{m.node.ID(), appendIDs(nil, ids), stateName(user, ids)}
	m.remember(key, e)
	if m.secure(key, e) != nil {
		line(m, m.late, writing{key, e}, len(e.IDs), 2*mostQueued)
	}
	if m.queued.Load() < mostQueued { // else another replica reads the ids
		data := encodeState(state)
		line(m, m.save, saving{e.State, data}, len(data), 2*mostQueued)
	}
}

// line has something wait to be written, unless too much waits.
func line[T any](m *Model, c chan T, v T, size int, most int64) {
	if m.queued.Add(int64(size)) <= most {
		select {
		case c <- v:
			return
		default:
		}
	}
	m.queued.Add(-int64(size))
}

// put makes an entry the first of a record.
func (m *Model) put(key string, e entry) error {
	ctx, cancel := context.WithTimeout(context.Background(), putTime)
	defer cancel()
	if !m.node.Connected() {
		return errUnreached
	}
	var r record
	var version uint64
	for {
		r.Entries = append([]entry{e}, slices.DeleteFunc(r.Entries, func(o entry) bool { return o.State == e.State })...)
		r.Entries = r.Entries[:min(len(r.Entries), mostEntries)]
		value, err := json.Marshal(r)
		for err == nil && len(value) > mostRecord && len(r.Entries) > 0 {
			r.Entries = r.Entries[:len(r.Entries)-1]
			value, err = json.Marshal(r)
		}
		if err != nil || len(r.Entries) == 0 {
			return errors.Join(err, errLong)
		}
		if _, err = m.store.Put(ctx, key, value, version); !errors.Is(err, store.ErrConflict) {
			return err
		}
		if r, version, err = m.get(ctx, key); err != nil && !errors.Is(err, store.ErrNone) {
			return err
		}
	}
}

// errUnreached is the error of what a server is needed for.
var errUnreached = errors.New("no server is reached")

// errLong is the error of a text whose ids are too many for a record.
var errLong = fmt.Errorf("want records of at most %d bytes, got more", mostRecord)

// kept notes whether the store takes what it is given. It returns the error of that, err.
func (m *Model) kept(err error) error {
	if !errors.Is(err, errLong) {
		m.unkeeping.Store(err != nil)
	}
	return err
}

// lasting reports whether a record that could not be written will not be written later either.
func lasting(err error) bool { return errors.Is(err, errLong) || errors.Is(err, store.ErrFull) }

// get returns a record.
func (m *Model) get(ctx context.Context, key string) (r record, version uint64, err error) {
	value, version, err := m.store.Get(ctx, key)
	if err == nil && json.Unmarshal(value, &r) != nil {
		r = record{} // nobody's, so it is written over
	}
	return r, version, err
}

// saving is a state on its way to the store.
type saving struct {
	name string
	data []byte
}

// writing is a record that the store has not taken.
type writing struct {
	key   string
	entry entry
}

// writeAll writes records that the store did not take until ctx is done: each until it does.
func (m *Model) writeAll(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case w := <-m.late:
			for pause := firstPause; ; pause = min(2*pause, longPause) {
				if err := m.kept(m.put(w.key, w.entry)); err == nil || lasting(err) {
					break
				}
				if !sleep(ctx, pause) {
					return
				}
			}
			m.behind.Store(false)
			m.queued.Add(-int64(len(w.entry.IDs)))
		}
	}
}

// saveAll writes states until ctx is done. A state that the store did not take, though it has room, is tried some times:
// servers that have come back agree on who leads one bucket after the other.
func (m *Model) saveAll(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-m.save:
			for try, pause := 1, firstPause; !m.saveState(ctx, &s) && try < mostTries; try++ {
				if !sleep(ctx, pause) {
					return
				}
				pause = min(2*pause, longPause)
			}
			m.queued.Add(-int64(len(s.data)))
		}
	}
}

// sleep waits. It reports whether ctx is not done.
func sleep(ctx context.Context, pause time.Duration) bool {
	select {
	case <-ctx.Done():
	case <-time.After(pause):
	}
	return ctx.Err() == nil
}

// saveState writes a state. It reports whether there is nothing more to try.
func (m *Model) saveState(ctx context.Context, s *saving) bool {
	to, cancel := context.WithTimeout(ctx, saveTime)
	defer cancel()
	err := m.store.PutState(to, s.name, s.data)
	switch {
	case ctx.Err() != nil: // the replica ends
	case m.kept(err) == nil:
		m.saved.Add(1)
	default:
		m.complain("cluster: a state is not kept: if this replica ends, another one reads its text again", err)
		return errors.Is(err, store.ErrFull)
	}
	return true
}

// stateName returns the name of a user's state after ids.
func stateName(user string, ids []int) string {
	h := sha256.New()
	h.Write([]byte(user + "\x00"))
	h.Write(appendIDs(nil, ids))
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// appendIDs appends ids to b: each as an unsigned varint.
func appendIDs(b []byte, ids []int) []byte {
	for _, id := range ids {
		b = binary.AppendUvarint(b, uint64(id))
	}
	return b
}

// readIDs reads what appendIDs has written.
func readIDs(b []byte) (ids []int, err error) {
	for len(b) > 0 {
		id, n := binary.Uvarint(b)
		if n <= 0 || id > math.MaxInt32 {
			return nil, errors.New("want ids, got something else")
		}
		ids, b = append(ids, int(id)), b[n:]
	}
	return ids, nil
}

// encodeState returns a state as it is stored: its elements, little-endian, and their CRC-32.
func encodeState(state []float32) []byte {
	b := make([]byte, 0, 4*len(state)+4)
	for _, v := range state {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

// decodeState reads what encodeState has written.
func decodeState(b []byte) ([]float32, error) {
	if len(b) < 4 || len(b)%4 != 0 || crc32.ChecksumIEEE(b[:len(b)-4]) != binary.LittleEndian.Uint32(b[len(b)-4:]) {
		return nil, errors.New("want a state, got something else")
	}
	state := make([]float32, len(b)/4-1)
	for i := range state {
		state[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return state, nil
}
