//go:build view

package view

import (
	"context"
	"errors"
	"image"
	"sync/atomic"
	"time"

	"github.com/go-gl/glfw/v3.3/glfw"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
	"github.com/rwkv-gpu/rwkv-gpu/view/paint"
	"github.com/rwkv-gpu/rwkv-gpu/view/player"
	"github.com/rwkv-gpu/rwkv-gpu/view/scene"
)

// Options say what a window shows.
type Options struct {
	Player player.Options
	Head   int // that is looked at closely at first, counted over all layers; -1: none

	// Take, if not nil, is given the picture when Frames pictures were shown, and Player.Max tokens are drawn if there is
	// such a bound. Then the window closes.
	Take   func(*image.RGBA) error
	Frames int

	each, icon func(*show) // in tests: after each picture; while the window has no pixels
	wake       func()      // in tests: instead of glfw.PostEmptyEvent
}

// show is a window with what it shows.
type show struct {
	w       *Window
	e       *engine.Engine
	p       *player.Player
	o       Options
	scene   *scene.Scene
	screen  screen
	pace    pace
	frames  int
	keys    []float32
	keysOf  int
	stale   bool // reports whether the window needs another screen
	shown   bool // reports whether the last picture is shown
	quit    bool
	dirty   atomic.Bool // reports whether the next picture would be another one
	waiting atomic.Bool // reports whether the main thread waits for long
}

// Show plays a text in a window until the window is closed or ctx is done. The engine has to run on a device that
// shows pictures in the window, with Options.Player.Slots slots. Show must be called on the process's main thread.
func Show(ctx context.Context, w *Window, e *engine.Engine, tok tokenizer.Tokenizer, o Options) error {
	states, err := paint.StatesOf(e.Model)
	if err != nil {
		return err
	}
	if o.wake == nil {
		o.wake = glfw.PostEmptyEvent
	}
	s := &show{w: w, e: e, o: o, screen: screen{states: states}, keysOf: -1}
	width, height, scale := w.size()
	if s.scene, err = scene.New(states.Shape, width, height, scale); err != nil {
		return err
	}
	s.scene.Title, s.scene.Device = titleOf(e.Model), e.Device()
	s.scene.Look(o.Head)
	if s.p, err = player.New(e, tok, o.Player, s.changed); err != nil {
		return err
	}
	w.listen(s.scene, s.wish)
	w.glfw.SetRefreshCallback(func(*glfw.Window) { s.dirty.Store(true) })
	w.glfw.SetFramebufferSizeCallback(func(*glfw.Window, int, int) { s.dirty.Store(true) })
	playing, stop := context.WithCancel(ctx)
	var played error
	done, gone, woken := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		defer o.wake()
		defer close(done)
		played = s.p.Run(playing)
	}()
	leave := context.AfterFunc(ctx, func() {
		defer close(woken)
		o.wake()
	})
	err = s.run(ctx, done)
	stop()
	<-gone
	if !leave() { // nothing may wake a window that is closed
		<-woken
	}
	s.screen.release()
	return errors.Join(err, played, ctx.Err())
}

// changed is told, on any goroutine, that there is something new to show.
func (s *show) changed() {
	s.dirty.Store(true)
	if s.waiting.Load() {
		s.o.wake()
	}
}

// wish does what somebody wants done.
func (s *show) wish(w scene.Wish) {
	s.dirty.Store(true)
	switch {
	case w.Quit:
		s.quit = true
	case w.Toggle:
		s.p.Toggle()
	case w.Step != 0:
		s.p.Step(w.Step)
	case w.Seeks:
		s.p.Seek(w.Seek)
	case w.Type != "":
		s.p.Type(w.Type)
	}
}

// idle is how long the window waits for something to do while nothing changes.
const idle = time.Second

// run draws pictures and answers what somebody does, until the window is closed or the player is done.
func (s *show) run(ctx context.Context, done <-chan struct{}) error {
	s.dirty.Store(true)
	for !s.quit && !s.w.glfw.ShouldClose() && ctx.Err() == nil {
		select {
		case <-done:
			return nil
		default:
		}
		wait := s.pace.wait(time.Now(), s.p.Now().Playing)
		if !s.dirty.Load() || s.hidden() {
			s.waiting.Store(true)
			if !s.dirty.Load() || s.hidden() {
				wait = idle
			}
		}
		if wait > 0 {
			glfw.WaitEventsTimeout(wait.Seconds())
		} else {
			glfw.PollEvents()
		}
		s.waiting.Store(false)
		if s.hidden() && s.o.icon != nil {
			s.o.icon(s)
		}
		if s.hidden() || !s.dirty.Load() || s.pace.wait(time.Now(), s.p.Now().Playing) > 0 {
			continue
		}
		taken := false
		err := s.p.KeepOpen(func() error { // since the picture and the keys lie on the device
			err := s.frame(ctx)
			if err == nil {
				taken, err = s.take()
			}
			return err
		})
		if taken || err != nil {
			return err
		}
	}
	return nil
}

// hidden reports whether the window has no pixels to show anything in.
func (s *show) hidden() bool {
	width, height, _ := s.w.size()
	return width == 0 || height == 0
}

// frame draws a picture and shows it. A device that was lost is not an error: the player opens it anew.
func (s *show) frame(ctx context.Context) error {
	s.dirty.Store(false)
	s.shown = false
	now := s.p.Now()
	opened := s.e.Stats().Reopened
	width, height, scale := s.w.size()
	began := time.Now()
	err := s.e.Look(ctx, []*engine.Seq{now.Seq}, func(dev *gpu.Device, states [][]gpu.Range) error {
		if s.stale {
			s.screen.release()
			s.stale = false
		}
		w, h, err := s.screen.fit(dev, width, height)
		if err == nil {
			err = s.scene.Resize(w, h, scale)
		}
		if err != nil {
			return err
		}
		pic := s.scene.Draw(storyOf(&now, s.keys, s.keysOf))
		began = time.Now()
		s.shown, err = s.screen.draw(pic, s.scene.Font(), states[0])
		return err
	})
	if err = errors.Join(err, s.screen.wait()); err == nil {
		s.keysOf, s.keys = s.screen.keys()
	}
	s.pace.drew(began, time.Since(began))
	if w, h := s.screen.window(); w != width || h != height {
		s.stale = true
	}
	switch {
	case errors.Is(err, gpu.ErrStale), errors.Is(err, gpu.ErrNoArea):
		s.stale = true
	case errors.Is(err, engine.ErrDeviceLost):
		s.p.Reopen(opened)
	case errors.Is(err, engine.ErrNotInUse): // the text has gone back meanwhile, which is shown next
	case ctx.Err() != nil:
		return nil
	case err != nil:
		return err
	}
	if !s.shown || s.stale {
		s.dirty.Store(true)
	}
	if s.shown {
		if s.frames++; s.o.each != nil {
			s.o.each(s)
		}
	}
	return nil
}

// take gives away the picture, if it is time to. A picture whose time has not come is followed by another one.
func (s *show) take() (taken bool, err error) {
	if s.o.Take == nil {
		return false, nil
	}
	now := s.p.Now()
	if !s.shown || s.frames < s.o.Frames || s.o.Player.Max > 0 && !now.Ended || s.dirty.Load() && now.Ended {
		s.dirty.Store(true)
		return false, nil
	}
	img, err := s.screen.image()
	if err != nil {
		return false, err
	}
	return true, s.o.Take(img)
}
