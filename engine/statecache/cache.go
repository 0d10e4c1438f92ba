package statecache

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"

	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache/folder"
	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache/radix"
)

// Options size a cache.
type Options struct {
	Size int   // elements of a state, float32 each
	Host int64 // bytes of checkpoints in host memory; 0 for none
	Disk int64 // bytes of files in Dir; 0 for none. Their ids are in memory besides, 4 bytes each.
	Dir  string
	// Identity names everything besides the ids that the numbers of a state depend on: the model with its LoRAs and, if
	// results shall be exact, the way they are computed. A cache uses no file of another identity.
	Identity string
}

// Cache holds checkpoints. The methods of Cache, Space, Draft and Hit are safe for concurrent use. They call functions
// of the caller, such as a tokenizer, in the goroutine of the caller and without a lock.
type Cache struct {
	folder *folder.Folder
	writer writer

	mu    sync.Mutex
	index index
}

// Stats counts the contents of a cache and its work since Open.
type Stats struct {
	Host, Disk   int64 // bytes in use
	Checkpoints  int   // held, with at least one copy each
	Hits, Misses int   // calls of Find
	Tokens       int64 // sum of Hit.Tokens
	Thinned      int   // checkpoints given up by the rule of Plan
	Evicted      int   // checkpoints given up for lack of room
	Broken       int   // broken files, which were removed
}

// spaceKey stands for the name of a namespace, also in files.
type spaceKey = folder.Digest

// Space is one namespace of a cache, such as that of one user.
type Space struct {
	c   *Cache
	key spaceKey
}

// Open returns a cache that begins with the files of its identity in Dir. It removes broken files of that identity, and
// leaves files of other identities and other names alone. It fails if an option is impossible or the folder cannot be
// used.
func Open(o Options) (*Cache, error) {
	switch {
	case o.Size <= 0:
		return nil, fmt.Errorf("statecache: Size: want at least 1 element, got %d", o.Size)
	case o.Size > folder.MaxState:
		return nil, fmt.Errorf("statecache: Size: want at most %d elements, got %d", folder.MaxState, o.Size)
	case o.Host < 0 || o.Disk < 0:
		return nil, fmt.Errorf("statecache: want budgets of at least 0 bytes, got host %d, disk %d", o.Host, o.Disk)
	case o.Disk > 0 && o.Dir == "":
		return nil, errors.New("statecache: Dir: want a folder for the files, got none")
	}
	c := &Cache{
		folder: folder.New(o.Dir, o.Identity, o.Size),
		index:  index{size: o.Size, trees: map[spaceKey]*radix.Tree[entry]{}},
	}
	for t, limit := range [tiers]int64{host: o.Host, onDisk: o.Disk} {
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

// Close ends the cache. It first waits, like Sync, until the files are written or ctx ends. Its error is that of Sync.
func (c *Cache) Close(ctx context.Context) error {
	err := c.Sync(ctx)
	c.mu.Lock()
	if c.index.closed {
		c.mu.Unlock()
		return err
	}
	c.index.closed = true
	c.writer.wake.Broadcast()
	c.writer.rest.Broadcast()
	clear(c.index.trees)
	c.index.tiers = [tiers]tier{}
	c.index.free = nil
	c.mu.Unlock()
	<-c.writer.ended
	return err
}

// Sync waits until all files are written and removed as they should be, or ctx ends. It returns the first error of
// writing since Open, and that of ctx.
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
	s.Host, s.Disk = c.index.tiers[host].used, c.index.tiers[onDisk].used
	return s
}
