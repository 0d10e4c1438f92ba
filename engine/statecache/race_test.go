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

// Many goroutines put, find, encode and look at one cache with all its tiers, while it is closed in the end: every
// state is that of its ids for as long as it is used.
func TestConcurrentUse(t *testing.T) {
	const size = int64(fileBytes + 4*(10+fakeSize))
	o := Options{Size: fakeSize, Host: 12 * size, Disk: 20 * size, Dir: t.TempDir()}
	c, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	tok := smallVocabulary(t)
	var hits atomic.Int64
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
				case 0, 1, 2:
					if d := s.Reserve(ids, Meta{Kind: Turn, Pending: -1}); d != nil {
						copy(d.State(), after(ids))
						d.Commit()
					}
				case 3, 4:
					hit := s.Find(ids, len(ids))
					if hit.Tokens > 0 {
						hits.Add(1)
						want := after(ids[:hit.Tokens])
						time.Sleep(time.Duration(r.IntN(50)) * time.Microsecond)
						if !slices.Equal(hit.State, want) {
							t.Errorf("a wrong state of %v", ids[:hit.Tokens])
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
	if s := c.Stats(); hits.Load() < int64(rounds) || s.Host > o.Host || s.Disk > o.Disk {
		t.Errorf("%d hits, %+v", hits.Load(), s)
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
	if hit := c.Space("ann").Find([]int{1, 2}, 2); hit.Tokens != 0 || put(c.Space("ann"), []int{3}, Turn) {
		t.Errorf("after the end: %d ids found", hit.Tokens)
	}
}
