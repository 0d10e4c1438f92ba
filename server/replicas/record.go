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
	"log/slog"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/cluster/store"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
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
	patience    = 5 * time.Second // with a store that does not answer
	silentTime  = time.Second     // in which a store that has not answered is not asked for records
)

// keep writes the record of an answer, and has its state written after that.
func (m *Model) keep(key, user string, ids []int, state []float32) {
	e := entry{m.node.ID(), appendIDs(nil, ids), stateName(user, ids)}
	m.warm.set(key, m.node.ID())
	m.mine.set(key, string(e.IDs))
	later := saving{name: e.State}
	if err := m.kept(m.put(key, e)); err != nil {
		m.unkept.Add(1)
		m.complain("cluster: a record is not written: if this replica ends, others encode an answer of it anew", err)
		if !lasting(err) {
			later.key, later.entry = key, e
		}
	}
	if m.queued.Load() < mostQueued {
		later.data = encodeState(state)
	}
	if later.data == nil && later.key == "" {
		return // another replica reads the ids
	}
	if m.queued.Add(later.size()) > 2*mostQueued { // of records, since states stop before
		m.queued.Add(-later.size())
		return
	}
	select {
	case m.save <- later:
	default:
		m.queued.Add(-later.size())
	}
}

// put makes an entry the first of a record.
func (m *Model) put(key string, e entry) error {
	ctx, cancel := context.WithTimeout(context.Background(), putTime)
	defer cancel()
	if !m.node.Connected() {
		return errors.New("no server is reached")
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

// look returns the record of a key. If the store does not answer, as while its servers agree who leads, look tries again
// for as long as that may take. A store that has not answered for longer costs a client no time.
func (m *Model) look(ctx context.Context, key string) record {
	for {
		var err error
		if !m.mute() {
			var r record
			wait, cancel := context.WithTimeout(ctx, getTime)
			r, _, err = m.get(wait, key)
			cancel()
			if err == nil || errors.Is(err, store.ErrNone) {
				m.since.Store(0)
				return r
			}
		}
		if ctx.Err() != nil {
			return record{}
		}
		now := time.Now()
		m.since.CompareAndSwap(0, now.UnixNano())
		if since := m.since.Load(); since > 0 && now.Sub(time.Unix(0, since)) > patience {
			if err != nil {
				m.silent.Store(now.Add(silentTime).UnixNano())
				m.complain("cluster: a record is not read", err)
			}
			return record{}
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
		if own := m.mine.get(p.key); own != "" {
			if ids, err := readIDs([]byte(own)); err == nil {
				m.learn(ctx, user, ids, stateName(user, ids))
			}
			return
		}
		if looked == lookBack {
			return
		}
		looked++
		e, found := m.fitting(m.look(ctx, p.key), p.answer)
		if !found {
			continue
		}
		ids, err := readIDs(e.IDs)
		if err != nil {
			m.complain("cluster: a record is broken", err)
			continue
		}
		if m.learn(ctx, user, ids, e.State) {
			m.mine.set(p.key, string(e.IDs))
		}
		return
	}
}

// fitting returns the entry of a record whose ids spell an answer.
func (m *Model) fitting(r record, answer string) (entry, bool) {
	answer = strings.TrimSpace(answer)
	for _, e := range r.Entries {
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

// saving is a state on its way to the store, with its record where that could not be written.
type saving struct {
	name  string
	data  []byte // nil for the record alone
	key   string // "" for no record
	entry entry
}

// size returns how many bytes it holds.
func (s *saving) size() int64 { return int64(len(s.data) + len(s.entry.IDs)) }

// saveAll writes states until ctx is done, and records that the store did not take: of these, each until it does. A state
// that the store did not take, though it has room, is tried some times: servers that have come back agree on who leads
// one bucket after the other.
func (m *Model) saveAll(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-m.save:
			for pause := firstPause; s.key != ""; pause = min(2*pause, longPause) {
				if err := m.kept(m.put(s.key, s.entry)); err == nil || lasting(err) {
					break
				}
				select {
				case <-ctx.Done():
					return
				case <-time.After(pause):
				}
			}
			for try, pause := 1, firstPause; !m.saveState(ctx, &s) && try < mostTries; try++ {
				select {
				case <-ctx.Done():
					return
				case <-time.After(pause):
				}
				pause = min(2*pause, longPause)
			}
			m.queued.Add(-s.size())
		}
	}
}

// saveState writes a state. It reports whether there is nothing more to try.
func (m *Model) saveState(ctx context.Context, s *saving) bool {
	if s.data == nil {
		return true
	}
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
