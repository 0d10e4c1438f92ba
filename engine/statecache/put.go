package statecache

import "slices"

// Draft is memory for a checkpoint, which the caller fills.
type Draft struct {
	s     *Space
	ids   []int
	meta  Meta
	state []float32 // nil after Commit and Abort
	bytes int64
}

// Reserve makes room in host memory for the state after ids. It returns nil if the cache has that state already or can
// make no room. The caller fills the State of the draft and calls Commit or Abort.
func (s *Space) Reserve(ids []int, m Meta) *Draft {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.index.closed || len(ids) == 0 {
		return nil
	}
	if e := c.index.at(s.key, ids); e != nil {
		e.Kind = max(e.Kind, m.Kind)
		c.index.touch(e)
		return nil
	}
	bytes := c.folder.Bytes(len(ids), len(m.Sampler))
	if !c.index.room(host, bytes) {
		return nil
	}
	return &Draft{s, slices.Clone(ids), m, c.index.take(), bytes}
}

// State returns the memory for the state, float32[Options.Size] of any content.
func (d *Draft) State() []float32 { return d.state }

// Commit adds the checkpoint to the cache. After Commit or Abort it does nothing.
func (d *Draft) Commit() { d.end(true) }

// Abort gives the draft up. After Commit or Abort it does nothing.
func (d *Draft) Abort() { d.end(false) }

func (d *Draft) end(keep bool) {
	c := d.s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if d.state == nil || c.index.closed {
		return
	}
	state := d.state
	d.state = nil
	if !keep || c.index.at(d.s.key, d.ids) != nil {
		c.index.tiers[host].used -= d.bytes
		c.index.give(state)
		return
	}
	e := c.index.insert(d.s.key, d.ids, d.meta)
	c.keep(e, state, d.bytes)
	c.thin(e)
}

// keep gives an entry its copy in host memory. The bytes were taken from the budget before.
func (c *Cache) keep(e *entry, state []float32, bytes int64) {
	e.state = state
	c.index.hold(e, host, bytes)
	c.writer.enqueue(e)
}

// unlocked calls a slow function without the lock.
func (c *Cache) unlocked(f func()) {
	c.mu.Unlock()
	defer c.mu.Lock()
	f()
}
