package statecache

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache/folder"
)

// writer writes and removes the files of a cache, in one goroutine. It has the lock of the cache.
type writer struct {
	c       *Cache
	index   *index
	folder  *folder.Folder
	queue   []*entry          // entries to write
	garbage []string          // names of files to remove
	known   map[string]*entry // by the name of the file, also while it is written
	busy    bool              // reports whether the goroutine is at work
	err     error             // the first error of writing
	wake    *sync.Cond        // there is something to do, or the cache is closed
	rest    *sync.Cond        // there is nothing to do
	ended   chan struct{}     // closed at the end of the goroutine
	buf     []byte            // the file that is written
}

func (w *writer) init(c *Cache) {
	*w = writer{
		c: c, index: &c.index, folder: c.folder, known: map[string]*entry{},
		wake: sync.NewCond(&c.mu), rest: sync.NewCond(&c.mu), ended: make(chan struct{}),
	}
	w.index.discard = w.discard
}

// enqueue orders the writing of an entry in host memory.
func (w *writer) enqueue(e *entry) {
	if w.index.tiers[onDisk].limit > 0 && !e.queued && e.file == "" {
		e.queued = true
		w.queue = append(w.queue, e)
		w.wake.Signal()
	}
}

// discard orders the removal of a file.
func (w *writer) discard(name string) {
	delete(w.known, name)
	w.garbage = append(w.garbage, name)
	w.wake.Signal()
}

func (w *writer) working() bool {
	return w.busy || len(w.queue) > 0 || len(w.garbage) > 0
}

// run is the goroutine.
func (w *writer) run() {
	defer close(w.ended)
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	for {
		for !w.index.closed && !w.working() {
			w.wake.Wait()
		}
		if w.index.closed {
			return
		}
		w.busy = true
		w.removeGarbage()
		if len(w.queue) > 0 {
			e := w.queue[0]
			w.queue = w.queue[1:]
			e.queued = false
			if !e.gone() && e.state != nil && e.file == "" {
				w.writeEntry(e)
			}
		}
		w.busy = false
		if !w.working() || w.index.closed {
			w.rest.Broadcast()
		}
	}
}

func (w *writer) removeGarbage() {
	garbage := w.garbage
	w.c.unlocked(func() {
		for _, name := range garbage {
			w.folder.Remove(name)
		}
	})
	w.garbage = w.garbage[len(garbage):]
}

// writeEntry writes the file of an entry. It looks at the folder first, since other processes may use it, and makes
// room.
func (w *writer) writeEntry(e *entry) {
	w.index.pin(e)
	w.c.unlocked(func() { _ = w.scan() }) // an error of the folder shows when the file is written
	bytes := w.folder.Bytes(e.node.Depth(), len(e.Sampler))
	if w.index.closed || e.file != "" || !w.index.room(onDisk, bytes) {
		w.index.unpin(e)
		return
	}
	w.removeGarbage()
	if w.index.closed {
		return
	}
	h := folder.Header{Space: e.space, IDs: e.node.IDs(), Kind: uint8(e.Kind), Pending: e.Pending, Sampler: e.Sampler}
	name := w.folder.Name(h.Space, h.IDs)
	w.known[name] = e
	var err error
	w.c.unlocked(func() { w.buf, err = w.folder.Write(h, e.state, w.buf) })
	switch {
	case w.index.closed:
		return
	case err != nil:
		delete(w.known, name)
		w.index.tiers[onDisk].used -= bytes
		if w.err == nil {
			w.err = err
		}
	default:
		e.file = name
		w.index.hold(e, onDisk, bytes)
	}
	w.index.unpin(e)
}

// date sets the times of files in the order of their last uses. The next cache that opens the folder goes by them.
func (w *writer) date() {
	used := slices.DeleteFunc(slices.Collect(maps.Values(w.known)), func(e *entry) bool { return e.file == "" })
	slices.SortFunc(used, func(a, b *entry) int { return cmp.Compare(a.copies[onDisk].turn, b.copies[onDisk].turn) })
	names := make([]string, len(used))
	for i, e := range used {
		names[i] = e.file
	}
	w.folder.Date(names)
}

// open makes the folder and adopts the files in it.
func (w *writer) open() error {
	if err := w.folder.Make(); err != nil {
		return err
	}
	return w.scan()
}

// scan notes which files of the folder came and went. Other processes may use it too.
func (w *writer) scan() error {
	there, err := w.folder.Names()
	if err != nil {
		return err
	}
	w.c.mu.Lock()
	for name, e := range w.known {
		if !there[name] && e.file == name && e.pins == 0 {
			w.index.drop(e, onDisk)
		}
		delete(there, name)
	}
	for _, name := range w.garbage {
		delete(there, name)
	}
	w.c.mu.Unlock()
	var fresh []folder.File
	for name := range there {
		if f, ok := w.look(name); ok {
			fresh = append(fresh, f)
		}
	}
	slices.SortFunc(fresh, func(a, b folder.File) int { return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Name, b.Name)) })
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	for _, f := range fresh {
		w.adopt(f)
	}
	return nil
}

// look reads the header of a file. One that is not what its name says is gone then. A file that cannot be read now is
// left for the next scan.
func (w *writer) look(name string) (f folder.File, ok bool) {
	f, err := w.folder.Look(name)
	if errors.Is(err, folder.ErrBroken) {
		w.c.mu.Lock()
		w.index.stats.Broken++
		w.c.mu.Unlock()
	}
	return f, err == nil
}

// adopt makes a copy of a file that was found.
func (w *writer) adopt(f folder.File) {
	e := w.index.at(f.Space, f.IDs)
	if w.index.closed || e != nil && e.copies[onDisk].there || slices.Contains(w.garbage, f.Name) {
		return
	}
	if e != nil {
		w.index.pin(e)
		defer w.index.unpin(e)
	}
	if !w.index.room(onDisk, f.Size) {
		w.discard(f.Name)
		return
	}
	if e == nil {
		e = w.index.insert(f.Space, f.IDs, Meta{min(Kind(f.Kind), Anchor), f.Pending, f.Sampler})
	}
	e.file = f.Name
	w.known[f.Name] = e
	w.index.hold(e, onDisk, f.Size)
}
