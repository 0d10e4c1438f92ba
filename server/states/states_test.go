package states

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/server/api"
)

// plainCodec makes files of the elements of states, and of where the sampler goes on.
type plainCodec struct{}

func (plainCodec) EncodeState(s *api.State) ([]byte, error) {
	out := binary.LittleEndian.AppendUint32(nil, uint32(len(s.Data)))
	for _, v := range s.Data {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(v))
	}
	return append(out, s.Sampler...), nil
}

func (plainCodec) DecodeState(file []byte) (*api.State, error) {
	s := &api.State{Pending: api.NoToken, Tokens: -1}
	n := int(binary.LittleEndian.Uint32(file))
	for i := range n {
		s.Data = append(s.Data, math.Float32frombits(binary.LittleEndian.Uint32(file[4+4*i:])))
	}
	s.Sampler = append(s.Sampler, file[4+4*n:]...)
	return s, nil
}

func (c plainCodec) StateSize(s *api.State) int64 {
	if s == nil {
		return 40
	}
	file, _ := c.EncodeState(s) // never fails
	return int64(len(file))
}

func (plainCodec) MostState() int64 { return 1 << 10 }

// made is a state that is told from others by x.
func made(x int) *api.State {
	return &api.State{Data: []float32{float32(x), float32(x + 1)}, Tokens: x, Pending: api.NoToken, Sampler: make([]byte, x%7)}
}

func reopen(t *testing.T, o Options) *Store {
	t.Helper()
	s, err := Open(plainCodec{}, o, func(path string, err error) { t.Errorf("%s: %v", path, err) })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// keep keeps a state, or returns the error by which there is no room.
func (s *Store) add(user, name string, lasting bool, state *api.State) (Info, error) {
	p, err := s.Reserve(user, s.codec.StateSize(nil), lasting, "")
	if err != nil {
		return Info{}, err
	}
	defer p.Drop()
	return p.Keep(name, state)
}

// kept is a state as the naive store has it.
type kept struct {
	Info
	x       int
	user    string
	lasting bool
}

// naive is what a store does, by its definition: a list in the order of the last use.
type naive struct {
	o    Options
	list []*kept
}

func (n *naive) bytes(user string) (sum int64) {
	for _, k := range n.list {
		if user == "" || k.user == user {
			sum += k.Bytes
		}
	}
	return sum
}

func (n *naive) find(user, id string) *kept {
	for i, k := range n.list {
		if k.user == user && k.ID == id {
			n.list = append(slices.Delete(n.list, i, i+1), k)
			return k
		}
	}
	return nil
}

// oldest returns the index of the state of a user that makes room first, -1 if there is none.
func (n *naive) oldest(user string, stay *kept) int {
	return slices.IndexFunc(n.list, func(k *kept) bool { return k.user == user && !k.lasting && k != stay })
}

// room has states make room for more bytes of a user, and reports whether there is room then.
func (n *naive) room(user string, bytes int64, stay *kept) bool {
	before := slices.Clone(n.list)
	for n.bytes(user)+bytes > n.o.PerUser || n.bytes("")+bytes > n.o.Bytes {
		whose := user
		if n.bytes(user)+bytes <= n.o.PerUser {
			whose = ""
			has := func(u string) int64 {
				if u == user {
					return n.bytes(u) + bytes
				}
				return n.bytes(u)
			}
			for _, u := range users {
				if n.oldest(u, stay) >= 0 && (whose == "" || has(u) > has(whose)) {
					whose = u
				}
			}
		}
		i := n.oldest(whose, stay)
		if i < 0 {
			n.list = before
			return false
		}
		n.list = slices.Delete(slices.Clone(n.list), i, i+1)
	}
	return true
}

var users = []string{"ann", "bob", "carl"}

// A store does what its definition does, in memory and in a folder that is opened again and again.
func TestStore(t *testing.T) {
	for _, dir := range []string{"", t.TempDir()} {
		o := Options{Bytes: 400, PerUser: 200, Dir: dir}
		s, n, r := reopen(t, o), &naive{o: o}, rand.New(rand.NewPCG(5, 6))
		full := 0
		for step := range 1500 {
			user, id := users[r.IntN(3)], ""
			if len(n.list) > 0 {
				id = n.list[r.IntN(len(n.list))].ID // perhaps another user's
			}
			x, name, lasting := r.IntN(1000), fmt.Sprint("name ", step), r.IntN(3) == 0
			var err error
			var i Info
			var want *kept
			fits := true
			switch r.IntN(8) {
			case 0, 1, 2:
				i, err = s.add(user, name, lasting, made(x))
				if fits = n.room(user, 40, nil); fits {
					want = &kept{Info{ID: i.ID, Name: name, Tokens: x, Bytes: plainCodec{}.StateSize(made(x))}, x, user, lasting}
					n.list = append(n.list, want)
				}
			case 3:
				i, err = s.Fork(user, id, name)
				if from := n.find(user, id); from != nil {
					if fits = n.room(user, from.Bytes, from); fits {
						want = &kept{from.Info, from.x, user, true}
						want.ID, want.Name = i.ID, name
						n.list = append(n.list, want)
					}
				}
			case 4:
				i, err = s.Replace(user, id, made(x))
				at := slices.IndexFunc(n.list, func(k *kept) bool { return k.user == user && k.ID == id })
				if at >= 0 {
					old := n.list[at]
					size := plainCodec{}.StateSize(made(x))
					if fits = n.room(user, max(size-old.Bytes, 0), old); fits {
						n.list = slices.DeleteFunc(n.list, func(k *kept) bool { return k == old })
						want = &kept{Info{ID: id, Name: old.Name, Tokens: x, Bytes: size}, x, user, true}
						n.list = append(n.list, want)
					}
				}
			case 5:
				err = s.Delete(user, id)
				if want = n.find(user, id); want != nil {
					n.list, i = n.list[:len(n.list)-1], want.Info
				}
			case 6:
				var got *api.State
				got, err = s.Get(user, id)
				if want = n.find(user, id); want != nil && err == nil {
					if i = want.Info; !slices.Equal(got.Data, made(want.x).Data) || got.Origin == "" {
						t.Fatalf("step %d: %+v of %d", step, got, want.x)
					}
				}
			case 7:
				if dir == "" || r.IntN(20) > 0 {
					continue
				}
				s = reopen(t, o)
				slices.SortStableFunc(n.list, func(a, b *kept) int { // what was used last is not known any more
					return cmp.Compare(created(s, a), created(s, b))
				})
				continue
			}
			var none *FullError
			switch {
			case !fits:
				if full++; !errors.As(err, &none) || none.Want <= none.Free || none.Limit < none.Free {
					t.Fatalf("step %d: want no room, got %v", step, err)
				}
			case want == nil:
				if !errors.Is(err, ErrNone) {
					t.Fatalf("step %d: want no state, got %+v, %v", step, i, err)
				}
			case err != nil || i.ID != want.ID || i.Name != want.Name || i.Tokens != want.Tokens || i.Bytes != want.Bytes:
				t.Fatalf("step %d: want %+v, got %+v, %v", step, want.Info, i, err)
			}
			compare(t, s, n, step)
		}
		if full < 20 {
			t.Errorf("%d times there was no room: the test tests nothing", full)
		}
	}
}

// created returns when a state was made, as the store knows it.
func created(s *Store, k *kept) int64 {
	i, err := s.Info(k.user, k.ID)
	if err != nil {
		return 0
	}
	return i.Created.UnixNano()
}

// compare compares what two stores have.
func compare(t *testing.T, s *Store, n *naive, step int) {
	t.Helper()
	states, bytes := s.Stats()
	if states != len(n.list) || bytes != n.bytes("") {
		t.Fatalf("step %d: %d states of %d bytes, want %d of %d", step, states, bytes, len(n.list), n.bytes(""))
	}
	for _, u := range users {
		var want []string
		for _, k := range n.list {
			if k.user == u {
				want = append(want, fmt.Sprint(k.ID, k.Name, k.Tokens, k.Bytes))
			}
		}
		var got []string
		list := s.List(u)
		for _, i := range list {
			got = append(got, fmt.Sprint(i.ID, i.Name, i.Tokens, i.Bytes))
		}
		if !slices.IsSortedFunc(list, func(a, b Info) int { return b.Created.Compare(a.Created) }) {
			t.Fatalf("step %d: not the newest first: %+v", step, list)
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Fatalf("step %d: %s has %q, want %q", step, u, got, want)
		}
	}
	if s.o.Dir == "" {
		return
	}
	files, err := os.ReadDir(s.o.Dir)
	if err != nil || len(files) != len(n.list) {
		t.Fatalf("step %d: %d files of %d states (%v)", step, len(files), len(n.list), err)
	}
}

// Users at work at once: every state that somebody gets is whole and the user's own, and no byte stays taken.
func TestRace(t *testing.T) {
	for _, dir := range []string{"", t.TempDir()} {
		s := reopen(t, Options{Bytes: 600, PerUser: 400, Dir: dir})
		var wait sync.WaitGroup
		for w := range 6 {
			wait.Add(1)
			go func() {
				defer wait.Done()
				user, r := users[w%3], rand.New(rand.NewPCG(uint64(w), 1))
				for range 60 {
					var id string
					if list := s.List(user); len(list) > 0 {
						id = list[r.IntN(len(list))].ID
					}
					var err error
					switch r.IntN(6) {
					case 0, 1:
						_, err = s.add(user, user, r.IntN(4) == 0, made(w%3*100+r.IntN(100)))
					case 2:
						_, err = s.Fork(user, id, user)
					case 3:
						_, err = s.Replace(user, id, made(w%3*100+r.IntN(100)))
					case 4:
						err = s.Delete(user, id)
					case 5:
						var got *api.State
						if got, err = s.Get(user, id); err == nil && (len(got.Data) != 2 || got.Data[1] != got.Data[0]+1 || int(got.Data[0])/100 != w%3) {
							t.Errorf("%s got %v", user, got.Data)
						}
					}
					if err != nil && !errors.Is(err, ErrNone) && !errors.As(err, new(*FullError)) {
						t.Error(err)
					}
				}
			}()
		}
		wait.Wait()
		for _, u := range users {
			for _, i := range s.List(u) {
				if err := s.Delete(u, i.ID); err != nil {
					t.Error(err)
				}
			}
		}
		if states, bytes := s.Stats(); states != 0 || bytes != 0 || len(s.taken) != 0 || len(s.held) != 0 || len(s.users) != 0 {
			t.Errorf("%d states, %d bytes, %v", states, bytes, maps.Keys(s.taken))
		}
	}
}

// No state is kept where none may be.
func TestNone(t *testing.T) {
	s := New(plainCodec{}, Options{Bytes: -1})
	if _, err := s.add("ann", "", true, made(1)); !errors.As(err, new(*FullError)) {
		t.Errorf("%v", err)
	}
}
