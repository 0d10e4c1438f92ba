//go:build view

package view

import (
	"errors"
	"fmt"
	"io"
	"log"
	"strings"

	"github.com/go-gl/glfw/v3.3/glfw"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
)

// Window is an open window. Its methods are for the process's main thread, but for those of gpu.Window.
type Window struct {
	glfw *glfw.Window
}

var _ gpu.Window = (*Window)(nil)

// ErrNoWindow is the error of Open where there is no display, or no library for Vulkan in windows.
var ErrNoWindow = errors.New("no window can be opened")

// Open opens a window of so many screen units. It must be called on the process's main thread.
func Open(title string, width, height int) (w *Window, err error) {
	logged, err := heard(glfw.Init)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoWindow, err)
	}
	if !glfw.VulkanSupported() {
		if logged != "" { // GLFW is not initialized
			return nil, fmt.Errorf("%w: %s", ErrNoWindow, logged)
		}
		glfw.Terminate()
		return nil, fmt.Errorf("%w: GLFW finds no Vulkan loader", ErrNoWindow)
	}
	glfw.WindowHint(glfw.ClientAPI, glfw.NoAPI)
	glfw.WindowHint(glfw.ScaleToMonitor, glfw.True)
	var window *glfw.Window
	logged, err = heard(func() (err error) {
		window, err = glfw.CreateWindow(width, height, title, nil, nil)
		return err
	})
	if err == nil && window == nil {
		err = errors.New(logged)
	}
	if err != nil {
		glfw.Terminate()
		return nil, fmt.Errorf("%w: %w", ErrNoWindow, err)
	}
	window.SetSizeLimits(480, 320, glfw.DontCare, glfw.DontCare)
	return &Window{glfw: window}, nil
}

// heard returns the error of do, and in one line what do logged: package glfw returns no errors of the display, such as
// that there is none, but logs them.
func heard(do func() error) (logged string, err error) {
	var b strings.Builder
	defer func(w io.Writer, flags int) {
		log.SetOutput(w)
		log.SetFlags(flags)
	}(log.Writer(), log.Flags())
	log.SetOutput(&b)
	log.SetFlags(0)
	err = do()
	return strings.Join(strings.Fields(b.String()), " "), err
}

// Close closes the window, after the device that shows pictures there.
func (w *Window) Close() {
	w.glfw.Destroy()
	glfw.Terminate()
}

// Extensions returns the instance extensions that the window's surface needs.
func (w *Window) Extensions() []string { return w.glfw.GetRequiredInstanceExtensions() }

// Surface makes the window's surface.
func (w *Window) Surface(instance any) (handle uintptr, err error) {
	return w.glfw.CreateWindowSurface(instance, nil)
}

// size returns the window's pixels, and by how much its display scales. An icon has none.
func (w *Window) size() (width, height int, scale float64) {
	if w.glfw.GetAttrib(glfw.Iconified) == glfw.True {
		return 0, 0, 1
	}
	width, height = w.glfw.GetFramebufferSize()
	x, _ := w.glfw.GetContentScale()
	return width, height, float64(x)
}

// pixel returns the pixel of a place in screen units.
func (w *Window) pixel(x, y float64) (int, int) {
	sw, sh := w.glfw.GetSize()
	pw, ph := w.glfw.GetFramebufferSize()
	if sw == 0 || sh == 0 {
		return -1, -1
	}
	return int(x * float64(pw) / float64(sw)), int(y * float64(ph) / float64(sh))
}
