package states

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/server/api"
)

// Place is room for a state.
type Place struct {
	s       *Store
	user    string
	bytes   int64 // that are held still
	lasting bool
	stay    string // the id of a state that does not make room for this one; "" for none
}

// Reserve holds room for a state of so many bytes, which may be a few more than it will have. Other states make room only
// when the state is kept, and that with the id stay does not. The error is a *FullError.
func (s *Store) Reserve(user string, bytes int64, lasting bool, stay string) (*Place, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reserve(user, bytes, lasting, stay)
}

func (s *Store) reserve(user string, bytes int64, lasting bool, stay string) (*Place, error) {
	has, all := maps.Clone(s.taken), s.bytes
	for u, n := range s.held {
		has[u], all = has[u]+n, all+n
	}
	if _, err := s.leaving(has, all, user, bytes, stay); err != nil {
		return nil, err
	}
	count(s.held, user, bytes)
	return &Place{s, user, bytes, lasting, stay}, nil
}

// leaving returns the states that make room for so many bytes of a user, which may be any but stay. has and all are the
// bytes that each user and all together have.
func (s *Store) leaving(has map[string]int64, all int64, user string, bytes int64, stay string) ([]*entry, error) {
	has[user], all = has[user]+bytes, all+bytes
	var others map[string][]*entry
	if has[user] > s.o.PerUser || all > s.o.Bytes {
		others = s.giving(stay)
	}
	var leave []*entry
	next := func(u string) {
		e := others[u][0]
		others[u] = others[u][1:]
		has[u], all = has[u]-e.size, all-e.size
		leave = append(leave, e)
	}
	for has[user] > s.o.PerUser {
		if len(others[user]) == 0 {
			return nil, &FullError{bytes, max(s.o.PerUser-has[user]+bytes, 0), s.o.PerUser, s.o.PerUser < s.o.Bytes}
		}
		next(user)
	}
	for all > s.o.Bytes {
		u, found := largest(has, others)
		if !found {
			return nil, &FullError{bytes, max(s.o.Bytes-all+bytes, 0), s.o.Bytes, false}
		}
		next(u)
	}
	return leave, nil
}

// giving returns the states of each user that make room for others, all but stay, the least recently used first.
func (s *Store) giving(stay string) map[string][]*entry {
	list := map[string][]*entry{}
	for user, states := range s.users {
		for _, e := range states {
			if !e.lasting && e.ID != stay {
				list[user] = append(list[user], e)
			}
		}
		slices.SortFunc(list[user], func(a, b *entry) int { return cmp.Compare(a.used, b.used) })
	}
	return list
}

// largest returns the user who has the most bytes, of those with states that make room.
func largest(has map[string]int64, others map[string][]*entry) (user string, found bool) {
	for u, list := range others {
		if len(list) > 0 && (!found || has[u] > has[user] || has[u] == has[user] && u < user) {
			user, found = u, true
		}
	}
	return user, found
}

// Drop gives the room back, if no state is kept there.
func (p *Place) Drop() {
	if p == nil {
		return
	}
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	p.free()
}

func (p *Place) free() {
	count(p.s.held, p.user, -p.bytes)
	p.bytes = 0
}

// Keep keeps a state under a new id. The error is a *FullError, or of the folder.
func (p *Place) Keep(name string, state *api.State) (Info, error) {
	return p.keep(p.entry(name, state.Tokens, state.Origin), state, nil)
}

// entry returns a new entry of the place's user. Without an origin the state is one that nobody has seen before.
func (p *Place) entry(name string, tokens int, origin string) *entry {
	if origin == "" {
		origin = api.NewID("")
	}
	return &entry{Info: Info{ID: api.NewID("state_"), Name: name, Created: time.Now(), Tokens: tokens}, user: p.user, origin: origin,
		lasting: p.lasting}
}

// keep gives an entry its state, or the file of it, and puts it into the place.
func (p *Place) keep(e *entry, state *api.State, file []byte) (Info, error) {
	if err := p.s.fill(e, state, file); err != nil {
		return Info{}, err
	}
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	if err := p.put(e); err != nil {
		return Info{}, err
	}
	return e.Info, nil
}

// put puts an entry into the place, where it takes that of an earlier one of its id. Other states make room. The error is
// a *FullError: the place is there still unless another state has become a lasting one since Reserve.
func (p *Place) put(e *entry) error {
	leave, err := p.s.leaving(maps.Clone(p.s.taken), p.s.bytes, p.user, p.bytes, p.stay)
	if err != nil { // a state that was to stay takes room that was another's to give
		leave, err = p.s.leaving(maps.Clone(p.s.taken), p.s.bytes, p.user, p.bytes, "")
	}
	if err != nil {
		e.discard()
		return err
	}
	for _, other := range leave {
		p.s.remove(other)
	}
	if old := p.s.users[p.user][e.ID]; old != nil {
		p.s.remove(old)
	}
	p.free()
	p.s.take(p.user, e.size)
	p.s.insert(e)
	return nil
}

// fill gives an entry its state. In a folder that is a file, which is made if it is nil.
func (s *Store) fill(e *entry, state *api.State, file []byte) (err error) {
	if s.o.Dir == "" {
		own := *state
		own.Origin = e.origin
		e.state, e.Bytes = &own, s.codec.StateSize(&own)
		e.size = e.Bytes
		return nil
	}
	if file == nil {
		if file, err = s.codec.EncodeState(state); err != nil {
			return err
		}
	}
	e.Bytes = int64(len(file))
	e.size = e.Bytes
	return e.write(s.o.Dir, file)
}

// Fork keeps a user's state under one more id, for good. The error is ErrNone, a *FullError, or as of Get.
func (s *Store) Fork(user, id, name string) (Info, error) {
	e, p, err := s.forking(user, id)
	if err != nil {
		return Info{}, err
	}
	defer p.Drop()
	var file []byte
	if e.path != "" {
		if e, file, err = s.read(e); err != nil {
			return Info{}, err
		}
	}
	return p.keep(p.entry(name, e.Tokens, e.origin), e.state, file)
}

// forking finds the state to copy, and makes room for the copy.
func (s *Store) forking(user, id string) (*entry, *Place, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.use(user, id)
	if e == nil {
		return nil, nil, ErrNone
	}
	p, err := s.reserve(user, e.size, true, id)
	return e, p, err
}

// Replace puts another state in the place of a user's, which then stays for good. The error is ErrNone, a *FullError, or
// of the folder.
func (s *Store) Replace(user, id string, state *api.State) (Info, error) {
	p, e, err := s.replacing(user, id, s.codec.StateSize(state))
	if err != nil {
		return Info{}, err
	}
	defer p.Drop()
	e.Tokens = state.Tokens
	if err := s.fill(e, state, nil); err != nil {
		return Info{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users[user][id] == nil { // it was deleted meanwhile
		e.discard()
		return Info{}, ErrNone
	}
	if err := p.put(e); err != nil {
		return Info{}, err
	}
	return e.Info, nil
}

// replacing makes room for what a user's state is to grow by, and returns the entry that is to take its place.
func (s *Store) replacing(user, id string, bytes int64) (*Place, *entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.users[user][id]
	if old == nil {
		return nil, nil, ErrNone
	}
	p, err := s.reserve(user, max(bytes-old.size, 0), true, id)
	if err != nil {
		return nil, nil, err
	}
	e := p.entry(old.Name, 0, "")
	e.ID, e.Created = old.ID, old.Created
	return p, e, nil
}
