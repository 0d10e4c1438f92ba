package statecache

import (
	"context"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache/radix"
)

// pair is a cache with its oracle.
type pair struct {
	t      *testing.T
	r      *rand.Rand
	c      *Cache
	n      *naive
	held   []func()
	hits   int
	longer int
}

// operations returns how many random operations a test does: many more with RWKV_CACHE_OPS.
func operations(t *testing.T, usual int) int {
	if v := os.Getenv("RWKV_CACHE_OPS"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			t.Fatalf("RWKV_CACHE_OPS: want a number, got %q", v)
		}
		return n
	}
	return usual
}

// A cache does what its definition does, whatever is done to it: the same checkpoints in the same tiers after every
// operation, budgets kept to the byte, and states that are those of their ids.
func TestAgainstNaive(t *testing.T) {
	bytes := func(tokens int) int64 { return fileBytes + 4*int64(tokens+fakeSize) }
	for name, c := range map[string]struct {
		o      Options
		ops    int
		longer int // texts that mostly go on from one another
	}{
		"host alone":    {Options{Host: 20*bytes(8) + 3}, operations(t, 20_000), 0},
		"long texts":    {Options{Host: 40 * bytes(50)}, operations(t, 20_000) / 10, 90},
		"little host":   {Options{Host: 4 * bytes(5)}, 5_000, 0},
		"host and disk": {Options{Host: 6 * bytes(8), Disk: 15 * bytes(8), Dir: t.TempDir()}, 1_000, 0},
		"disk alone":    {Options{Host: bytes(8), Disk: 9 * bytes(8), Dir: t.TempDir()}, 500, 0},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.Size = fakeSize
			p := &pair{t: t, r: rand.New(rand.NewPCG(1, 2)), c: newCache(t, c.o), longer: c.longer}
			p.n = &naive{size: fakeSize, limit: [tiers]int64{c.o.Host, c.o.Disk}}
			for range c.ops {
				p.step()
			}
			for _, release := range p.held {
				release()
			}
			s := p.c.Stats()
			if p.hits < c.ops/20 || s.Evicted < c.ops/50 || c.longer > 0 && s.Thinned < c.ops/20 {
				t.Errorf("%d hits, %+v", p.hits, s)
			}
		})
	}
}

// text returns a random text in one of few shapes, so that texts begin alike.
func (p *pair) text() (space string, ids []int) {
	ids = make([]int, 1+p.r.IntN(24+p.longer))
	part := p.r.IntN(len(ids) + 12 + 10*p.longer)
	for i := range ids {
		if i >= part {
			ids[i] = p.r.IntN(2)
		}
	}
	return strconv.Itoa(p.r.IntN(2)), ids
}

func (p *pair) step() {
	space, ids := p.text()
	switch op := p.r.IntN(10); {
	case op < 5:
		p.put(space, ids)
	case op < 7 && len(p.held) > 0:
		i := p.r.IntN(len(p.held))
		p.held[i]()
		p.held = slices.Delete(p.held, i, i+1)
	default:
		p.find(space, ids)
	}
	if p.n.limit[onDisk] > 0 {
		if err := p.c.Sync(context.Background()); err != nil {
			p.t.Fatal(err)
		}
		p.n.settle()
	}
	p.compare()
}

func (p *pair) put(space string, ids []int) {
	kind, n := Passing+Kind(p.r.IntN(3)), p.n
	if kind == Anchor && p.r.IntN(4) > 0 {
		kind = Turn
	}
	abort := p.r.IntN(10) == 0
	d := p.c.Space(space).Reserve(ids, Meta{Kind: kind, Pending: len(ids)})
	want := false
	if e := n.at(space, ids); e != nil {
		e.kind = max(e.kind, kind)
		n.touch(e)
	} else if want = n.room(host, n.bytes(ids)); want && !abort {
		e := &naiveEntry{space: space, ids: ids, kind: kind}
		n.add(e, host, n.bytes(ids))
		n.thin(e)
	}
	if (d != nil) != want {
		p.t.Fatalf("draft of %s %v: %v, want %v", space, ids, d != nil, want)
	}
	if d == nil {
		return
	}
	copy(d.State(), after(ids))
	if abort {
		d.Abort()
	}
	d.Commit()
}

func (p *pair) find(space string, ids []int) {
	n, most := p.n, p.r.IntN(len(ids)+2)
	hit := p.c.Space(space).Find(ids, most)
	var e *naiveEntry
	shared := 0
	for _, o := range n.entries {
		if o.space != space {
			continue
		}
		k := 0
		for k < min(len(ids), len(o.ids)) && ids[k] == o.ids[k] {
			k++
		}
		shared = max(shared, k)
		if len(o.ids) <= most && begins(ids, o.ids) && (e == nil || len(o.ids) > len(e.ids)) {
			e = o
		}
	}
	if hit.Shared != shared || (e == nil) != (hit.Tokens == 0) || e != nil && hit.Tokens != len(e.ids) {
		p.t.Fatalf("found %d of %s %v, %d shared, want %+v, %d", hit.Tokens, space, ids, hit.Shared, e, shared)
	}
	if e == nil {
		hit.Release()
		return
	}
	p.hits++
	n.touch(e)
	e.pins++
	if e.copies[host] == nil && n.room(host, n.bytes(e.ids)) {
		n.add(e, host, n.bytes(e.ids))
	}
	want := after(e.ids)
	if !slices.Equal(hit.State, want) || hit.Pending != len(e.ids) {
		p.t.Fatalf("%v: state %v, pending %d, want %v", e.ids, hit.State, hit.Pending, want)
	}
	release := func() {
		if !slices.Equal(hit.State, want) {
			p.t.Fatalf("%v: the state changed in use", e.ids)
		}
		hit.Release()
		hit.Release()
		e.pins--
	}
	if len(p.held) < 3 && p.r.IntN(3) == 0 {
		p.held = append(p.held, release)
		return
	}
	release()
}

// compare wants the same checkpoints in the same tiers, and nothing left or lost elsewhere.
func (p *pair) compare() {
	p.t.Helper()
	c := p.c
	c.mu.Lock()
	defer c.mu.Unlock()
	count, states := 0, 0
	var used [tiers]int64
	for _, t := range c.index.trees {
		for _, e := range all(t) {
			count++
			if e.state != nil {
				states++
			}
			space := "0"
			if e.space == c.Space("1").key {
				space = "1"
			}
			o := p.n.at(space, e.node.IDs())
			if o == nil {
				p.t.Fatalf("%s %v should be gone", space, e.node.IDs())
			}
			for t := range e.copies {
				h := &e.copies[t]
				if h.there != (o.copies[t] != nil) || h.there && h.bytes != o.copies[t].bytes || h.at >= 0 != (h.there && e.pins == 0) {
					p.t.Fatalf("%s %v in tier %d: %+v, want %+v", space, o.ids, t, h, o.copies[t])
				}
				used[t] += h.bytes
			}
		}
	}
	if count != len(p.n.entries) || c.index.stats.Checkpoints != count {
		p.t.Fatalf("%d checkpoints (%d by count), want %d", count, c.index.stats.Checkpoints, len(p.n.entries))
	}
	for t := range used {
		if o := &c.index.tiers[t]; used[t] != o.used || o.used > o.limit || o.clock != p.n.clock[t] {
			p.t.Fatalf("tier %d: %d bytes in use by sum, %d by count, of %d; clock %d, want %d", t, used[t], o.used, o.limit, o.clock, p.n.clock[t])
		}
	}
	if int64(states+len(c.index.free))*c.index.stateBytes() > max(p.n.limit[host], c.index.stateBytes()) {
		p.t.Fatalf("%d states and %d free ones are more than %d bytes", states, len(c.index.free), p.n.limit[host])
	}
}

// all returns the entries of a tree.
func all(t *radix.Tree[entry]) (out []*entry) {
	t.All(func(n *radix.Node[entry]) { out = append(out, n.Value) })
	return out
}
