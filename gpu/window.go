package gpu

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"fmt"
	"runtime/debug"
	"unsafe"

	vk "github.com/vulkan-go/vulkan"
)

// A Window is where a device shows pictures. A library of windows makes it, and must keep it open longer than the
// instance.
type Window interface {
	// Extensions returns the names of the instance extensions that the window's surface needs.
	Extensions() []string
	// Surface makes a surface (VkSurfaceKHR) of an instance (a VkInstance) and returns the address of its handle, as GLFW's
	// Go package does. The instance releases the surface.
	Surface(instance any) (handle uintptr, err error)
}

// extensionNames returns the names of the window's instance extensions in memory of C, and what frees them.
func (o *Options) extensionNames() (names *[C.RG_MAX_EXTENSIONS]*C.char, n C.uint32_t, free func(), err error) {
	names = new([C.RG_MAX_EXTENSIONS]*C.char)
	free = func() {
		for _, name := range names {
			C.free(unsafe.Pointer(name))
		}
	}
	if o.Window == nil {
		return names, 0, free, nil
	}
	list := o.Window.Extensions()
	if len(list) == 0 || len(list) > len(names) {
		return nil, 0, nil, fmt.Errorf("vulkan: %w: window: want 1 to %d instance extensions, got %d", ErrUnsupported, len(names), len(list))
	}
	for i, name := range list {
		names[i] = C.CString(name)
	}
	return names, C.uint32_t(len(list)), free, nil
}

// makeSurface makes the window's surface, if there is a window.
func (in *Instance) makeSurface() error {
	if in.opts.Window == nil {
		return nil
	}
	// The handle lies in memory that nothing but a number points to. A collection of garbage that begins only now could
	// free it, so none begins.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	at, err := in.opts.Window.Surface(vk.Instance(in.inst))
	if err != nil {
		return fmt.Errorf("vulkan: window: %w: %w", ErrUnsupported, err)
	}
	if at == 0 {
		return fmt.Errorf("vulkan: window: %w: want the address of a surface, got none", ErrUnsupported)
	}
	in.surface = C.uint64_t(bits(vk.SurfaceFromPointer(at)))
	return nil
}
