package states

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/server/api"
)

// Options say how much is kept, and where.
type Options struct {
	Bytes   int64  // of all states; 0 is DefaultBytes, less than 0 none
	PerUser int64  // of the states of each user; 0 is Bytes
	Dir     string // the folder of the files, which has those of one model; "" for memory
}

// DefaultBytes is what Options means by 0.
const DefaultBytes = 1 << 30

// ErrNone is the error for an id that stands for no state of the user.
var ErrNone = errors.New("states: there is no state of this id")

// FullError is the error of a state for which there is no room.
type FullError struct {
	Want, Free, Limit int64 // bytes: of the state, that states can make room for, and of all states that there may be
	User              bool  // reports whether the limit is that of a user
}

func (e *FullError) Error() string {
	return fmt.Sprintf("states: want room for %d bytes, got %d of %d", e.Want, e.Free, e.Limit)
}

// Info tells of a state.
type Info struct {
	ID      string
	Name    string // that its user chose
	Created time.Time
	Tokens  int   // that it has read, as far as that is known
	Bytes   int64 // of its file
}

// Store keeps states. Its methods may be called by any goroutine.
type Store struct {
	codec api.StateCodec
	o     Options

	mu    sync.Mutex
	users map[string]map[string]*entry // by their names, and by the ids of their states
	bytes int64                        // of all states
	taken map[string]int64             // likewise of each user
	held  map[string]int64             // bytes of each user's places
	uses  uint64
}

// entry is a state that is kept. But for used, nobody changes it.
type entry struct {
	Info
	user    string
	origin  string
	lasting bool
	used    uint64 // when it was used last: Store.uses of that time
	size    int64  // bytes that are counted for it
	state   *api.State
	path    string // of the file; "" for a state in memory
}

// Open returns a store with the states in the folder, of which there need be none. Files in it that are no such states
// stay, and broken is told of them.
func Open(codec api.StateCodec, o Options, broken func(path string, err error)) (*Store, error) {
	if o.Bytes == 0 {
		o.Bytes = DefaultBytes
	}
	if o.Bytes = max(o.Bytes, 0); o.PerUser == 0 || o.PerUser > o.Bytes {
		o.PerUser = o.Bytes
	}
	s := &Store{codec: codec, o: o, users: map[string]map[string]*entry{}, taken: map[string]int64{}, held: map[string]int64{}}
	if o.Dir == "" {
		return s, nil
	}
	list, err := scan(o.Dir, broken)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(a, b *entry) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
	for _, e := range list {
		s.take(e.user, e.size)
		s.insert(e)
	}
	return s, nil
}

// New returns a store in memory.
func New(codec api.StateCodec, o Options) *Store {
	o.Dir = ""
	s, _ := Open(codec, o, nil) // which fails by its folder only
	return s
}

func (s *Store) take(user string, bytes int64) {
	s.bytes += bytes
	count(s.taken, user, bytes)
}

func count(of map[string]int64, user string, bytes int64) {
	if of[user] += bytes; of[user] == 0 {
		delete(of, user)
	}
}

// insert adds an entry whose size is taken.
func (s *Store) insert(e *entry) {
	s.uses++
	e.used = s.uses
	if s.users[e.user] == nil {
		s.users[e.user] = map[string]*entry{}
	}
	s.users[e.user][e.ID] = e
}

// remove takes an entry away, with its file.
func (s *Store) remove(e *entry) {
	s.take(e.user, -e.size)
	delete(s.users[e.user], e.ID)
	if len(s.users[e.user]) == 0 {
		delete(s.users, e.user)
	}
	e.discard()
}

// find is use without the lock.
func (s *Store) find(user, id string) *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.use(user, id)
}

// use returns a user's entry, nil if there is none, and counts that as a use. The lock is held.
func (s *Store) use(user, id string) *entry {
	e := s.users[user][id]
	if e != nil {
		s.uses++
		e.used = s.uses
	}
	return e
}

// List tells of a user's states, the newest first.
func (s *Store) List(user string) []Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Info, 0, len(s.users[user]))
	for _, e := range s.users[user] {
		list = append(list, e.Info)
	}
	slices.SortFunc(list, func(a, b Info) int { return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.ID, b.ID)) })
	return list
}

// Info tells of a user's state. The error is ErrNone.
func (s *Store) Info(user, id string) (Info, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.users[user][id]; e != nil {
		return e.Info, nil
	}
	return Info{}, ErrNone
}

// Get returns a user's state. The error is ErrNone, or by what its file cannot be read.
func (s *Store) Get(user, id string) (*api.State, error) {
	e := s.find(user, id)
	if e == nil {
		return nil, ErrNone
	}
	if e.path == "" {
		return e.state, nil
	}
	e, file, err := s.read(e)
	if err != nil {
		return nil, err
	}
	state, err := s.codec.DecodeState(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.path, plain(err))
	}
	state.Origin = e.origin
	return state, nil
}

// plain returns an error that no client is told as its own mistake.
func plain(err error) error { return errors.New(err.Error()) }

// File returns the file of a user's state. The error is as of Get.
func (s *Store) File(user, id string) ([]byte, error) {
	e := s.find(user, id)
	switch {
	case e == nil:
		return nil, ErrNone
	case e.path != "":
		_, file, err := s.read(e)
		return file, err
	}
	return s.codec.EncodeState(e.state)
}

// Delete removes a user's state. The error is ErrNone.
func (s *Store) Delete(user, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.users[user][id]
	if e == nil {
		return ErrNone
	}
	s.remove(e)
	return nil
}

// Stats counts states and their bytes.
func (s *Store) Stats() (states int, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, list := range s.users {
		states += len(list)
	}
	return states, s.bytes
}
