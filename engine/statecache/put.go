package statecache

import "slices"

// Draft is a checkpoint in host memory whose state is being written.
type Draft struct {
	s     *Space
	ids   []int
	meta  Meta
	state []float32 // nil when it is done with
	bytes int64
}

// Reserve makes room in host memory for the state after ids. It returns nil where the cache has that state already, or can
// make no room. The caller fills the draft's State and calls Commit or Abort.
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
	bytes := c.format.fileBytes(len(ids), len(m.Sampler))
	if !c.index.room(host, bytes) {
		return nil
	}
	return &Draft{s, slices.Clone(ids), m, c.index.take(), bytes}
}

// State is where the state belongs. What it holds before is nothing in particular.
func (d *Draft) State() []float32 { return d.state }

// Commit makes the checkpoint one that is found.
func (d *Draft) Commit() { d.end(true) }

// Abort gives the draft up. After Commit it does nothing.
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

// keep gives an entry its copy in host memory, whose bytes are in use already.
func (c *Cache) keep(e *entry, state []float32, bytes int64) {
	e.state = state
	c.index.hold(e, host, bytes)
	c.writer.enqueue(e)
}

// PutDevice keeps the state after ids on the device: fork makes the copy, once there is room for it. It reports whether the
// cache took one: not where it has that copy already or can make no room. What goes for it moves to host memory, if the
// cache has it nowhere else. An error is fork's.
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

// refuse releases what fork made in vain.
func (c *Cache) refuse(r Resident, err error) error {
	if err == nil {
		c.unlocked(r.Release)
	}
	return err
}

// unlocked calls a function that may take its time.
func (c *Cache) unlocked(f func()) {
	c.mu.Unlock()
	defer c.mu.Lock()
	f()
}

// moveDown takes a copy off the device, to host memory if it is the only one and there is room.
func (c *Cache) moveDown(e *entry) {
	c.index.pin(e)
	r := e.resident
	e.resident = nil // from here on nobody gets it
	var state []float32
	bytes := c.format.fileBytes(e.node.Depth(), len(e.Sampler))
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
