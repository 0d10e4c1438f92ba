package statecache

import (
	"errors"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache/folder"
	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache/radix"
)

// Hit is the result of Find. The copies of the checkpoint stay until Release.
type Hit struct {
	Meta
	Tokens  int       // ids before the checkpoint; 0 if there is none
	Shared  int       // ids up to the place where the text parts from all kept texts; at least Tokens
	State   []float32 // of the checkpoint; nil if there is none; read only
	release func()
}

// Release ends the use of the copies. Any Hit may be released, and again.
func (h *Hit) Release() {
	if h.release != nil {
		h.release()
	}
}

// Find returns the longest checkpoint, of most ids at the most, that ids begin with. A checkpoint that lies on disk
// only is read: into host memory if there is room, else for this hit alone.
func (s *Space) Find(ids []int, most int) *Hit {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	hit := c.find(s.key, ids, most, (*entry).usable)
	if hit.Tokens == 0 {
		c.index.stats.Misses++
		return hit
	}
	c.index.stats.Hits++
	c.index.stats.Tokens += int64(hit.Tokens)
	return hit
}

// FindLoaded is Find among the checkpoints that are in memory. It reads no file, and Stats does not count it: it is for
// another look, shortly before the state is needed.
func (s *Space) FindLoaded(ids []int, most int) *Hit {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.find(s.key, ids, most, (*entry).loaded)
}

// find returns the longest checkpoint that is good, if there is one.
func (c *Cache) find(space spaceKey, ids []int, most int, good func(*entry) bool) *Hit {
	hit := &Hit{Meta: Meta{Pending: -1}}
	t := c.index.trees[space]
	if t == nil {
		return hit
	}
	var found []*entry
	hit.Shared = t.Walk(ids, func(n *radix.Node[entry]) {
		if n.Depth() <= most && good(n.Value) {
			found = append(found, n.Value)
		}
	})
	for _, e := range slices.Backward(found) {
		if !e.gone() && good(e) && c.use(e, hit) {
			break
		}
	}
	return hit
}

// loaded reports whether the entry has a copy in memory.
func (e *entry) loaded() bool { return e.state != nil }

// usable reports whether the entry has a copy.
func (e *entry) usable() bool { return e.loaded() || e.file != "" }

// use makes the hit of an entry. It fails if the only copy is a file that cannot be read.
func (c *Cache) use(e *entry, hit *Hit) bool {
	c.index.pin(e)
	c.index.touch(e)
	state := e.state
	if state == nil {
		if state = c.load(e); state == nil {
			return false
		}
	}
	c.writer.touch(e)
	hit.Meta, hit.Tokens, hit.State = e.Meta, e.node.Depth(), state
	hit.release = sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.index.unpin(e)
	})
	return true
}

// load reads the file of a pinned entry, and keeps the state in host memory if there is room. If it cannot read the
// file, it unpins the entry and returns nil. A file that is broken or gone is dropped. Any other error may pass, and
// the file stays.
func (c *Cache) load(e *entry) []float32 {
	name, ids, state := e.file, e.node.IDs(), c.index.take()
	var err error
	c.unlocked(func() { err = c.folder.ReadState(name, ids, state) })
	if c.index.closed {
		return nil
	}
	if err != nil {
		broken := errors.Is(err, folder.ErrBroken)
		if broken {
			c.index.stats.Broken++
		}
		c.index.unpin(e)
		if (broken || errors.Is(err, os.ErrNotExist)) && e.pins == 0 && e.file == name {
			e.used = time.Time{} // as it is now, it is of no use to anybody
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
