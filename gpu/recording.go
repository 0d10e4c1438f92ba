package gpu

// #include "shim.h"
import "C"

import (
	"encoding/binary"
	"fmt"
	"time"
	"unsafe"
)

// VkPipelineStageFlagBits.
const (
	stageCompute  = 0x800
	stageTransfer = 0x1000
	stageHost     = 0x4000
)

// A Recording collects commands to be run in order, any number of times. Nothing fails before
// End, which reports all mistakes at once. It is for one goroutine at a time.
//
// Barriers are derived from Binding.Access: a memory barrier stands before a command that
// touches what an earlier one wrote, or writes what an earlier one read. All writes are
// visible to the host after Wait, and to whatever is submitted later on the same device.
type Recording struct {
	r     *recorded
	haz   hazards
	since uint32 // stages used since the last barrier
	errs  faults
	more  int // errors not kept

	kernel *Kernel // bound now
	set    C.uint64_t
	layout int
	sets   map[string]C.uint64_t
	pool   setPool
	ended  bool

	unmade   []*Kernel // at the time of their first use
	later    []func()  // commands, from the first use of one of them on
	key      []byte    // scratch
	args     []C.rg_arg
	accesses []access
}

// NewRecording starts a recording.
func (d *Device) NewRecording() *Recording {
	rec := &Recording{r: newRecorded(d), sets: map[string]C.uint64_t{}, layout: -1}
	if err := rec.r.begin(); err != nil {
		rec.fail("%w", err)
		return rec
	}
	// What was submitted before, on this queue, comes first.
	rec.barrier(0, stageCompute|stageTransfer)
	return rec
}

// SetName names the recording in errors and leak reports: what it does, in words.
func (rec *Recording) SetName(name string) { rec.r.name = name }

// Expect says that what is recorded takes so much time more, as far as is known. It only makes longer how long a wait for
// it may take (see Commands.Wait).
func (rec *Recording) Expect(d time.Duration) { rec.r.expected += d }

// Stats counts what is recorded so far.
func (rec *Recording) Stats() Stats { return rec.r.stats }

const keptErrors = 4

func (rec *Recording) fail(format string, args ...any) {
	if len(rec.errs) == keptErrors {
		rec.more++
		return
	}
	rec.errs = append(rec.errs, fmt.Errorf(format, args...))
}

// ready reports whether commands can still be recorded; after an error they are only checked.
func (rec *Recording) ready() bool {
	if rec.ended {
		panic("gpu: recording used after End")
	}
	return len(rec.errs) == 0
}

// Dispatch runs x*y*z workgroups of k. args follow k's bindings; push holds exactly its push
// constant bytes and is copied. A texel binding sees Size/Format.Bytes() texels from Offset.
func (rec *Recording) Dispatch(k *Kernel, args []Range, push []byte, x, y, z uint32) {
	ok := rec.ready()
	if k == nil {
		rec.fail("dispatch without a kernel")
		return
	}
	d := rec.r.dev
	d.mu.Lock()
	defer d.mu.Unlock()
	before := len(rec.errs) + rec.more
	if rec.checkDispatch(k, args, push, [3]uint32{x, y, z}); len(rec.errs)+rec.more == before {
		rec.checkShared(k, args)
	}
	if !ok || len(rec.errs)+rec.more > before {
		return
	}
	set, err := rec.bindArgs(k, args)
	if err != nil {
		rec.fail("kernel %q: %w", k.name, err)
		return
	}
	rec.r.useKernel(k)
	rec.accesses = rec.accesses[:0]
	for i, a := range args {
		rec.accesses = append(rec.accesses, access{a.Buffer, a.Offset, a.Offset + a.Size, k.bindings[i].Access&Write != 0})
	}
	rec.step(stageCompute)
	rec.await(k)
	bind, bound := k != rec.kernel, set
	if set == rec.set && k.layout.id == rec.layout {
		bound = 0
	}
	rec.kernel, rec.set, rec.layout = k, set, k.layout.id
	if rec.later != nil {
		push = append([]byte(nil), push...)
	}
	rec.emit(func() {
		pipeline := C.uint64_t(0)
		if bind {
			pipeline = k.pipeline
		}
		C.rg_cmd_dispatch(d.c, rec.r.cmd, pipeline, C.uint64_t(k.layout.pipeline), bound, unsafe.Pointer(unsafe.SliceData(push)), C.uint32_t(len(push)),
			C.uint32_t(x), C.uint32_t(y), C.uint32_t(z))
	})
	rec.r.stats.Dispatches++
}

// await puts commands off, from now to the end, if the kernel that comes is not yet made.
func (rec *Recording) await(k *Kernel) {
	select {
	case <-k.made:
		if k.err == nil {
			return
		}
	default:
	}
	rec.unmade = append(rec.unmade, k)
	if rec.later == nil {
		rec.later = []func(){}
	}
}

// emit writes a command to the command buffer, now or at the end.
func (rec *Recording) emit(command func()) {
	if rec.later == nil {
		command()
		return
	}
	rec.later = append(rec.later, command)
}

// finish waits for the kernels and writes what was put off.
func (rec *Recording) finish() {
	for _, k := range rec.unmade {
		if err := k.wait(); err != nil {
			rec.fail("%w", err)
			return
		}
	}
	rec.r.dev.mu.Lock()
	defer rec.r.dev.mu.Unlock()
	for _, command := range rec.later {
		command()
	}
}

// step puts a barrier before a command of this stage with rec.accesses, if it needs one.
func (rec *Recording) step(stage uint32) {
	if rec.haz.step(rec.accesses) {
		rec.r.stats.Barriers++
		rec.barrier(rec.r.stats.Barriers, rec.since)
		rec.since = 0
	}
	rec.since |= stage
}

// barrier lets all that comes wait for what was done in some stages.
func (rec *Recording) barrier(n int, stages uint32) {
	d := rec.r.dev
	if omit := d.opts.OmitBarrier; omit == nil || !omit(n) {
		rec.emit(func() { C.rg_cmd_barrier(d.c, rec.r.cmd, C.uint32_t(stages), stageCompute|stageTransfer) })
	}
}

func (rec *Recording) checkDispatch(k *Kernel, args []Range, push []byte, groups [3]uint32) {
	d := rec.r.dev
	if k.dev != d || k.released {
		rec.fail("kernel %q: released, or of another device", k.name)
		return
	}
	if len(args) != len(k.bindings) {
		rec.fail("kernel %q: %d arguments, it has %d bindings", k.name, len(args), len(k.bindings))
		return
	}
	if len(push) != k.push {
		rec.fail("kernel %q: %d bytes of push constants, it takes %d", k.name, len(push), k.push)
	}
	for i, n := range groups {
		if n == 0 || int64(n) > int64(d.info.Limits.MaxWorkgroupCount[i]) {
			rec.fail("kernel %q: %w", k.name, Unsupportedf("%d groups on axis %c, the device allows 1 to %d", n, "xyz"[i], d.info.Limits.MaxWorkgroupCount[i]))
		}
	}
	for i, a := range args {
		if err := d.checkArg(&k.bindings[i], a); err != nil {
			rec.fail("kernel %q: binding %d %q: %w", k.name, i, k.bindings[i].Name, err)
		}
	}
}

// checkShared wants arguments that share memory, one of which is written, to be declared so in the shader: without that a
// compiler may take them for apart (SPIR-V specification, 2.18.2 "Aliasing").
func (rec *Recording) checkShared(k *Kernel, args []Range) {
	for i, a := range args {
		for j, b := range args[:i] {
			written := (k.bindings[i].Access|k.bindings[j].Access)&Write != 0
			if written && a.Buffer == b.Buffer && a.Offset < b.Offset+b.Size && b.Offset < a.Offset+a.Size && !(k.aliased[i] && k.aliased[j]) {
				rec.fail("kernel %q: bindings %d %q and %d %q share memory, which its shader does not expect (Aliased)",
					k.name, j, k.bindings[j].Name, i, k.bindings[i].Name)
			}
		}
	}
}

func (d *Device) checkArg(b *Binding, a Range) error {
	if err := a.within(d); err != nil {
		return err
	}
	l := &d.info.Limits
	align := l.StorageOffsetAlignment
	if b.Kind == UniformTexel {
		align = l.TexelOffsetAlignment
	}
	if a.Offset%align != 0 {
		return Unsupportedf("offset %d in buffer %q is not a multiple of %d", a.Offset, a.Buffer.name, align)
	}
	if b.Kind == StorageBuffer {
		if a.Size > l.MaxStorageBufferRange {
			return Unsupportedf("%d bytes of buffer %q, the device binds at most %d", a.Size, a.Buffer.name, l.MaxStorageBufferRange)
		}
		return nil
	}
	texel := b.Format.Bytes()
	if a.Size%texel != 0 {
		return fmt.Errorf("%d bytes of buffer %q are no whole number of %s texels", a.Size, a.Buffer.name, b.Format)
	}
	if n := a.Size / texel; n > l.MaxTexelBufferElements {
		return Unsupportedf("%d texels of buffer %q, the device binds at most %d", n, a.Buffer.name, l.MaxTexelBufferElements)
	}
	return nil
}

// bindArgs returns a descriptor set for these ranges, an earlier one where it can. The caller
// holds dev.mu.
func (rec *Recording) bindArgs(k *Kernel, args []Range) (C.uint64_t, error) {
	rec.args = rec.args[:0]
	rec.key = binary.LittleEndian.AppendUint32(rec.key[:0], uint32(k.layout.id))
	for i, a := range args {
		size := a.Buffer.dev.bound(a, &k.bindings[i])
		arg := C.rg_arg{buffer: C.uint64_t(bits(a.Buffer.vk)), offset: C.uint64_t(a.Offset), size: C.uint64_t(size)}
		if k.bindings[i].Kind == UniformTexel {
			v, err := a.Buffer.view(a.Offset, size, k.bindings[i].Format)
			if err != nil {
				return 0, fmt.Errorf("binding %d %q: %w", i, k.bindings[i].Name, err)
			}
			arg.view = C.uint64_t(bits(v))
		}
		rec.args = append(rec.args, arg)
		for _, v := range [...]C.uint64_t{arg.buffer, arg.offset, arg.size, arg.view} {
			rec.key = binary.LittleEndian.AppendUint64(rec.key, uint64(v))
		}
		rec.r.useBuffer(a.Buffer)
	}
	if set, ok := rec.sets[string(rec.key)]; ok {
		return set, nil
	}
	set, err := rec.newSet(k)
	if err == nil {
		rec.sets[string(rec.key)] = set
	}
	return set, err
}

// Copy copies src to dst; both have the same size and do not overlap.
func (rec *Recording) Copy(dst, src Range) {
	ok := rec.ready()
	d := rec.r.dev
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, side := range []struct {
		name string
		r    Range
	}{{"destination", dst}, {"source", src}} {
		if err := side.r.within(d); err != nil {
			rec.fail("copy: %s: %w", side.name, err)
			return
		}
	}
	if dst.Size != src.Size || dst.Buffer == src.Buffer && dst.Offset < src.Offset+src.Size && src.Offset < dst.Offset+dst.Size {
		rec.fail("copy: %d bytes from buffer %q at %d to %d bytes of %q at %d: sizes differ or ranges overlap",
			src.Size, src.Buffer.name, src.Offset, dst.Size, dst.Buffer.name, dst.Offset)
		return
	}
	if !ok {
		return
	}
	rec.transfer(access{src.Buffer, src.Offset, src.Offset + src.Size, false}, access{dst.Buffer, dst.Offset, dst.Offset + dst.Size, true})
	rec.emit(func() {
		C.rg_cmd_copy(d.c, rec.r.cmd, C.uint64_t(bits(src.Buffer.vk)), C.uint64_t(src.Offset), C.uint64_t(bits(dst.Buffer.vk)), C.uint64_t(dst.Offset), C.uint64_t(src.Size))
	})
	rec.r.stats.Copies++
}

// Fill sets every 4 bytes of dst to value; offset and size are multiples of 4.
func (rec *Recording) Fill(dst Range, value uint32) {
	ok := rec.ready()
	d := rec.r.dev
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := dst.within(d); err != nil {
		rec.fail("fill: %w", err)
		return
	}
	if dst.Offset%4 != 0 || dst.Size%4 != 0 {
		rec.fail("fill: range [%d, +%d) of buffer %q is not in multiples of 4", dst.Offset, dst.Size, dst.Buffer.name)
		return
	}
	if !ok {
		return
	}
	rec.transfer(access{dst.Buffer, dst.Offset, dst.Offset + dst.Size, true})
	rec.emit(func() {
		C.rg_cmd_fill(d.c, rec.r.cmd, C.uint64_t(bits(dst.Buffer.vk)), C.uint64_t(dst.Offset), C.uint64_t(dst.Size), C.uint32_t(value))
	})
	rec.r.stats.Copies++
}

func (rec *Recording) transfer(accesses ...access) {
	rec.accesses = append(rec.accesses[:0], accesses...)
	for _, a := range accesses {
		rec.r.useBuffer(a.buf)
	}
	rec.step(stageTransfer)
}

// Timestamp notes the time, in a slot from 0 to MaxTimestamps-1, when everything recorded
// before it is done. On devices without timestamps it does nothing.
func (rec *Recording) Timestamp(slot int) {
	ok := rec.ready()
	if slot < 0 || slot >= MaxTimestamps {
		rec.fail("timestamp slot %d, want 0 to %d", slot, MaxTimestamps-1)
		return
	}
	if !ok || !rec.r.dev.info.Features.Timestamps {
		return
	}
	rec.emit(func() {
		if err := rec.r.timestamp(slot); err != nil {
			rec.fail("timestamp: %w", err)
		}
	})
}

// End finishes the recording. All mistakes made in it come as one error.
func (rec *Recording) End() (*Commands, error) {
	rec.ready()
	rec.ended = true
	r := rec.r
	if len(rec.errs) == 0 {
		rec.finish()
	}
	if len(rec.errs) == 0 {
		C.rg_cmd_barrier(r.dev.c, r.cmd, stageCompute|stageTransfer, stageHost)
		if err := check("vkEndCommandBuffer", int32(C.rg_cmd_end(r.dev.c, r.cmd))); err != nil {
			rec.fail("%w", err)
		}
	}
	if len(rec.errs) > 0 {
		r.dev.mu.Lock()
		r.destroy()
		r.dev.mu.Unlock()
		if err := r.dev.failure(); err != nil {
			return nil, err
		}
		if rec.more > 0 {
			rec.errs = append(rec.errs, fmt.Errorf("and %d more", rec.more))
		}
		return nil, fmt.Errorf("vulkan: recording of %s: %w", r.describe(), rec.errs)
	}
	return &Commands{r: r, c: r.dev.c}, nil
}
