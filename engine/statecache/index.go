package statecache

import (
	"container/heap"

	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache/radix"
)

// holding is the share of one copy in the budget of its tier.
type holding struct {
	e     *entry
	there bool // reports whether the copy exists
	bytes int64
	base  uint64 // the clock of the tier when the copy was added or last used
	turn  uint64 // the number of that moment
	at    int    // place in the order of the tier, or -1
}

// worth returns the tokens saved a byte, on top of the clock. The copy with the least worth goes first.
func (h *holding) worth() uint64 { return h.base + uint64(h.e.saved)<<32/uint64(h.bytes) }

// tier is a budget with the copies that share it. The clock takes the worth of each victim, so a copy that is added or
// used later is worth more than an older copy that saves as much.
type tier struct {
	limit, used int64
	clock       uint64
	order       order
}

// order is a heap of the copies that nobody uses. The copy with the least worth is its first.
type order []*holding

func (o order) Len() int { return len(o) }
func (o order) Less(i, j int) bool {
	if a, b := o[i].worth(), o[j].worth(); a != b {
		return a < b
	}
	return o[i].turn < o[j].turn
}
func (o order) Swap(i, j int) {
	o[i], o[j] = o[j], o[i]
	o[i].at, o[j].at = i, j
}

// Push adds a *holding.
func (o *order) Push(x any) {
	h := x.(*holding)
	h.at = len(*o)
	*o = append(*o, h)
}

// Pop removes the last.
func (o *order) Pop() any {
	h := (*o)[len(*o)-1]
	*o = (*o)[:len(*o)-1]
	h.at = -1
	return h
}

// index holds the trees of all spaces and the budgets. The caller of its methods holds the lock of the cache.
type index struct {
	size    int // elements of a state
	trees   map[spaceKey]*radix.Tree[entry]
	tiers   [tiers]tier
	turns   uint64         // counts additions and uses
	free    [][]float32    // memory for the next drafts
	discard func(e *entry) // orders the removal of a file
	stats   Stats
	closed  bool
}

// insert makes an entry for a sequence without one.
func (x *index) insert(space spaceKey, ids []int, m Meta) *entry {
	t := x.trees[space]
	if t == nil {
		t = new(radix.Tree[entry])
		x.trees[space] = t
	}
	e := &entry{Meta: m, space: space, node: t.Insert(ids)}
	for i := range e.copies {
		e.copies[i] = holding{e: e, at: -1}
	}
	e.node.Value = e
	x.weigh(e)
	e.node.Below(func(n *radix.Node[entry]) { x.weigh(n.Value) })
	x.stats.Checkpoints++
	return e
}

// forget takes an entry without copies out of the tree.
func (x *index) forget(e *entry) {
	var below []*entry
	e.node.Below(func(n *radix.Node[entry]) { below = append(below, n.Value) })
	t := x.trees[e.space]
	e.node.Value = nil
	t.Remove(e.node)
	e.node = nil
	for _, b := range below {
		x.weigh(b)
	}
	if t.Empty() {
		delete(x.trees, e.space)
	}
	x.stats.Checkpoints--
}

// weigh counts the tokens that an entry saves.
func (x *index) weigh(e *entry) {
	e.saved = e.node.Depth()
	if above := e.node.Above(); above != nil {
		e.saved -= above.Depth()
	}
	for t := range e.copies {
		if at := e.copies[t].at; at >= 0 {
			heap.Fix(&x.tiers[t].order, at)
		}
	}
}

// hold notes a new copy. Its bytes were taken from the budget before.
func (x *index) hold(e *entry, t int, bytes int64) {
	h := &e.copies[t]
	h.there, h.bytes = true, bytes
	x.stamp(h, t)
	if e.pins == 0 {
		heap.Push(&x.tiers[t].order, h)
	}
}

func (x *index) stamp(h *holding, t int) {
	x.turns++
	h.base, h.turn = x.tiers[t].clock, x.turns
}

// touch notes a use of all copies of an entry.
func (x *index) touch(e *entry) {
	for t := range e.copies {
		h := &e.copies[t]
		if !h.there {
			continue
		}
		x.stamp(h, t)
		if h.at >= 0 {
			heap.Fix(&x.tiers[t].order, h.at)
		}
	}
}

// pin keeps an entry's copies until unpin.
func (x *index) pin(e *entry) {
	e.pins++
	for t := range e.copies {
		if at := e.copies[t].at; at >= 0 {
			heap.Remove(&x.tiers[t].order, at)
		}
	}
}

func (x *index) unpin(e *entry) {
	e.pins--
	if e.pins > 0 || x.closed {
		return
	}
	for t := range e.copies {
		if h := &e.copies[t]; h.there {
			heap.Push(&x.tiers[t].order, h)
		}
	}
}

// victim takes the copy with the least worth out of the order of a tier. It returns nil if all copies are in use.
func (x *index) victim(t int) *entry {
	o := &x.tiers[t]
	if len(o.order) == 0 {
		return nil
	}
	o.clock = max(o.clock, o.order[0].worth())
	return heap.Pop(&o.order).(*holding).e
}

// room takes bytes from the budget of host memory or disk, and evicts copies until they fit. It fails if too many
// copies are in use; copies evicted before that stay evicted.
func (x *index) room(t int, bytes int64) bool {
	o := &x.tiers[t]
	if bytes > o.limit {
		return false
	}
	for o.used+bytes > o.limit {
		e := x.victim(t)
		if e == nil {
			return false
		}
		if e.lone(t) {
			x.stats.Evicted++
		}
		x.drop(e, t)
	}
	o.used += bytes
	return true
}

// drop gives a copy up, and forgets the entry with its last copy.
func (x *index) drop(e *entry, t int) {
	h := &e.copies[t]
	if h.at >= 0 {
		heap.Remove(&x.tiers[t].order, h.at)
	}
	last := e.lone(t)
	x.tiers[t].used -= h.bytes
	*h = holding{e: e, at: -1}
	switch t {
	case host:
		x.give(e.state)
		e.state = nil
	case onDisk:
		x.discard(e)
		e.file = ""
	}
	if last {
		x.forget(e)
	}
}

// take returns memory for a state.
func (x *index) take() []float32 {
	if n := len(x.free); n > 0 {
		state := x.free[n-1]
		x.free = x.free[:n-1]
		return state
	}
	return make([]float32, x.size)
}

// give takes memory back for the next state, within the budget.
func (x *index) give(state []float32) {
	if !x.closed && x.tiers[host].used+int64(len(x.free)+1)*x.stateBytes() <= x.tiers[host].limit {
		x.free = append(x.free, state)
	}
}

// at returns the entry of a sequence, or nil.
func (x *index) at(space spaceKey, ids []int) *entry {
	chain := x.chain(space, ids)
	if n := len(chain); n > 0 && chain[n-1].node.Depth() == len(ids) {
		return chain[n-1]
	}
	return nil
}

// chain returns the entries that ids begin with, shortest first.
func (x *index) chain(space spaceKey, ids []int) (chain []*entry) {
	if t := x.trees[space]; t != nil {
		t.Walk(ids, func(n *radix.Node[entry]) { chain = append(chain, n.Value) })
	}
	return chain
}

// stateBytes returns the size of a state in bytes.
func (x *index) stateBytes() int64 { return 4 * int64(x.size) }
