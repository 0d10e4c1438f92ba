package statecache

import "slices"

// fileBytes is the size of a file of no ids and no state: what it is, for whom, its counts and its checksums.
const fileBytes = 8 + 2*32 + 5*4 + 2*4

// naive is a cache by definition: a list that is searched from its start for everything.
type naive struct {
	size    int
	limit   [tiers]int64
	clock   [tiers]uint64
	turns   uint64
	entries []*naiveEntry
	queue   []*naiveEntry // to be written to disk
}

type naiveEntry struct {
	space  string
	ids    []int
	kind   Kind
	pins   int
	copies [tiers]*naiveCopy
}

type naiveCopy struct {
	bytes      int64
	base, turn uint64
}

func (n *naive) used(t int) (sum int64) {
	for _, e := range n.entries {
		if e.copies[t] != nil {
			sum += e.copies[t].bytes
		}
	}
	return sum
}

func begins(ids, with []int) bool {
	return len(with) <= len(ids) && slices.Equal(ids[:len(with)], with)
}

func (n *naive) worth(e *naiveEntry, t int) uint64 {
	above := 0
	for _, o := range n.entries {
		if o.space == e.space && len(o.ids) < len(e.ids) && begins(e.ids, o.ids) {
			above = max(above, len(o.ids))
		}
	}
	return e.copies[t].base + uint64(len(e.ids)-above)<<32/uint64(e.copies[t].bytes)
}

func (n *naive) at(space string, ids []int) *naiveEntry {
	for _, e := range n.entries {
		if e.space == space && slices.Equal(e.ids, ids) {
			return e
		}
	}
	return nil
}

func (n *naive) add(e *naiveEntry, t int, bytes int64) {
	n.turns++
	e.copies[t] = &naiveCopy{bytes, n.clock[t], n.turns}
	if !slices.Contains(n.entries, e) {
		n.entries = append(n.entries, e)
	}
	if t == host && n.limit[onDisk] > 0 && e.copies[onDisk] == nil {
		n.queue = append(n.queue, e)
	}
}

func (n *naive) drop(e *naiveEntry, t int) {
	e.copies[t] = nil
	if e.copies == [tiers]*naiveCopy{} {
		n.entries = slices.DeleteFunc(n.entries, func(o *naiveEntry) bool { return o == e })
	}
}

func (n *naive) victim(t int) *naiveEntry {
	var v *naiveEntry
	for _, e := range n.entries {
		if e.pins > 0 || e.copies[t] == nil {
			continue
		}
		if v == nil || n.worth(e, t) < n.worth(v, t) || n.worth(e, t) == n.worth(v, t) && e.copies[t].turn < v.copies[t].turn {
			v = e
		}
	}
	if v != nil {
		n.clock[t] = max(n.clock[t], n.worth(v, t))
	}
	return v
}

// room makes room for bytes.
func (n *naive) room(t int, bytes int64) bool {
	if bytes > n.limit[t] {
		return false
	}
	for n.used(t)+bytes > n.limit[t] {
		v := n.victim(t)
		if v == nil {
			return false
		}
		n.drop(v, t)
	}
	return true
}

func (n *naive) touch(e *naiveEntry) {
	for t, c := range e.copies {
		if c != nil {
			n.turns++
			c.base, c.turn = n.clock[t], n.turns
		}
	}
}

func (n *naive) bytes(ids []int) int64 {
	return fileBytes + 4*int64(len(ids)+n.size)
}

// thin is by the rule as Plan states it, one checkpoint at a time.
func (n *naive) thin(e *naiveEntry) {
	var chain []*naiveEntry
	for _, o := range n.entries {
		if o.space == e.space && begins(e.ids, o.ids) {
			chain = append(chain, o)
		}
	}
	slices.SortFunc(chain, func(a, b *naiveEntry) int { return len(a.ids) - len(b.ids) })
	if len(chain) <= recent {
		return
	}
	old := chain[:len(chain)-recent]
	m := len(old[len(old)-1].ids)
	for _, kind := range []Kind{Passing, Turn} {
		for i := 0; i+1 < len(old); i++ {
			a, b, c := 0, old[i], len(old[i+1].ids)
			if i > 0 {
				a = len(old[i-1].ids)
			}
			if b.kind == kind && b.pins == 0 && !n.parting(b) && c-a <= m-c {
				old = slices.Delete(slices.Clone(old), i, i+1)
				b.copies = [tiers]*naiveCopy{}
				n.drop(b, host)
				i--
			}
		}
	}
}

// parting reports whether kept texts go on from e in more than one way.
func (n *naive) parting(e *naiveEntry) bool {
	next := map[int]bool{}
	for _, o := range n.entries {
		if o.space == e.space && len(o.ids) > len(e.ids) && begins(o.ids, e.ids) {
			next[o.ids[len(e.ids)]] = true
		}
	}
	return len(next) > 1
}

// settle writes what waits to be written.
func (n *naive) settle() {
	for _, e := range n.queue {
		if e.copies[host] == nil || e.copies[onDisk] != nil {
			continue
		}
		e.pins++
		if n.room(onDisk, n.bytes(e.ids)) {
			n.add(e, onDisk, n.bytes(e.ids))
		}
		e.pins--
	}
	n.queue = nil
}
