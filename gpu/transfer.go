package gpu

// #include "shim.h"
import "C"

import (
	"fmt"
	"sync"
	"time"
	"unsafe"
)

// stagingSize is the piece in which data moves between host and device.
const stagingSize = 8 << 20

// staging is a ring of mapped buffers: the host works on one while the device copies another.
// It is made on first use. Upload and Download take turns.
type staging struct {
	mu       sync.Mutex
	up, down [2]*stage
}

type stage struct {
	dev   *Device
	buf   *Buffer
	pool  C.uint64_t
	cmd   unsafe.Pointer
	fence C.uint64_t
	busy  bool
	kept  bool          // reports whether the stage keeps of alive, since its wait failed and the copy may be under way
	copy  string        // what is under way
	of    *Buffer       // the caller's buffer
	limit time.Duration // of the copy

	inDriver wait
}

func (s *stage) describe() string { return fmt.Sprintf("%s buffer %q", s.copy, s.of.name) }

func (d *Device) newStage(name string, mem Memory) (*stage, error) {
	buf, err := d.NewBuffer(name, min(stagingSize, d.info.Limits.MaxAllocationSize), mem)
	if err != nil {
		return nil, err
	}
	s := &stage{dev: d, buf: buf}
	d.mu.Lock()
	delete(d.buffers, buf) // ours, not the caller's to release
	d.mu.Unlock()
	var pool, fence C.uint64_t
	var cmd unsafe.Pointer
	r := C.rg_cmd_create(d.c, &pool, &cmd)
	if r == 0 {
		s.pool, s.cmd = pool, cmd
		r = C.rg_fence(d.c, &fence)
	}
	if r != 0 {
		s.release()
		return nil, fmt.Errorf("vulkan: %s: %w", name, check("vkCreateCommandPool", int32(r)))
	}
	s.fence = fence
	return s, nil
}

// start copies src to dst without waiting. of is the caller's buffer, src's or dst's; copy says in errors what happens
// to it.
func (s *stage) start(dst, src Range, copy string, of *Buffer) error {
	d := s.dev
	s.copy, s.of = copy, of
	if err := d.failure(); err != nil {
		return err
	}
	if r := int32(C.rg_cmd_begin(d.c, s.cmd, 1)); r != 0 {
		return d.noted("vkBeginCommandBuffer", r, s)
	}
	C.rg_cmd_barrier(d.c, s.cmd, stageCompute|stageTransfer, stageTransfer)
	C.rg_cmd_copy(d.c, s.cmd, C.uint64_t(bits(src.Buffer.vk)), C.uint64_t(src.Offset), C.uint64_t(bits(dst.Buffer.vk)), C.uint64_t(dst.Offset), C.uint64_t(dst.Size))
	C.rg_cmd_barrier(d.c, s.cmd, stageTransfer, stageCompute|stageTransfer|stageHost)
	if r := int32(C.rg_cmd_end(d.c, s.cmd)); r != 0 {
		return d.noted("vkEndCommandBuffer", r, s)
	}
	d.queueMu.Lock()
	r := C.rg_submit(d.c, s.cmd, s.fence)
	d.queueMu.Unlock()
	if r != 0 {
		return d.noted("vkQueueSubmit", int32(r), s)
	}
	s.busy, s.limit = true, d.limit(0, 0)
	d.health.underWay.Add(int64(s.limit))
	return nil
}

func (s *stage) wait() error {
	if s == nil || !s.busy {
		return nil
	}
	d := s.dev
	err := d.await(&s.inDriver, s.fence, s)
	if s.busy = !d.ended(err); !s.busy {
		d.health.underWay.Add(-int64(s.limit))
	}
	if s.kept != s.busy && !d.hung() {
		s.keep()
	}
	return err
}

// keep keeps the caller's buffer alive while nobody knows whether the copy is under way. Afterwards it lets the buffer
// go.
func (s *stage) keep() {
	s.dev.mu.Lock()
	defer s.dev.mu.Unlock()
	if s.kept = s.busy; s.kept {
		s.of.retain()
	} else {
		s.of.unretain()
	}
}

// release waits for the copy and gives the stage back. It reports whether it could. A lost device has no copy under
// way, and one that hangs keeps the stage.
func (s *stage) release() bool {
	if s.wait() != nil {
		_ = s.wait()
	}
	if s.busy && !s.dev.hung() {
		return false
	}
	s.dev.mu.Lock()
	defer s.dev.mu.Unlock()
	s.destroy()
	return true
}

// destroy frees a stage that has no copy under way. The caller holds dev.mu.
func (s *stage) destroy() {
	if s.dev.hung() {
		return
	}
	if s.fence != 0 {
		C.rg_fence_destroy(s.dev.c, s.fence)
	}
	if s.pool != 0 {
		C.rg_cmd_destroy(s.dev.c, s.pool)
	}
	s.buf.destroy()
}

// release gives back the stages that it can wait for.
func (st *staging) release() { st.drop((*stage).release) }

// destroy gives back the other stages, once nothing is under way. The caller holds dev.mu.
func (st *staging) destroy() {
	st.drop(func(s *stage) bool {
		s.destroy()
		return true
	})
}

// drop forgets the stages for which gone returns true.
func (st *staging) drop(gone func(*stage) bool) {
	for _, ring := range [...]*[2]*stage{&st.up, &st.down} {
		for i, s := range ring {
			if s != nil && gone(s) {
				ring[i] = nil
			}
		}
	}
}

// Upload copies src, of dst.Size bytes, to dst, and returns when dst holds it. Commands that use dst must not be under
// way.
func (d *Device) Upload(dst Range, src []byte) error {
	if len(src) != dst.Size {
		return fmt.Errorf("vulkan: upload of %d bytes to a range of %d", len(src), dst.Size)
	}
	return d.UploadFunc(dst, func(piece []byte, off int) { copy(piece, src[off:]) })
}

// UploadFunc is Upload of data that fill makes, piece by piece from front to back. fill writes to piece the bytes that
// begin at offset off of the range. Writing straight to piece saves a copy; piece may be slow to read.
func (d *Device) UploadFunc(dst Range, fill func(piece []byte, off int)) error {
	if err := d.checkTransfer("upload", dst); err != nil {
		return err
	}
	if dst.Buffer.host != nil && !d.opts.NoDirectAccess {
		host := dst.Buffer.host[dst.Offset : dst.Offset+dst.Size]
		for off := 0; off < dst.Size; off += stagingSize {
			end := min(off+stagingSize, dst.Size)
			fill(host[off:end:end], off)
		}
		return nil
	}
	d.staging.mu.Lock()
	defer d.staging.mu.Unlock()
	ring := &d.staging.up
	err := d.eachPiece(ring, "staging (upload)", Upload, dst, func(s *stage, off, n int) error {
		fill(s.buf.host[:n:n], off)
		return s.start(Range{dst.Buffer, dst.Offset + off, n}, s.buf.Range(0, n), "upload to", dst.Buffer)
	})
	for _, s := range ring {
		if e := s.wait(); err == nil {
			err = e
		}
	}
	return err
}

// eachPiece goes through a range in pieces of a stage. It calls do for each, with a stage that is not busy.
func (d *Device) eachPiece(ring *[2]*stage, name string, mem Memory, r Range, do func(s *stage, off, n int) error) error {
	for i, off := 0, 0; off < r.Size; i++ {
		s := ring[i%2]
		if s == nil {
			var err error
			if s, err = d.newStage(name, mem); err != nil {
				return err
			}
			ring[i%2] = s
		}
		if err := s.wait(); err != nil {
			return err
		}
		n := min(s.buf.size, r.Size-off)
		if err := do(s, off, n); err != nil {
			return err
		}
		off += n
	}
	return nil
}

// Download copies src to dst, which has src.Size bytes. Commands that write src must not be
// under way.
func (d *Device) Download(dst []byte, src Range) error {
	if len(dst) != src.Size {
		return fmt.Errorf("vulkan: download of a range of %d bytes to %d", src.Size, len(dst))
	}
	if err := d.checkTransfer("download", src); err != nil {
		return err
	}
	cached := d.memory.types[src.Buffer.place.block.typ].flags&memCached != 0
	if src.Buffer.host != nil && (cached || src.Buffer.kind != DeviceLocal) && !d.opts.NoDirectAccess {
		copy(dst, src.Buffer.host[src.Offset:])
		return nil
	}
	d.staging.mu.Lock()
	defer d.staging.mu.Unlock()
	ring := &d.staging.down
	var filled [2]struct {
		s      *stage
		off, n int
	}
	take := func(i int) error { // what the stage brought
		f := &filled[i]
		if f.s == nil {
			return nil
		}
		if err := f.s.wait(); err != nil {
			return err
		}
		copy(dst[f.off:f.off+f.n], f.s.buf.host)
		f.s = nil
		return nil
	}
	turn := 0
	err := d.eachPiece(ring, "staging (download)", Readback, src, func(s *stage, off, n int) error {
		if err := take(turn); err != nil {
			return err
		}
		if err := s.start(s.buf.Range(0, n), Range{src.Buffer, src.Offset + off, n}, "download from", src.Buffer); err != nil {
			return err
		}
		filled[turn].s, filled[turn].off, filled[turn].n = s, off, n
		turn = 1 - turn
		return nil
	})
	for i := range filled {
		if e := take(i); err == nil {
			err = e
		}
	}
	return err
}

func (d *Device) checkTransfer(what string, r Range) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return fmt.Errorf("vulkan: %s: %w", what, ErrClosed)
	}
	if err := r.within(d); err != nil {
		return fmt.Errorf("vulkan: %s: %w", what, err)
	}
	return nil
}
