package gpu

// #include "shim.h"
import "C"

import (
	"fmt"
	"sync/atomic"
	"time"
	"unsafe"

	vk "github.com/vulkan-go/vulkan"
)

// MaxTimestamps is the number of timestamp slots of a recording.
const MaxTimestamps = 1024

// Stats counts what a recording holds.
type Stats struct {
	Dispatches, Copies, Barriers, Sets int
}

// recorded is what Recording.End makes and Commands runs: a command buffer and all it refers to.
type recorded struct {
	dev     *Device
	name    string
	number  int64
	pool    C.uint64_t
	cmd     unsafe.Pointer
	fence   C.uint64_t
	pools   []C.uint64_t // descriptor sets
	queries vk.QueryPool
	timed   bool
	slots   int  // one more than the highest slot written
	zero    bool // slot 0 is
	stats   Stats

	released bool // reports whether only the device keeps it, since it may be under way

	expected time.Duration // see Recording.Expect
	fresh    int           // kernels that no recording used before

	buffers map[*Buffer]struct{}
	kernels map[*Kernel]struct{}
}

var recordings atomic.Int64

func newRecorded(rec *Recording) *recorded {
	return &recorded{dev: rec.dev, name: rec.name, number: recordings.Add(1), stats: rec.stats, expected: rec.expected,
		buffers: map[*Buffer]struct{}{}, kernels: map[*Kernel]struct{}{}}
}

func (r *recorded) begin() error {
	d := r.dev
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return ErrClosed
	}
	if err := d.failure(); err != nil {
		return err
	}
	var pool, fence C.uint64_t
	var cmd unsafe.Pointer
	if e := C.rg_cmd_create(d.c, &pool, &cmd); e != 0 {
		return check("vkCreateCommandPool", int32(e))
	}
	r.pool, r.cmd = pool, cmd
	d.commands[r] = struct{}{}
	if e := C.rg_fence(d.c, &fence); e != 0 {
		return check("vkCreateFence", int32(e))
	}
	r.fence = fence
	return check("vkBeginCommandBuffer", int32(C.rg_cmd_begin(d.c, cmd, 0)))
}

func (r *recorded) describe() string {
	if r.name != "" {
		return r.name
	}
	return fmt.Sprintf("commands %d (%d dispatches)", r.number, r.stats.Dispatches)
}

// The caller of these methods holds dev.mu.

func (r *recorded) useBuffer(b *Buffer) {
	if _, ok := r.buffers[b]; !ok {
		r.buffers[b] = struct{}{}
		b.retain()
	}
}

func (r *recorded) useKernel(k *Kernel) {
	if _, ok := r.kernels[k]; !ok {
		r.kernels[k] = struct{}{}
		k.refs++
		if !k.used {
			k.used, r.fresh = true, r.fresh+1
		}
	}
}

func (r *recorded) destroy() {
	d := r.dev
	if _, ok := d.commands[r]; !ok {
		return
	}
	delete(d.commands, r)
	if d.hung() {
		return
	}
	C.rg_cmd_destroy(d.c, r.pool)
	if r.fence != 0 {
		C.rg_fence_destroy(d.c, r.fence)
	}
	for _, p := range r.pools {
		C.rg_set_pool_destroy(d.c, p)
	}
	if r.timed {
		vk.DestroyQueryPool(d.vk, r.queries, nil)
	}
	for b := range r.buffers {
		b.unretain()
	}
	for k := range r.kernels {
		k.unretain()
	}
	r.buffers, r.kernels, r.pools = nil, nil, nil
}

func (r *recorded) timestamp(slot int) error {
	if !r.timed {
		info := vk.QueryPoolCreateInfo{SType: vk.StructureTypeQueryPoolCreateInfo, QueryType: vk.QueryTypeTimestamp, QueryCount: MaxTimestamps}
		var pool vk.QueryPool
		res := vk.CreateQueryPool(r.dev.vk, &info, nil, &pool)
		info.Free()
		if err := check("vkCreateQueryPool", int32(res)); err != nil {
			return err
		}
		r.queries, r.timed = pool, true
		C.rg_cmd_reset_queries(r.dev.c, r.cmd, C.uint64_t(bits(pool)), MaxTimestamps)
	}
	C.rg_cmd_timestamp(r.dev.c, r.cmd, C.uint64_t(bits(r.queries)), C.uint32_t(slot))
	r.slots, r.zero = max(r.slots, slot+1), r.zero || slot == 0
	return nil
}
