package gpu

import (
	"fmt"
	"unsafe"

	vk "github.com/vulkan-go/vulkan"
)

// A Buffer is a piece of device memory that kernels and copies can use. Buffers never overlap.
type Buffer struct {
	name  string
	size  int
	kind  Memory
	dev   *Device
	vk    vk.Buffer
	place place
	host  []byte // mapped memory, nil if the host cannot see it

	behind []byte // poison

	// Guarded by dev.mu.
	refs     int // Commands and Recordings that use it
	released bool
	views    map[viewKey]vk.BufferView
}

// viewKey names a texel view of a buffer.
type viewKey struct {
	offset, size int
	format       Format
}

// A Range is a part of a buffer in bytes.
type Range struct {
	Buffer       *Buffer
	Offset, Size int
}

// VK_BUFFER_USAGE bits: transfer source and destination, uniform texel, storage.
const bufferUsage = 0x1 | 0x2 | 0x4 | 0x20

// NewBuffer makes a buffer of size bytes; its content is undefined. The name appears in errors.
// Errors match ErrOutOfMemory if there is not enough memory or the device allows no buffer of
// that size (Limits.MaxAllocationSize), and say what was wanted, in use and allowed.
func (d *Device) NewBuffer(name string, size int, mem Memory) (*Buffer, error) {
	if size <= 0 {
		return nil, fmt.Errorf("vulkan: buffer %q: size %d, want at least 1 byte", name, size)
	}
	if mem > Readback {
		return nil, fmt.Errorf("vulkan: buffer %q: unknown memory kind %d", name, mem)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, fmt.Errorf("vulkan: buffer %q: %w", name, ErrClosed)
	}
	if err := d.failure(); err != nil {
		return nil, err
	}
	if m := d.info.Limits.MaxAllocationSize; size > m {
		return nil, fmt.Errorf("vulkan: buffer %q: %w: %s wanted, the device allows %s in one buffer; %s", name, ErrOutOfMemory,
			sizeString(uint64(size)), sizeString(uint64(m)), d.memoryState())
	}
	b := &Buffer{name: name, size: size, kind: mem, dev: d}
	if err := b.create(); err != nil {
		return nil, err
	}
	d.buffers[b] = struct{}{}
	return b, nil
}

func (b *Buffer) create() error {
	d := b.dev
	size := b.size + d.opts.Poison
	info := vk.BufferCreateInfo{SType: vk.StructureTypeBufferCreateInfo, Size: vk.DeviceSize(size), Usage: bufferUsage}
	var buf vk.Buffer
	r := vk.CreateBuffer(d.vk, &info, nil, &buf)
	info.Free()
	if err := check("vkCreateBuffer", int32(r)); err != nil {
		return fmt.Errorf("vulkan: buffer %q of %s: %w", b.name, sizeString(uint64(b.size)), err)
	}
	var req vk.MemoryRequirements
	vk.GetBufferMemoryRequirements(d.vk, buf, &req)
	req.Deref()
	defer req.Free()
	p, err := d.allocate(int(req.Size), int(req.Alignment), b.kind, req.MemoryTypeBits)
	if err != nil {
		vk.DestroyBuffer(d.vk, buf, nil)
		return fmt.Errorf("vulkan: buffer %q: %s of %s memory wanted; %s: %w", b.name, sizeString(uint64(b.size)), b.kind, d.memoryState(), err)
	}
	if err := check("vkBindBufferMemory", int32(vk.BindBufferMemory(d.vk, buf, p.block.memory, vk.DeviceSize(p.off)))); err != nil {
		vk.DestroyBuffer(d.vk, buf, nil)
		d.free(p)
		return fmt.Errorf("vulkan: buffer %q: %w", b.name, err)
	}
	b.vk, b.place = buf, p
	if p.block.mapped != nil {
		host := unsafe.Slice((*byte)(unsafe.Add(p.block.mapped, p.off)), size)
		for i := range host[b.size:] {
			host[b.size+i] = 0xff
		}
		b.host, b.behind = host[:b.size:b.size], host[b.size:]
	} else if d.opts.Poison > 0 {
		vk.DestroyBuffer(d.vk, buf, nil)
		d.free(p)
		return fmt.Errorf("vulkan: buffer %q: the host does not see the memory, and cannot poison what is behind it", b.name)
	}
	return nil
}

// Name returns the name given to NewBuffer.
func (b *Buffer) Name() string { return b.name }

// Size returns the size in bytes.
func (b *Buffer) Size() int { return b.size }

// Bytes returns the mapped memory of an Upload or Readback buffer, nil for DeviceLocal. The device sees after Submit
// what the host wrote before it; the host sees after Wait what the device wrote. The slice must not be used after
// Release.
func (b *Buffer) Bytes() []byte {
	if b.kind == DeviceLocal {
		return nil
	}
	return b.host
}

// Range returns the size bytes from off. It is checked where it is used.
func (b *Buffer) Range(off, size int) Range { return Range{b, off, size} }

// All returns the whole buffer.
func (b *Buffer) All() Range { return Range{b, 0, b.size} }

// Release gives the buffer back. Commands that use it keep its memory alive, but nothing new can use the buffer.
func (b *Buffer) Release() {
	if b == nil {
		return
	}
	b.dev.mu.Lock()
	defer b.dev.mu.Unlock()
	if b.released {
		return
	}
	b.released = true
	if b.refs == 0 {
		b.destroy()
	}
}

// destroy frees everything. The caller holds dev.mu.
func (b *Buffer) destroy() {
	b.released = true // also when Device.Close does it
	delete(b.dev.buffers, b)
	if b.dev.hung() {
		return
	}
	for i, p := range b.behind {
		if p != 0xff {
			b.dev.in.message(Fault, fmt.Sprintf("buffer %q of %d bytes was written at byte %d", b.name, b.size, b.size+i))
			break
		}
	}
	for _, v := range b.views {
		vk.DestroyBufferView(b.dev.vk, v, nil)
	}
	vk.DestroyBuffer(b.dev.vk, b.vk, nil)
	b.dev.free(b.place)
	b.views, b.host, b.behind = nil, nil, nil
}

// retain and unretain count the recordings that use the buffer. The caller holds dev.mu.
func (b *Buffer) retain() { b.refs++ }

func (b *Buffer) unretain() {
	b.refs--
	if b.refs == 0 && b.released {
		b.destroy()
	}
}

// bound returns how many bytes a binding sees of a range: those of the range, or all bytes behind them too if
// DeviceOptions.Poison is set.
func (d *Device) bound(a Range, b *Binding) int {
	if d.opts.Poison == 0 {
		return a.Size
	}
	l, size := d.info.Limits, a.Buffer.size+d.opts.Poison-a.Offset
	if b.Kind == UniformTexel {
		texel := b.Format.Bytes()
		return min(size/texel, l.MaxTexelBufferElements) * texel
	}
	return min(size, l.MaxStorageBufferRange)
}

// view returns the texel view of a range. The caller holds dev.mu.
func (b *Buffer) view(off, size int, f Format) (vk.BufferView, error) {
	key := viewKey{off, size, f}
	if v, ok := b.views[key]; ok {
		return v, nil
	}
	info := vk.BufferViewCreateInfo{SType: vk.StructureTypeBufferViewCreateInfo, Buffer: b.vk, Format: vk.Format(f.vk()),
		Offset: vk.DeviceSize(off), Range: vk.DeviceSize(size)}
	var v vk.BufferView
	r := vk.CreateBufferView(b.dev.vk, &info, nil, &v)
	info.Free()
	if err := check("vkCreateBufferView", int32(r)); err != nil {
		return v, err
	}
	if b.views == nil {
		b.views = map[viewKey]vk.BufferView{}
	}
	b.views[key] = v
	return v, nil
}

// within checks that the range lies in a live buffer of device d.
func (r Range) within(d *Device) error {
	switch {
	case r.Buffer == nil:
		return fmt.Errorf("no buffer")
	case r.Buffer.dev != d:
		return fmt.Errorf("buffer %q belongs to another device", r.Buffer.name)
	case r.Buffer.released:
		return fmt.Errorf("buffer %q is released", r.Buffer.name)
	case r.Size <= 0 || r.Offset < 0 || r.Size > r.Buffer.size || r.Offset > r.Buffer.size-r.Size:
		return fmt.Errorf("range [%d, +%d) is not within buffer %q of %d bytes", r.Offset, r.Size, r.Buffer.name, r.Buffer.size)
	}
	return nil
}

func bits[T any](handle T) uint64 { return *(*uint64)(unsafe.Pointer(&handle)) }
