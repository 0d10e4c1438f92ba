package statecache

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
)

// put makes a checkpoint of no particular state.
func put(s *Space, ids []int, kind Kind) bool {
	d := s.Reserve(ids, Meta{Kind: kind, Pending: -1})
	if d != nil {
		d.Commit()
	}
	return d != nil
}

// marks returns what a space keeps along ids.
func marks(s *Space, ids []int) (out []Mark) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	for _, e := range s.c.index.chain(s.key, ids) {
		out = append(out, Mark{e.node.Depth(), e.Kind})
	}
	return out
}

// However a text grows, it keeps O(log n) checkpoints, and cut back to any length it goes on from the best that there
// ever was or reads no more again than was cut off.
func TestThinning(t *testing.T) {
	reference.Numbers(t)
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 18 {
		c := newCache(t, Options{Size: fakeSize, Host: 1 << 40})
		s := c.Space("")
		ids := make([]int, 3000)
		for i := range ids {
			ids[i] = r.IntN(1000)
		}
		var offered, anchors []int
		step := 1 + r.IntN(1<<(round%9))
		for n := 1 + r.IntN(step); n <= len(ids); n += 1 + r.IntN(step) {
			kind := Passing + Kind(r.IntN(2))
			if r.IntN(100) == 0 && len(anchors) < 3 {
				kind, anchors = Anchor, append(anchors, n)
			}
			if !put(s, ids[:n], kind) {
				t.Fatalf("no checkpoint at %d", n)
			}
			offered = append(offered, n)
			if r.IntN(20) > 0 {
				continue
			}
			kept := marks(s, ids)
			if most := 2*math.Log2(float64(n)) + 3 + recent + float64(len(anchors)); float64(len(kept)) > most {
				t.Fatalf("%d checkpoints of %d tokens, want at most %.0f", len(kept), n, most)
			}
			for _, a := range anchors {
				if !slices.Contains(kept, Mark{a, Anchor}) {
					t.Fatalf("the anchor at %d is gone", a)
				}
			}
			checkCuts(t, offered, kept, n)
		}
		if st := c.Stats(); round%9 == 0 && st.Thinned < 1000 {
			t.Fatalf("%d checkpoints of %d were thinned", st.Thinned, len(offered))
		}
	}
}

// checkCuts cuts a text of n tokens back to every length.
func checkCuts(t *testing.T, offered []int, kept []Mark, n int) {
	t.Helper()
	i, k, best, have := 0, 0, 0, 0
	for p := range n {
		for ; i < len(offered) && offered[i] <= p; i++ {
			best = offered[i]
		}
		for ; k < len(kept) && kept[k].Tokens <= p; k++ {
			have = kept[k].Tokens
		}
		if have != best && p-have >= n-p {
			t.Fatalf("cut back from %d to %d tokens: the checkpoint before is at %d, and there was one at %d", n, p, have, best)
		}
	}
}

// A place where kept texts part stays, and what somebody uses.
func TestThinningSpares(t *testing.T) {
	c := newCache(t, Options{Size: fakeSize, Host: 1 << 30})
	s := c.Space("")
	ids := make([]int, 3000)
	put(s, ids[:100], Turn)
	put(s, append(slices.Clone(ids[:100]), 7, 7), Turn)
	put(s, ids[:150], Passing)
	hit := s.Find(ids[:150], 150)
	for n := 200; n <= len(ids); n += 50 {
		put(s, ids[:n], Turn)
	}
	kept := marks(s, ids)
	if !slices.Contains(kept, Mark{100, Turn}) || !slices.Contains(kept, Mark{150, Passing}) || slices.Contains(kept, Mark{250, Turn}) {
		t.Errorf("kept %v", kept)
	}
	hit.Release()
	put(s, append(ids, 1), Turn)
	if kept := marks(s, ids); slices.Contains(kept, Mark{150, Passing}) {
		t.Errorf("kept %v after the release", kept)
	}
}

func TestPlan(t *testing.T) {
	for name, c := range map[string]struct {
		from, n, every, shared int
		ends, want             []Mark
	}{
		"ends":            {0, 100, 0, 0, []Mark{{30, Anchor}, {60, Turn}, {100, Turn}}, []Mark{{30, Anchor}, {60, Turn}, {99, Turn}}},
		"behind":          {40, 100, 0, 40, []Mark{{30, Anchor}, {60, Turn}}, []Mark{{60, Turn}}},
		"the end yields":  {0, 64, 0, 0, []Mark{{60, Turn}, {64, Turn}}, []Mark{{60, Turn}}},
		"near the next":   {0, 90, 0, 0, []Mark{{60, Turn}, {64, Turn}}, []Mark{{64, Turn}}},
		"alone":           {0, 64, 0, 0, []Mark{{64, Turn}}, []Mark{{63, Turn}}},
		"alone and short": {0, 15, 0, 0, []Mark{{15, Turn}}, []Mark{{15, Turn}}},
		"alone, read":     {50, 64, 0, 0, []Mark{{64, Turn}}, []Mark{{64, Turn}}},
		"parting":         {10, 100, 0, 50, []Mark{{60, Turn}}, []Mark{{50, Passing}, {60, Turn}}},
		"parting near":    {10, 100, 0, 20, []Mark{{60, Turn}}, []Mark{{60, Turn}}},
		"parting at end":  {10, 100, 0, 60, []Mark{{60, Turn}}, []Mark{{60, Turn}}},
		"within":          {0, 100, 40, 0, []Mark{{90, Turn}}, []Mark{{40, Passing}, {90, Turn}}},
		"within, from":    {30, 130, 40, 30, []Mark{{130, Turn}}, []Mark{{70, Passing}, {110, Passing}, {129, Turn}}},
		"no place at all": {0, 100, 0, 0, []Mark{{50, None}}, nil},
	} {
		got := Plan(c.from, c.n, c.every, &Hit{Shared: c.shared}, c.ends)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
	// What is planned for a long text is what it keeps.
	c := newCache(t, Options{Size: fakeSize, Host: 1 << 30})
	s := c.Space("")
	ids := make([]int, 100_000)
	plan := Plan(0, len(ids), 256, nil, []Mark{{70, Anchor}, {50_000, Turn}, {len(ids), Turn}})
	for _, m := range plan {
		put(s, ids[:m.Tokens], m.Kind)
	}
	if st := c.Stats(); len(plan) < 20 || len(plan) > 45 || st.Thinned != 0 || st.Checkpoints != len(plan) {
		t.Errorf("%d planned, %+v", len(plan), st)
	}
}

// If two drafts of one text are committed, the second is dropped, and what each took of the budget goes back once.
func TestTwoDrafts(t *testing.T) {
	c := newCache(t, Options{Size: fakeSize, Host: 1 << 20})
	s, ids := c.Space(""), []int{1, 2}
	one, two := s.Reserve(ids, Meta{Pending: 1}), s.Reserve(ids, Meta{Pending: 2})
	bytes := c.Stats().Host
	copy(two.State(), after(ids))
	two.Commit()
	one.Commit()
	one.Abort()
	two.Abort()
	hit := s.Find(ids, 2)
	defer hit.Release()
	if st := c.Stats(); st.Host != bytes/2 || st.Checkpoints != 1 || hit.Pending != 2 || !slices.Equal(hit.State, after(ids)) {
		t.Errorf("%+v, found %+v", st, hit)
	}
	if s.Reserve(ids, Meta{}) != nil {
		t.Error("a draft of a state that is there already")
	}
	if s.Reserve(nil, Meta{}) != nil {
		t.Error("a draft of no text")
	}
}
