package statecache

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache/folder"
)

// writer writes and removes the files of a cache, in one goroutine. It has the lock of the cache.
type writer struct {
	c       *Cache
	index   *index
	folder  *folder.Folder
	queue   []*entry          // entries to write
	garbage []file            // to remove
	touched []*entry          // whose files were used
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

// file is a file by its name, and its last use that is known.
type file struct {
	name string
	used time.Time
}

// discard orders the removal of an entry's file.
func (w *writer) discard(e *entry) { w.remove(file{e.file, e.used}) }

func (w *writer) remove(f file) {
	delete(w.known, f.name)
	w.garbage = append(w.garbage, f)
	w.wake.Signal()
}

// leaving reports whether a file is to be removed.
func (w *writer) leaving(name string) bool {
	return slices.ContainsFunc(w.garbage, func(f file) bool { return f.name == name })
}

// touch has other processes told that the file of an entry is used, if there is one.
func (w *writer) touch(e *entry) {
	if e.file != "" && !e.touched {
		e.touched = true
		w.touched = append(w.touched, e)
		w.wake.Signal()
	}
}

func (w *writer) working() bool {
	return w.busy || len(w.queue) > 0 || len(w.garbage) > 0 || len(w.touched) > 0
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
		w.tell()
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
		for _, f := range garbage {
			w.folder.Remove(f.name, f.used)
		}
	})
	w.garbage = w.garbage[len(garbage):]
}

// tell tells other processes which files were used.
func (w *writer) tell() {
	for len(w.touched) > 0 && !w.index.closed {
		e := w.touched[0]
		w.touched, e.touched = w.touched[1:], false
		if name := e.file; name != "" {
			var at time.Time
			w.c.unlocked(func() { at = w.folder.Touch(name) })
			if e.file == name {
				e.used = at
			}
		}
	}
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
	var at time.Time
	w.c.unlocked(func() { w.buf, at, err = w.folder.Write(h, e.state, w.buf) })
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
		e.file, e.used = name, at
		w.index.hold(e, onDisk, bytes)
	}
	w.index.unpin(e)
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
	for _, f := range w.garbage {
		delete(there, f.name)
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
	if w.index.closed || e != nil && e.copies[onDisk].there || w.leaving(f.Name) {
		return
	}
	if e != nil {
		w.index.pin(e)
		defer w.index.unpin(e)
	}
	if !w.index.room(onDisk, f.Size) {
		w.remove(file{f.Name, f.Time})
		return
	}
	if e == nil {
		e = w.index.insert(f.Space, f.IDs, Meta{min(Kind(f.Kind), Anchor), f.Pending, f.Sampler})
	}
	e.file, e.used = f.Name, f.Time
	w.known[f.Name] = e
	w.index.hold(e, onDisk, f.Size)
}
