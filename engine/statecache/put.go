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
// make no room. The caller fills the State of the draft and calls Commit or Abort. Without ids the draft is for a text
// that is not known yet, such as that of an answer, and CommitAs tells it.
func (s *Space) Reserve(ids []int, m Meta) *Draft {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.index.closed {
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

// CommitAs is Commit for the state after ids, whatever ids Reserve got. It gives the draft up if there is no room for
// ids.
func (d *Draft) CommitAs(ids []int) {
	c := d.s.c
	c.mu.Lock()
	more := 4 * int64(len(ids)-len(d.ids))
	keep := d.state != nil && !c.index.closed && c.index.room(host, more)
	if keep {
		d.ids, d.bytes = slices.Clone(ids), d.bytes+more
	}
	c.mu.Unlock()
	d.end(keep)
}

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
	if !keep || len(d.ids) == 0 || c.index.at(d.s.key, d.ids) != nil {
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

// PutDevice keeps the state after ids on the device. It makes room and then calls fork for the copy. It reports whether
// the cache took a copy; it takes none if it has one already or can make no room. A copy that leaves the device for the
// new one moves to host memory, unless the cache has another copy of that state. The error is that of fork.
func (s *Space) PutDevice(ids []int, m Meta, fork func() (Resident, error)) (bool, error) {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.index.closed || len(ids) == 0 {
		return false, nil
	}
	if e := c.index.at(s.key, ids); e != nil && e.copies[device].there {
		e.Kind = max(e.Kind, m.Kind)
		c.index.touch(e)
		return false, nil
	}
	bytes := c.index.stateBytes()
	o := &c.index.tiers[device]
	if bytes > o.limit {
		return false, nil
	}
	for o.used+bytes > o.limit {
		e := c.index.victim(device)
		if e == nil {
			return false, nil
		}
		c.moveDown(e)
		if c.index.closed {
			return false, nil
		}
	}
	o.used += bytes
	var r Resident
	var err error
	c.unlocked(func() { r, err = fork() })
	if err != nil || c.index.closed {
		o.used -= bytes
		return false, c.refuse(r, err)
	}
	e := c.index.at(s.key, ids)
	if e == nil {
		e = c.index.insert(s.key, ids, m)
	} else if e.copies[device].there {
		o.used -= bytes
		return false, c.refuse(r, nil)
	}
	e.Kind = max(e.Kind, m.Kind)
	e.resident = r
	c.index.hold(e, device, bytes)
	c.thin(e)
	return true, nil
}

// refuse releases a copy that fork made in vain.
func (c *Cache) refuse(r Resident, err error) error {
	if err == nil {
		c.unlocked(r.Release)
	}
	return err
}

// unlocked calls a slow function without the lock.
func (c *Cache) unlocked(f func()) {
	c.mu.Unlock()
	defer c.mu.Lock()
	f()
}

// moveDown takes a copy off the device. The only copy of a state moves to host memory, if there is room.
func (c *Cache) moveDown(e *entry) {
	c.index.pin(e)
	r := e.resident
	e.resident = nil // from here on nobody gets it
	var state []float32
	bytes := c.folder.Bytes(e.node.Depth(), len(e.Sampler))
	if e.lone(device) && c.index.room(host, bytes) {
		state = c.index.take()
	}
	saved := false
	c.unlocked(func() {
		if state != nil {
			saved = r.Save(state) == nil
		}
		r.Release()
	})
	if c.index.closed {
		return
	}
	switch {
	case saved:
		c.keep(e, state, bytes)
	case state != nil:
		c.index.tiers[host].used -= bytes
		c.index.give(state)
	}
	if e.lone(device) {
		c.index.stats.Evicted++
	}
	c.index.drop(e, device)
	if !e.gone() {
		c.index.unpin(e)
	}
}
