package gpu

// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"unsafe"

	vk "github.com/vulkan-go/vulkan"
)

// Memory says where a buffer lives.
type Memory uint8

// Kinds of memory. On devices that share the host's memory all three may be one.
const (
	DeviceLocal Memory = iota // fastest for the device; Bytes is nil, on every device
	Upload                    // host visible, for writing by the host
	Readback                  // host visible, cached where possible, for reading by the host
)

func (m Memory) String() string { return [...]string{"device-local", "upload", "readback"}[m] }

// VkMemoryPropertyFlagBits.
const (
	memLocal    = 1
	memVisible  = 2
	memCoherent = 4
	memCached   = 8
)

type memoryTypes struct {
	types []struct{ flags, heap uint32 }
	heaps []memoryHeap
}

type memoryHeap struct {
	size, budget, usage uint64
	local               bool
}

func (in *Instance) memory(p *physical) (m memoryTypes) {
	var c C.rg_memory
	C.rg_memory_query(in.gipa, in.inst, p.handle, C.int(p.caps.ext_budget), &c)
	for i := range c.types {
		m.types = append(m.types, struct{ flags, heap uint32 }{uint32(c.type_flags[i]), uint32(c.type_heap[i])})
	}
	for i := range c.heaps {
		m.heaps = append(m.heaps, memoryHeap{uint64(c.heap_size[i]), uint64(c.heap_budget[i]), uint64(c.heap_usage[i]), c.heap_local[i] != 0})
	}
	return m
}

// local returns the largest device-local heap. Weights go there.
func (m memoryTypes) local() (h memoryHeap) {
	for _, x := range m.heaps {
		if x.local && x.size > h.size {
			h = x
		}
	}
	return h
}

func (m memoryTypes) localSize() uint64   { return m.local().size }
func (m memoryTypes) localBudget() uint64 { return m.local().budget }

// localUse returns what the driver says of the largest device-local heap. ok is false if the driver says nothing. A
// budget of 0 counts as nothing, since Vulkan does not allow it.
func (m memoryTypes) localUse() (used, budget uint64, ok bool) {
	h := m.local()
	return h.usage, h.budget, h.budget > 0
}

func (m memoryTypes) largestHeap() int {
	var n uint64
	for _, h := range m.heaps {
		n = max(n, h.size)
	}
	return clampInt(n)
}

// candidates lists the memory types of kind among those that mask allows, best first. shared reports whether device and
// host use the same memory, so that mapping device-local memory costs nothing. Mapped memory is always coherent: every
// device has such a type, and no flush is ever needed.
func (m memoryTypes) candidates(kind Memory, mask uint32, shared bool) []int {
	const mapped = memVisible | memCoherent
	var (
		wish []uint32 // each: all these flags
		out  []int
		seen uint32
	)
	switch kind {
	case DeviceLocal:
		if shared {
			wish = []uint32{memLocal | mapped | memCached, memLocal | mapped}
		}
		wish = append(wish, memLocal)
	case Upload:
		wish = []uint32{mapped}
		if !shared { // leave the small window into device memory to the device
			for i, t := range m.types {
				if mask>>i&1 != 0 && t.flags&(mapped|memLocal) == mapped && t.flags&^0xf == 0 {
					out, seen = append(out, i), seen|1<<i
				}
			}
		}
	case Readback:
		wish = []uint32{mapped | memCached, mapped}
	}
	for _, want := range wish {
		for i, t := range m.types {
			if mask>>i&1 != 0 && t.flags&want == want && seen>>i&1 == 0 && t.flags&^0xf == 0 {
				out = append(out, i)
				seen |= 1 << i
			}
		}
	}
	return out
}

// block is one allocation of device memory, mapped for good where the host can see it.
type block struct {
	memory vk.DeviceMemory
	typ    int
	mapped unsafe.Pointer
	arena  arena
	own    bool // serves a single buffer
}

// place is where a buffer lies.
type place struct {
	block     *block
	off, size int
}

// Blocks double from the smallest, so that small uses take little memory.
const (
	smallestBlock = 16 << 20
	largestBlock  = 256 << 20
)

// allocate finds size bytes for a buffer. The caller holds d.mu.
func (d *Device) allocate(size, align int, kind Memory, mask uint32) (place, error) {
	types := d.memory.candidates(kind, mask, d.shared)
	err := error(&Error{Call: "vkAllocateMemory", Result: resultFeatureMissing})
	for _, typ := range types {
		for _, b := range d.blocks {
			if b.typ != typ || b.own {
				continue
			}
			if off, ok := b.arena.alloc(size, align); ok {
				return place{b, off, size}, nil
			}
		}
		var b *block
		want := d.nextBlock(typ)
		if 2*size <= want {
			if b, err = d.newBlock(typ, want); err != nil && !errors.Is(err, ErrOutOfMemory) {
				return place{}, err
			}
		}
		if b == nil {
			if b, err = d.newBlock(typ, size); err != nil {
				if errors.Is(err, ErrOutOfMemory) {
					continue
				}
				return place{}, err
			}
			b.own = true
		}
		off, _ := b.arena.alloc(size, align)
		return place{b, off, size}, nil
	}
	return place{}, err
}

func (d *Device) nextBlock(typ int) int {
	total := 0
	for _, b := range d.blocks {
		if b.typ == typ && !b.own {
			total += b.arena.size
		}
	}
	limit := max(smallestBlock, clampInt(d.memory.heaps[d.memory.types[typ].heap].size/16))
	return min(max(smallestBlock, total), largestBlock, limit, d.info.Limits.MaxAllocationSize)
}

func (d *Device) newBlock(typ, size int) (*block, error) {
	if heap := d.memory.heaps[d.memory.types[typ].heap]; uint64(size) > heap.size {
		return nil, &Error{Call: "vkAllocateMemory", Result: resultOutOfDeviceMemory}
	}
	if len(d.blocks) >= d.info.Limits.MaxAllocationCount {
		return nil, &Error{Call: "vkAllocateMemory", Result: resultTooManyObjects}
	}
	info := vk.MemoryAllocateInfo{SType: vk.StructureTypeMemoryAllocateInfo, AllocationSize: vk.DeviceSize(size), MemoryTypeIndex: uint32(typ)}
	var mem vk.DeviceMemory
	r := vk.AllocateMemory(d.vk, &info, nil, &mem)
	info.Free()
	if err := check("vkAllocateMemory", int32(r)); err != nil {
		return nil, err
	}
	b := &block{memory: mem, typ: typ, arena: newArena(size)}
	const mapped = memVisible | memCoherent
	if d.memory.types[typ].flags&mapped == mapped {
		var p unsafe.Pointer
		if err := check("vkMapMemory", int32(vk.MapMemory(d.vk, mem, 0, vk.DeviceSize(size), 0, &p))); err != nil {
			vk.FreeMemory(d.vk, mem, nil)
			return nil, err
		}
		if b.mapped = p; d.info.Type == CPU { // it is memory of the process
			advisePages(p, size)
		}
	}
	d.blocks = append(d.blocks, b)
	return b, nil
}

// free gives a place back. One empty block per memory type is kept for the next buffer. The
// caller holds d.mu.
func (d *Device) free(p place) {
	b := p.block
	b.arena.release(p.off, p.size)
	if !b.arena.empty() {
		return
	}
	if !b.own {
		spare := false
		for _, o := range d.blocks {
			spare = spare || o != b && o.typ == b.typ && !o.own && o.arena.empty()
		}
		if !spare {
			return
		}
	}
	d.freeBlock(b)
}

func (d *Device) freeBlock(b *block) {
	for i, o := range d.blocks {
		if o == b {
			d.blocks = append(d.blocks[:i], d.blocks[i+1:]...)
			break
		}
	}
	vk.FreeMemory(d.vk, b.memory, nil) // unmaps
}

// MemoryInUse returns the bytes that live buffers take, and the bytes taken from the driver
// to hold them.
func (d *Device) MemoryInUse() (buffers, blocks int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.memoryInUse()
}

func (d *Device) memoryInUse() (buffers, blocks int) {
	for b := range d.buffers {
		buffers += b.place.size
	}
	for _, b := range d.blocks {
		blocks += b.arena.size
	}
	return buffers, blocks
}

// MemoryBudget returns how many bytes of the device-local heap this process uses and may use now, as the driver sees
// it. ok is false if the driver does not say.
func (d *Device) MemoryBudget() (used, budget uint64, ok bool) {
	if !d.info.Features.MemoryBudget {
		return 0, 0, false
	}
	return d.in.memory(d.phys).localUse()
}

// memoryState returns what an out-of-memory error should say of the memory. The caller holds d.mu.
func (d *Device) memoryState() string {
	buffers, blocks := d.memoryInUse()
	s := fmt.Sprintf("in use %s in %s of blocks", sizeString(uint64(buffers)), sizeString(uint64(blocks)))
	if used, budget, ok := d.MemoryBudget(); ok {
		return s + fmt.Sprintf("; device memory used %s of a budget of %s", sizeString(used), sizeString(budget))
	}
	return s + "; device memory " + sizeString(d.memory.localSize()) + ", no budget known"
}

func sizeString(n uint64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	if n < 1<<20 {
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	if n < 1<<30 {
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}
