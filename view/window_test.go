//go:build view

package view

import (
	"context"
	"errors"
	"image"
	"io"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-gl/glfw/v3.3/glfw"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
	"github.com/rwkv-gpu/rwkv-gpu/view/player"
)

// opened is a window with the embedded model on a device that shows pictures there.
type opened struct {
	w   *Window
	d   *device.Device
	m   *load.Opened
	e   *engine.Engine
	tok tokenizer.Tokenizer
}

const slots = 10

// displayed reports whether there has to be a display, with a window manager.
func displayed() bool { return os.Getenv("RWKV_REQUIRE_DISPLAY") == "1" }

func open(t testing.TB, width, height int) *opened {
	t.Helper()
	o := new(opened)
	var err error
	if o.w, err = Open("test", width, height); err != nil {
		if !displayed() && errors.Is(err, ErrNoWindow) {
			t.Skipf("no display: %v", err)
		}
		t.Fatal(err)
	}
	if o.d, err = device.OpenWindow("auto", o.w); err != nil {
		t.Fatal(err)
	}
	if o.m, err = load.Open(load.Options{}); err != nil {
		t.Fatal(err)
	}
	if o.tok, err = o.m.Tokenizer(); err != nil {
		t.Fatal(err)
	}
	if o.e, err = engine.New(o.m.Model, o.d, engine.Options{Slots: slots, Seqs: 1, Keep: 64}); err != nil {
		t.Fatal(err)
	}
	return o
}

func (o *opened) close(t testing.TB) {
	t.Helper()
	if err := errors.Join(o.e.Close(), o.d.Close(), o.m.Close()); err != nil {
		t.Error(err)
	}
	o.w.Close()
}

// options play some greedy tokens.
func (o *opened) options(t testing.TB, tokens int) Options {
	t.Helper()
	prompt, err := tokenizer.Encode(o.tok, "Once upon a time")
	if err != nil {
		t.Fatal(err)
	}
	return Options{Head: -1, Frames: 1, Player: player.Options{Prompt: prompt, Max: tokens, Slots: slots,
		Sample: sample.Params{Temperature: 0.9, TopP: 0.9, Seed: 3}}}
}

// silent fails the test if the validation layer says anything while it runs.
func silent(t *testing.T) {
	t.Helper()
	for name, value := range map[string]string{"RWKV_VALIDATE": "1", "VK_LAYER_VALIDATE_SYNC": "1",
		"VK_LAYER_ENABLES": "VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT"} {
		t.Setenv(name, value)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	said := make(chan string)
	go func() {
		all, _ := io.ReadAll(read)
		said <- string(all)
	}()
	before := os.Stderr
	os.Stderr = write
	t.Cleanup(func() {
		os.Stderr = before
		_ = write.Close()
		if text := <-said; text != "" {
			t.Errorf("validation: %s", text)
		}
		_ = read.Close()
	})
}

// The window opens, shows 500 tokens, is resized, made an icon and shown again, closed, and opened another time. The
// validation layer has nothing to say.
func TestWindow(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	silent(t)
	for round, tokens := range []int{500, 40} {
		o := open(t, 1000, 640)
		options := o.options(t, tokens)
		sizes := map[image.Point]bool{}
		var icon bool
		began := time.Now()
		options.each = func(s *show) {
			w, h := s.screen.chain.Size()
			sizes[image.Pt(w, h)] = true
			// The window manager may begin only now, or take its time. So what is wanted of it is asked for until it is seen.
			switch {
			case s.frames < 2 || icon:
				return
			case !sizes[image.Pt(700, 500)]:
				s.w.glfw.SetSize(700, 500)
			case !sizes[image.Pt(1200, 760)]:
				s.w.glfw.SetSize(1200, 760)
				s.scene.Look(5)
			default:
				s.w.glfw.Iconify()
				if !displayed() { // so there may be no window manager, which makes icons
					return
				}
			}
			if time.Since(began) < 2*time.Minute {
				s.o.Frames = s.frames + 3
			}
		}
		options.icon = func(s *show) {
			icon = true
			s.w.glfw.Restore()
		}
		var last *image.RGBA
		options.Frames = 8
		options.Take = func(img *image.RGBA) error { last = img; return nil }
		if err := Show(context.Background(), o.w, o.e, o.tok, options); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
		if last == nil || last.Rect.Dx() != 1200 || !sizes[image.Pt(1000, 640)] || !sizes[image.Pt(700, 500)] {
			t.Errorf("round %d: sizes %v, the last picture %v", round, sizes, last != nil)
		}
		if !icon && displayed() {
			t.Errorf("round %d: the window did not become an icon", round)
		}
		o.close(t)
	}
}

// A window whose context is done closes, which is an interruption.
func TestWindowInterrupted(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	silent(t)
	o := open(t, 800, 600)
	defer o.close(t)
	ctx, cancel := context.WithCancel(context.Background())
	options := o.options(t, 0)
	options.each = func(s *show) { cancel() }
	if err := Show(ctx, o.w, o.e, o.tok, options); !errors.Is(err, context.Canceled) {
		t.Errorf("want an interruption, got %v", err)
	}
}

// When Show returns, nothing wakes the window any more, which may be closed by then.
func TestWindowWoken(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	o := open(t, 800, 600)
	defer o.close(t)
	ctx, cancel := context.WithCancel(context.Background())
	options := o.options(t, 0)
	options.each = func(s *show) { cancel() }
	var woken, under atomic.Int32
	options.wake = func() {
		under.Add(1)
		glfw.PostEmptyEvent()
		if ctx.Err() != nil {
			time.Sleep(200 * time.Millisecond) // longer than Show takes to return if it does not wait
			woken.Add(1)
		}
		under.Add(-1)
	}
	if err := Show(ctx, o.w, o.e, o.tok, options); !errors.Is(err, context.Canceled) {
		t.Errorf("want an interruption, got %v", err)
	}
	if under.Load() != 0 || woken.Load() < 2 { // by the player's end, and by the interruption
		t.Errorf("woken %d times, %d times still", woken.Load(), under.Load())
	}
}

// Keys and clicks that a window gets reach the text: what is typed continues it.
func TestWindowTyped(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	o := open(t, 800, 600)
	defer o.close(t)
	options := o.options(t, 0)
	typed := false
	options.each = func(s *show) {
		switch {
		case s.frames == 2:
			for _, r := range "The wolf" {
				s.wish(s.scene.Char(r))
			}
			s.wish(s.scene.Press(0)) // Enter
		case s.frames > 2:
			var text strings.Builder
			for _, t := range s.p.Now().Tokens {
				text.WriteString(t.Text)
			}
			if typed = strings.Contains(text.String(), "The wolf"); typed {
				s.w.glfw.SetShouldClose(true)
			}
		}
	}
	if err := Show(context.Background(), o.w, o.e, o.tok, options); err != nil || !typed {
		t.Errorf("typed: %t, %v", typed, err)
	}
}
