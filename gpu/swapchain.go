package gpu

// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"time"
)

var (
	// ErrNoArea says that a window has no pixels now, for example since it is an icon.
	ErrNoArea = errors.New("window has no area")
	// ErrStale says that a window is not as it was when its swapchain was made. A new swapchain is needed.
	ErrStale = errors.New("window has changed")
	// ErrBusy says that the window system has no image free now. A later picture may be shown.
	ErrBusy = errors.New("window shows no picture now")
)

// VkFormat of the images that are taken: 4 bytes a pixel, red first or blue first.
const (
	formatRGBA, formatRGBASRGB = 37, 43
	formatBGRA, formatBGRASRGB = 44, 50
)

// acquireLimit is how long Show waits for an image of the window. Some window systems give none while a window is
// hidden.
const acquireLimit = 50 * time.Millisecond

// A Swapchain shows pictures in the window of the instance. One goroutine at a time may use it.
type Swapchain struct {
	dev    *Device
	c      *C.rg_swapchain
	width  int
	height int
	blue   bool

	fence   C.uint64_t
	wait    wait
	frame   *Buffer // whose picture is under way
	image   C.uint32_t
	have    bool // reports whether image may be written
	stale   bool
	pending bool
	limit   time.Duration
}

// NewSwapchain makes the window ready for pictures. Where the window system leaves their size open, they are of width
// and height pixels. Nothing else may use the device meanwhile. Errors match ErrNoArea if the window has no pixels, and
// ErrUnsupported if pictures cannot be copied to it. Only one swapchain of a window may exist.
func (d *Device) NewSwapchain(width, height int) (*Swapchain, error) {
	s := &Swapchain{dev: d}
	if d.in.surface == 0 {
		return nil, fmt.Errorf("vulkan: swapchain: %w: the instance was opened without a window", ErrUnsupported)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed:
		return nil, fmt.Errorf("vulkan: swapchain: %w", ErrClosed)
	case d.failure() != nil:
		return nil, d.failure()
	case d.chain != nil:
		return nil, errors.New("vulkan: swapchain: the window has one already")
	}
	var info C.rg_swapchain_info
	if err := s.check("vkCreateSwapchainKHR", C.rg_swapchain_create(d.in.gipa, d.in.inst, d.phys.handle, d.c, d.in.surface,
		C.uint32_t(max(width, 0)), C.uint32_t(max(height, 0)), &s.c, &info)); err != nil {
		return nil, err
	}
	if r := C.rg_fence(d.c, &s.fence); r != 0 {
		C.rg_swapchain_destroy(s.c)
		return nil, check("vkCreateFence", int32(r))
	}
	s.width, s.height = int(info.width), int(info.height)
	s.blue = info.format == formatBGRA || info.format == formatBGRASRGB
	d.chain = s
	return s, nil
}

// Size returns the size of pictures in pixels.
func (s *Swapchain) Size() (width, height int) { return s.width, s.height }

// Blue reports whether a pixel's bytes are blue, green, red and alpha. Otherwise they are red, green, blue and alpha.
func (s *Swapchain) Blue() bool { return s.blue }

// Show starts to show a picture, whose rows of 4-byte pixels lie in frame one after the other. Commands that were
// submitted before may write it. Nothing may write it again before Wait. After an error that matches ErrBusy or ErrStale
// the picture is not shown. A window that has changed so little that it shows the picture all the same is no error.
func (s *Swapchain) Show(frame Range) error {
	d := s.dev
	if want := 4 * s.width * s.height; frame.Size != want {
		return fmt.Errorf("vulkan: picture: want %d bytes, got %d", want, frame.Size)
	}
	if s.pending {
		return errPending
	}
	if s.stale {
		return ErrStale
	}
	d.mu.Lock()
	err := frame.within(d)
	if err == nil {
		frame.Buffer.retain()
	}
	d.mu.Unlock()
	if err != nil {
		return fmt.Errorf("vulkan: picture: %w", err)
	}
	s.frame = frame.Buffer
	if err := s.show(frame); err != nil {
		s.letGo()
		return err
	}
	s.limit = d.limit(0, 0)
	d.health.underWay.Add(int64(s.limit))
	s.pending = true
	d.queueMu.Lock()
	r := C.rg_swapchain_present(s.c, s.image)
	d.queueMu.Unlock()
	return s.check("vkQueuePresentKHR", r)
}

// show submits the copy of the picture to an image of the window.
func (s *Swapchain) show(frame Range) error {
	d := s.dev
	if err := d.failure(); err != nil {
		return err
	}
	if !s.have {
		r := C.rg_swapchain_next(s.c, C.uint64_t(acquireLimit), &s.image)
		if err := s.check("vkAcquireNextImageKHR", r); err != nil {
			return err
		}
		s.have = true
	}
	d.queueMu.Lock()
	defer d.queueMu.Unlock()
	if d.gone.Load() {
		return errReleased
	}
	if r := C.rg_swapchain_copy(s.c, s.image, C.uint64_t(bits(frame.Buffer.vk)), C.uint64_t(frame.Offset), s.fence); r != 0 {
		return d.noted("vkQueueSubmit", int32(r), s)
	}
	s.have = false
	return nil
}

// check turns the result of a call about the window into an error.
func (s *Swapchain) check(call string, r C.int) error {
	switch r {
	case 0, resultSuboptimal: // the image is there, or shown, all the same
		return nil
	case resultTimeout, resultNotReady:
		return ErrBusy
	case resultOutOfDate:
		s.stale = true
		return ErrStale
	case C.RG_NO_AREA:
		return fmt.Errorf("vulkan: %w", ErrNoArea)
	case C.RG_NO_FORMAT:
		return Unsupportedf("vulkan: the window takes no pictures by copy: want format %d, %d, %d or %d and transfers to its images",
			formatRGBA, formatRGBASRGB, formatBGRA, formatBGRASRGB)
	}
	return s.dev.noted(call, int32(r), s)
}

func (s *Swapchain) describe() string { return "a picture for the window" }

// Wait returns when the picture that Show was given is copied, at once if there is none.
func (s *Swapchain) Wait() error {
	if s.dev.gone.Load() {
		s.pending = false
	}
	if !s.pending {
		return nil
	}
	err := s.dev.await(&s.wait, s.fence, s)
	if s.dev.ended(err) {
		s.pending = false
		s.dev.health.underWay.Add(-int64(s.limit))
		s.letGo()
	}
	return err
}

// letGo gives up the picture's buffer.
func (s *Swapchain) letGo() {
	s.dev.mu.Lock()
	defer s.dev.mu.Unlock()
	if s.frame != nil {
		s.frame.unretain()
		s.frame = nil
	}
}

// Release waits for all that is under way on the device, and gives the window back.
func (s *Swapchain) Release() {
	if s == nil || s.dev.hung() {
		return
	}
	_ = s.Wait()
	d := s.dev
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.chain != s {
		return
	}
	d.queueMu.Lock()
	_ = d.awaitAll() // the window system may still read the image's semaphore
	d.queueMu.Unlock()
	s.destroy()
}

// destroy frees everything. The caller holds dev.mu, and nothing is under way.
func (s *Swapchain) destroy() {
	s.dev.chain = nil
	C.rg_fence_destroy(s.dev.c, s.fence)
	C.rg_swapchain_destroy(s.c)
}
