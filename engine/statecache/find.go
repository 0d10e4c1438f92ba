package statecache

import (
	"slices"
	"sync"

	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache/radix"
)

// Hit is a checkpoint that was found. Its copies stay where they are until Release.
type Hit struct {
	Meta
	Tokens   int       // ids that the state stands for; 0 where nothing was found
	Shared   int       // ids that some kept text begins with, at least Tokens: there the text parts from all others
	Resident Resident  // the copy on the device, or nil; not to be released
	State    []float32 // the copy in host memory, or nil, not to be written to; one of the two is there
	release  func()
}

// Release tells the cache that the copies are used no more. It may be called again, and on a Hit that found nothing.
func (h *Hit) Release() {
	if h.release != nil {
		h.release()
	}
}

// Find returns the longest checkpoint of at most most ids that ids begin with. What lies on disk only
// is read, into host memory if there is room, else for this hit alone.
func (s *Space) Find(ids []int, most int) *Hit {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	hit := &Hit{Meta: Meta{Pending: -1}}
	t := c.index.trees[s.key]
	if t == nil {
		c.index.stats.Misses++
		return hit
	}
	var found []*entry
	hit.Shared = t.Walk(ids, func(n *radix.Node[entry]) {
		if n.Depth() <= most && n.Value.usable() {
			found = append(found, n.Value)
		}
	})
	for _, e := range slices.Backward(found) {
		if !e.gone() && e.usable() && c.use(e, hit) {
			c.index.stats.Hits++
			c.index.stats.Tokens += int64(hit.Tokens)
			return hit
		}
	}
	c.index.stats.Misses++
	return hit
}

// usable reports whether there is a copy, but for one that is leaving the device.
func (e *entry) usable() bool { return e.resident != nil || e.state != nil || e.file != "" }

// use makes an entry's copy the hit. It fails where the only copy is a file that is not what it should be.
func (c *Cache) use(e *entry, hit *Hit) bool {
	c.index.pin(e)
	c.index.touch(e)
	state := e.state
	if state == nil && e.resident == nil {
		if state = c.load(e); state == nil {
			return false
		}
	}
	hit.Meta, hit.Tokens, hit.Resident, hit.State = e.Meta, e.node.Depth(), e.resident, state
	hit.release = sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.index.unpin(e)
	})
	return true
}

// load reads the file of a pinned entry, and keeps what it reads in host memory where there is room. It returns nil, and
// has unpinned the entry, where the file is broken or gone.
func (c *Cache) load(e *entry) []float32 {
	name, ids, state := e.file, e.node.IDs(), c.index.take()
	var err error
	c.unlocked(func() { err = c.format.readState(name, ids, len(e.Sampler), state) })
	if c.index.closed {
		return nil
	}
	if err != nil {
		c.index.stats.Broken++
		c.index.unpin(e)
		if e.pins == 0 && e.file == name {
			c.index.drop(e, onDisk)
		}
		c.index.give(state)
		return nil
	}
	bytes := e.copies[onDisk].bytes
	switch {
	case e.state != nil: // somebody else has read it meanwhile
		c.index.give(state)
		return e.state
	case c.index.room(host, bytes):
		c.keep(e, state, bytes)
	}
	return state
}
