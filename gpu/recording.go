package gpu

// #include "shim.h"
import "C"

import (
	"fmt"
	"time"
)

// VkPipelineStageFlagBits.
const (
	stageCompute  = 0x800
	stageTransfer = 0x1000
	stageHost     = 0x4000
)

// A Recording is data: commands to be run in order, any number of times. It makes nothing on the device before End, and
// keeps nothing there alive. So a recording that is not needed is simply dropped. Nothing fails before End, which
// returns all mistakes at once. One goroutine at a time may use it.
//
// Barriers are derived from Binding.Access: a memory barrier stands before a command that
// touches what an earlier one wrote, or writes what an earlier one read. All writes are
// visible to the host after Wait, and to whatever is submitted later on the same device.
type Recording struct {
	dev      *Device
	name     string
	expected time.Duration // see Expect
	stats    Stats
	list     commandList
	haz      hazards
	since    uint32 // stages used since the last barrier
	errs     faults
	more     int // errors not kept
	ended    bool
	accesses []access // scratch
}

// NewRecording starts a recording.
func (d *Device) NewRecording() *Recording {
	rec := &Recording{dev: d}
	// What was submitted before, on this queue, comes first.
	rec.barrier(0, stageCompute|stageTransfer)
	return rec
}

// SetName names the recording in errors and leak reports. The name says in words what the recording does.
func (rec *Recording) SetName(name string) { rec.name = name }

// Expect adds to the time that the recorded commands should take. It only makes the limit of a wait for them longer
// (see Commands.Wait).
func (rec *Recording) Expect(d time.Duration) { rec.expected += d }

// Stats returns counts of what is recorded so far. End counts the descriptor sets.
func (rec *Recording) Stats() Stats { return rec.stats }

const keptErrors = 4

func (rec *Recording) fail(format string, args ...any) {
	if len(rec.errs) == keptErrors {
		rec.more++
		return
	}
	rec.errs = append(rec.errs, fmt.Errorf(format, args...))
}

// ready reports whether commands are recorded. After an error they are only checked.
func (rec *Recording) ready() bool {
	if rec.ended {
		panic("gpu: recording used after End")
	}
	return len(rec.errs) == 0
}

// Dispatch runs x*y*z workgroups of k. args follow k's bindings; push holds exactly its push
// constant bytes; both are copied. A texel binding sees Size/Format.Bytes() texels from Offset.
func (rec *Recording) Dispatch(k *Kernel, args []Range, push []byte, x, y, z uint32) {
	ok := rec.ready()
	if k == nil {
		rec.fail("dispatch without a kernel")
		return
	}
	rec.dev.mu.Lock()
	defer rec.dev.mu.Unlock()
	before := len(rec.errs) + rec.more
	if rec.checkDispatch(k, args, push, [3]uint32{x, y, z}); len(rec.errs)+rec.more == before {
		rec.checkShared(k, args)
	}
	if !ok || len(rec.errs)+rec.more > before {
		return
	}
	rec.accesses = rec.accesses[:0]
	for i, a := range args {
		rec.accesses = append(rec.accesses, access{a.Buffer, a.Offset, a.Offset + a.Size, k.bindings[i].Access&Write != 0})
	}
	rec.step(stageCompute)
	rec.list.add(command{kind: dispatches, kernel: k, groups: [3]uint32{x, y, z}}, push, args...)
	rec.stats.Dispatches++
}

// step puts a barrier before a command of this stage with rec.accesses, if it needs one.
func (rec *Recording) step(stage uint32) {
	if rec.haz.step(rec.accesses) {
		rec.stats.Barriers++
		rec.barrier(rec.stats.Barriers, rec.since)
		rec.since = 0
	}
	rec.since |= stage
}

// barrier makes all later commands wait for the earlier work of some stages.
func (rec *Recording) barrier(n int, stages uint32) {
	if omit := rec.dev.opts.OmitBarrier; omit == nil || !omit(n) {
		rec.list.add(command{kind: waits, value: stages}, nil)
	}
}

func (rec *Recording) checkDispatch(k *Kernel, args []Range, push []byte, groups [3]uint32) {
	d := rec.dev
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

// checkShared fails if two arguments share memory, one of them is written, and the shader does not declare that.
// Without the declaration a compiler may assume that they do not overlap (SPIR-V specification, 2.18.2 "Aliasing").
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

// Copy copies src to dst; both have the same size and do not overlap.
func (rec *Recording) Copy(dst, src Range) {
	ok := rec.ready()
	d := rec.dev
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
	rec.list.add(command{kind: copies}, nil, dst, src)
	rec.stats.Copies++
}

// Fill sets every 4 bytes of dst to value; offset and size are multiples of 4.
func (rec *Recording) Fill(dst Range, value uint32) {
	ok := rec.ready()
	d := rec.dev
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
	rec.list.add(command{kind: fills, value: value}, nil, dst)
	rec.stats.Copies++
}

func (rec *Recording) transfer(accesses ...access) {
	rec.accesses = append(rec.accesses[:0], accesses...)
	rec.step(stageTransfer)
}

// Timestamp writes the time when everything recorded before it is done to a slot from 0 to MaxTimestamps-1. On devices
// without timestamps it does nothing.
func (rec *Recording) Timestamp(slot int) {
	ok := rec.ready()
	if slot < 0 || slot >= MaxTimestamps {
		rec.fail("timestamp slot %d, want 0 to %d", slot, MaxTimestamps-1)
		return
	}
	if ok && rec.dev.info.Features.Timestamps {
		rec.list.add(command{kind: stamps, value: uint32(slot)}, nil)
	}
}

// End makes the commands, after it has waited for their kernels. It returns all mistakes of the recording as one error.
func (rec *Recording) End() (*Commands, error) {
	rec.ready()
	rec.ended = true
	r := newRecorded(rec)
	if len(rec.errs) == 0 {
		rec.realize(r)
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

// realize makes the recording's commands on the device.
func (rec *Recording) realize(r *recorded) {
	for i := range rec.list.all {
		if k := rec.list.all[i].kernel; k != nil {
			if err := k.wait(); err != nil {
				rec.fail("%w", err)
				return
			}
		}
	}
	if err := r.begin(); err != nil {
		rec.fail("%w", err)
		return
	}
	w := writer{r: r, list: &rec.list, layout: -1, sets: map[string]C.uint64_t{}}
	if err := w.write(); err != nil {
		rec.fail("%w", err)
	}
}

// Run ends the recording, runs it once and drops its commands.
func (rec *Recording) Run() error {
	c, err := rec.End()
	if err != nil {
		return err
	}
	defer c.Release()
	return c.Run()
}
