package statecache

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"

	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache/radix"
)

// Options say what a cache may hold.
type Options struct {
	Size   int   // elements of a state, float32 each
	Device int64 // bytes of states on the device; 0 for none
	Host   int64 // bytes of checkpoints in host memory
	Disk   int64 // bytes of files in Dir; 0 for none
	Dir    string
	// Identity is everything that the numbers of a state depend on besides the ids: the model with its LoRAs, and where
	// results shall be exact also how they are computed. A cache finds no file of another identity.
	Identity string
}

// Cache holds checkpoints. Its methods, and those of what it hands out, are safe for concurrent use. Functions that it is
// given are called in the caller's goroutine, with no lock held.
type Cache struct {
	format format
	writer writer

	mu    sync.Mutex
	index index
}

// Stats counts what a cache did. Bytes are those in use.
type Stats struct {
	Device, Host, Disk int64 // bytes
	Checkpoints        int
	Hits, Misses       int   // of Find
	Tokens             int64 // that hits saved
	Thinned            int   // checkpoints that a longer text made dispensable
	Evicted            int   // checkpoints that went for lack of room
	Broken             int   // files that were not what they should be, and were removed
}

// spaceKey is a namespace; the root of a tree, and in files, it stands for the name.
type spaceKey [sha256.Size]byte

// Space is one namespace of a cache, say that of one user's key.
type Space struct {
	c   *Cache
	key spaceKey
}

// Open returns a cache with what files of the same identity hold. Files that are broken are removed, files of other
// identities and names are left alone. An error says that the folder cannot be used or an option is impossible.
func Open(o Options) (*Cache, error) {
	switch {
	case o.Size <= 0:
		return nil, fmt.Errorf("statecache: Size: want at least 1 element, got %d", o.Size)
	case o.Size > maxState:
		return nil, fmt.Errorf("statecache: Size: want at most %d elements, got %d", maxState, o.Size)
	case o.Host < 0 || o.Device < 0 || o.Disk < 0:
		return nil, fmt.Errorf("statecache: want budgets of at least 0 bytes, got device %d, host %d, disk %d", o.Device, o.Host, o.Disk)
	case o.Disk > 0 && o.Dir == "":
		return nil, errors.New("statecache: Dir: want a folder for the files, got none")
	}
	c := &Cache{
		format: format{o.Dir, identityOf(o), o.Size},
		index:  index{size: o.Size, trees: map[spaceKey]*radix.Tree[entry]{}},
	}
	for t, limit := range [tiers]int64{device: o.Device, host: o.Host, onDisk: o.Disk} {
		c.index.tiers[t].limit = limit
	}
	c.writer.init(c)
	if o.Disk > 0 {
		if err := c.writer.open(); err != nil {
			return nil, err
		}
		go c.writer.run()
	} else {
		close(c.writer.ended)
	}
	return c, nil
}

// Close ends the cache: what is in host memory is written first, unless ctx ends before; copies on the device are released.
// It fails with the first error of a file that could not be written since the cache was opened.
func (c *Cache) Close(ctx context.Context) error {
	err := c.Sync(ctx)
	c.mu.Lock()
	if c.index.closed {
		c.mu.Unlock()
		return err
	}
	c.index.closed = true
	if ctx.Err() == nil {
		c.writer.date()
	}
	c.writer.wake.Broadcast()
	c.writer.rest.Broadcast()
	var residents []Resident
	for _, t := range c.index.trees {
		t.All(func(n *radix.Node[entry]) {
			if r := n.Value.resident; r != nil {
				residents = append(residents, r)
			}
		})
	}
	clear(c.index.trees)
	c.index.tiers = [tiers]tier{}
	c.index.free = nil
	c.mu.Unlock()
	for _, r := range residents {
		r.Release()
	}
	<-c.writer.ended
	return err
}

// Sync waits until everything that shall be on disk is there, or ctx ends. It fails with the first error of a file that could
// not be written since the cache was opened.
func (c *Cache) Sync(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.writer.rest.Broadcast()
	})
	defer stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.index.closed && c.writer.working() && ctx.Err() == nil {
		c.writer.rest.Wait()
	}
	return errors.Join(c.writer.err, ctx.Err())
}

// Space returns the namespace of a name.
func (c *Cache) Space(name string) *Space {
	return &Space{c, sha256.Sum256([]byte(name))}
}

// Stats returns the counts so far.
func (c *Cache) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.index.stats
	s.Device, s.Host, s.Disk = c.index.tiers[device].used, c.index.tiers[host].used, c.index.tiers[onDisk].used
	return s
}
