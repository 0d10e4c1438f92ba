//go:build view

package view

import (
	"errors"
	"image"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/view/font"
	"github.com/rwkv-gpu/rwkv-gpu/view/paint"
	"github.com/rwkv-gpu/rwkv-gpu/view/scene"
)

// screen is what draws in the window. It belongs to one opening of the device, and to one size of the window.
type screen struct {
	states  *paint.States
	dev     *gpu.Device
	chain   *gpu.Swapchain
	painter *paint.Painter
	width   int // of the window, then
	height  int
}

// fit makes the screen anew if the device or the window is another one, and returns the size of pictures.
func (s *screen) fit(dev *gpu.Device, width, height int) (w, h int, err error) {
	if s.dev == dev && s.chain != nil {
		w, h = s.chain.Size()
		return w, h, nil
	}
	s.release()
	s.dev, s.width, s.height = dev, width, height
	if s.chain, err = dev.NewSwapchain(width, height); err != nil {
		return 0, 0, err
	}
	w, h = s.chain.Size()
	if s.painter, err = paint.New(dev, s.states, w, h, s.chain.Blue()); err != nil {
		s.release()
	}
	return w, h, err
}

// draw starts to draw a picture and to show it. It reports whether it is shown: a window may not show pictures now.
func (s *screen) draw(pic *scene.Picture, set *font.Set, state []gpu.Range) (shown bool, err error) {
	if err := s.painter.Draw(pic, set, state); err != nil {
		return false, err
	}
	err = s.chain.Show(s.painter.Frame())
	if errors.Is(err, gpu.ErrBusy) {
		return false, nil
	}
	return !errors.Is(err, gpu.ErrStale), err
}

// wait returns when the picture is drawn and copied to the window.
func (s *screen) wait() error {
	if s.painter == nil {
		return nil
	}
	return errors.Join(s.painter.Wait(), s.chain.Wait())
}

// window returns the size of the window that the screen was made for; 0 without a screen. Pictures may be of another size,
// if the window system wants it.
func (s *screen) window() (width, height int) {
	if s.chain == nil {
		return 0, 0
	}
	return s.width, s.height
}

// keys returns how strong the keys are of the head that was looked at closely.
func (s *screen) keys() (head int, lengths []float32) {
	if s.painter == nil {
		return -1, nil
	}
	return s.painter.Keys()
}

// image returns the picture that was drawn last.
func (s *screen) image() (*image.RGBA, error) { return s.painter.Image() }

// release frees everything. A window that changed needs another screen.
func (s *screen) release() {
	s.painter.Release()
	s.chain.Release()
	s.painter, s.chain = nil, nil
}
