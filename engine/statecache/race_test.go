package statecache

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// sharedResident is a resident state that several goroutines may have a hand in.
type sharedResident struct {
	ids      []int
	released atomic.Bool
	live     *atomic.Int64
}

func (r *sharedResident) Save(state []float32) error {
	copy(state, after(r.ids))
	return nil
}

func (r *sharedResident) Release() {
	if r.released.Swap(true) {
		panic("released twice")
	}
	r.live.Add(-1)
}

// Many goroutines put, find, encode and look at one cache with all its tiers, while it is closed in the end: every
// state is that of its ids for as long as it is used, and nothing stays on the device.
func TestConcurrentUse(t *testing.T) {
	const size = int64(fileBytes + 4*(10+fakeSize))
	o := Options{Size: fakeSize, Device: 6 * 4 * fakeSize, Host: 12 * size, Disk: 20 * size, Dir: t.TempDir()}
	c, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	tok := smallVocabulary(t)
	var live, hits atomic.Int64
	var all sync.WaitGroup
	rounds := operations(t, 4_000) / 8
	for k := range 8 {
		all.Add(1)
		go func() {
			defer all.Done()
			r := rand.New(rand.NewPCG(uint64(k), 2))
			for range rounds {
				s := c.Space([]string{"ann", "bob"}[r.IntN(2)])
				ids := make([]int, 1+r.IntN(16))
				part := r.IntN(20)
				for i := range ids {
					if ids[i] = 'a'; i >= part {
						ids[i] += r.IntN(2)
					}
				}
				switch r.IntN(6) {
				case 0, 1:
					if d := s.Reserve(ids, Meta{Kind: Turn, Pending: -1}); d != nil {
						copy(d.State(), after(ids))
						d.Commit()
					}
				case 2:
					if _, err := s.PutDevice(ids, Meta{Kind: Turn, Pending: -1}, func() (Resident, error) {
						live.Add(1)
						return &sharedResident{ids: ids, live: &live}, nil
					}); err != nil {
						t.Error(err)
					}
				case 3, 4:
					hit := s.Find(ids, len(ids))
					if hit.Tokens > 0 {
						hits.Add(1)
						want := after(ids[:hit.Tokens])
						time.Sleep(time.Duration(r.IntN(50)) * time.Microsecond)
						if hit.State != nil && !slices.Equal(hit.State, want) {
							t.Errorf("a wrong state of %v", ids[:hit.Tokens])
						}
						if hit.Resident != nil && hit.Resident.(*sharedResident).released.Load() {
							t.Error("a state was released in use")
						}
					}
					hit.Release()
				default:
					if _, err := s.Prompt(tok, []Segment{{Text: "aa"}, {Text: "aba", Answer: true, End: Turn}, {Text: "a"}}); err != nil {
						t.Error(err)
					}
					c.Stats()
				}
			}
		}()
	}
	all.Wait()
	if s := c.Stats(); hits.Load() < int64(rounds) || s.Device > o.Device || s.Host > o.Host || s.Disk > o.Disk || s.Device != 4*fakeSize*live.Load() {
		t.Errorf("%d hits, %d on the device, %+v", hits.Load(), live.Load(), s)
	}
	// Whoever uses it while and after it is closed gets nothing.
	all.Add(1)
	go func() {
		defer all.Done()
		for range 200 {
			put(c.Space("ann"), []int{1, 2}, Turn)
			c.Space("ann").Find([]int{1, 2}, 2).Release()
		}
	}()
	if err := c.Close(context.Background()); err != nil {
		t.Error(err)
	}
	all.Wait()
	if hit := c.Space("ann").Find([]int{1, 2}, 2); hit.Tokens != 0 || live.Load() != 0 || put(c.Space("ann"), []int{3}, Turn) {
		t.Errorf("after the end: %d ids found, %d on the device", hit.Tokens, live.Load())
	}
}

// leaver is a resident state during whose way to host memory something happens.
type leaver struct {
	resident
	meanwhile func()
}

func (l *leaver) Save(state []float32) error {
	l.meanwhile()
	return l.resident.Save(state)
}

// A copy on its way from the device to host memory is nobody's: it is not found, not replaced and not thinned.
func TestLeavingTheDevice(t *testing.T) {
	c := newCache(t, Options{Size: fakeSize, Device: 4 * fakeSize, Host: 1 << 20})
	s := c.Space("")
	ids, live, calls := []int{1, 2, 3}, 0, 0
	meta := Meta{Kind: Turn, Pending: -1}
	fork := func(r Resident) func() (Resident, error) {
		return func() (Resident, error) {
			live++
			return r, nil
		}
	}
	first := &leaver{resident{ids: ids, live: &live}, func() {
		calls++
		if hit := s.Find(ids, 3); hit.Tokens != 0 || hit.Shared != 3 {
			t.Errorf("found %+v", hit)
		}
		if put(s, ids, Turn) {
			t.Error("a second copy in host memory")
		}
		if took, err := s.PutDevice(ids, meta, fork(nil)); took || err != nil {
			t.Errorf("a second copy on the device (%v)", err)
		}
	}}
	for _, r := range []Resident{first, &resident{ids: []int{9}, live: &live}} {
		of := ids
		if r != Resident(first) {
			of = []int{9}
		}
		if took, err := s.PutDevice(of, meta, fork(r)); !took || err != nil {
			t.Fatalf("%v was not taken (%v)", of, err)
		}
	}
	hit := s.Find(ids, 3)
	defer hit.Release()
	if calls != 1 || hit.Tokens != 3 || hit.Resident != nil || !slices.Equal(hit.State, after(ids)) || live != 1 {
		t.Errorf("%d calls, found %+v, %d on the device", calls, hit, live)
	}
}
