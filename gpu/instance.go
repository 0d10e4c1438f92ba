package gpu

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"fmt"
	"os"
	"runtime/cgo"
	"sync"
	"unsafe"
)

// Severity grades a message of the validation layer or of this package.
type Severity uint8

// Severities.
const (
	Note Severity = iota // this package: for example a pipeline cache that could not be read
	Warning
	Fault // the specification is violated, or a driver reports an error
)

func (s Severity) String() string { return [...]string{"note", "warning", "error"}[s] }

// Options configure Open.
type Options struct {
	// Validate loads VK_LAYER_KHRONOS_validation; Open fails with ErrNoValidation if it is not
	// installed. RWKV_VALIDATE=1 in the environment switches it on as well.
	Validate bool
	// OnMessage receives messages. It may be called on any thread, from inside any call of this
	// package, one call at a time; it must not call this package itself. nil: messages of
	// severity Warning and above go to standard error.
	OnMessage func(severity Severity, text string)
	// OnHang is told of a driver's call that waits, and has not returned long after its time is over. The goroutine that
	// made the call is lost, and so is everything that waits for it. Other calls of the device fail. nil: nobody is told.
	OnHang func(err error)
	// Window, if set, is where a device shows pictures (see Device.NewSwapchain). Info.NoPictures tells which cannot.
	Window Window
}

// An Instance lists and opens Vulkan devices. Its methods may be called concurrently.
type Instance struct {
	gipa, inst unsafe.Pointer
	messenger  C.uint64_t
	handle     cgo.Handle
	surface    C.uint64_t // of the window; 0: none
	opts       Options
	devices    []physical
	as         Type   // of all devices, from the environment; empty: their own types
	api        uint32 // what was asked of the loader; caps the devices' own versions

	messageMu sync.Mutex
	mu        sync.Mutex
	open      int // devices not closed
	closed    bool
	abandoned bool // reports whether a device hangs, so that the instance has to stay
}

// Open loads the Vulkan loader and lists the devices. Errors match ErrNoLoader, ErrNoDevice or
// ErrNoValidation, or hold an *Error.
func Open(opts Options) (*Instance, error) {
	gipa, err := load()
	if err != nil {
		return nil, err
	}
	in := &Instance{gipa: gipa, opts: opts}
	if os.Getenv("RWKV_VALIDATE") == "1" {
		in.opts.Validate = true
	}
	var known C.uint32_t
	if err := check("vkEnumerateInstanceVersion", int32(C.rg_instance_version(gipa, &known))); err != nil {
		return nil, err
	}
	version := uint32(known)
	if version < apiVersion(1, 1) {
		return nil, fmt.Errorf("%w: the Vulkan loader knows only Vulkan %s, 1.1 is needed", ErrNoLoader, versionString(version))
	}
	if in.opts.Validate && !HasValidation() {
		return nil, ErrNoValidation
	}
	in.api = min(version, apiVersion(1, 3)|0xfff)
	if in.as, err = typeAsked(); err != nil {
		return nil, err
	}
	if err := in.create(); err != nil {
		return nil, err
	}
	if err = in.makeSurface(); err == nil {
		err = in.list()
	}
	if err != nil {
		in.destroy()
		return nil, err
	}
	return in, nil
}

// HasValidation reports whether the validation layer is installed.
func HasValidation() bool {
	gipa, err := load()
	if err != nil {
		return false
	}
	name := C.CString("VK_LAYER_KHRONOS_validation")
	defer C.free(unsafe.Pointer(name))
	return C.rg_has_layer(gipa, name) != 0
}

func (in *Instance) create() error {
	validate := C.int(0)
	if in.opts.Validate {
		validate = 1
	}
	names, n, free, err := in.opts.extensionNames()
	if err != nil {
		return err
	}
	defer free()
	var inst unsafe.Pointer
	if r := C.rg_instance_create(in.gipa, C.uint32_t(in.api), validate, n, &names[0], &inst); r != 0 {
		err := check("vkCreateInstance", int32(r))
		if r == -9 { // the loader found no driver it can use
			return fmt.Errorf("%w: %w", ErrNoDevice, err)
		}
		return err
	}
	in.inst = inst
	if err := bind(inst); err != nil {
		in.destroy()
		return err
	}
	if in.opts.Validate {
		in.handle = cgo.NewHandle(in)
		var m C.uint64_t
		if r := C.rg_messenger_create(in.gipa, inst, C.uintptr_t(in.handle), &m); r != 0 {
			in.destroy()
			return check("vkCreateDebugUtilsMessengerEXT", int32(r))
		}
		in.messenger = m
	}
	return nil
}

func (in *Instance) destroy() {
	if in.messenger != 0 {
		C.rg_messenger_destroy(in.gipa, in.inst, in.messenger)
	}
	C.rg_surface_destroy(in.gipa, in.inst, in.surface)
	C.rg_instance_destroy(in.gipa, in.inst)
	if in.handle != 0 {
		in.handle.Delete()
	}
}

// Close releases the instance, unless a device of it hangs. It is an error, and releases nothing, while devices are
// open.
func (in *Instance) Close() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed {
		return nil
	}
	if in.open > 0 {
		return fmt.Errorf("vulkan: instance closed with %d open devices", in.open)
	}
	in.closed = true
	if !in.abandoned {
		in.destroy()
	}
	return nil
}

func (in *Instance) message(s Severity, text string) {
	in.messageMu.Lock()
	defer in.messageMu.Unlock()
	if in.opts.OnMessage != nil {
		in.opts.OnMessage(s, text)
	} else if s >= Warning {
		fmt.Fprintf(os.Stderr, "vulkan %s: %s\n", s, text)
	}
}

//export rgMessage
func rgMessage(severity C.uint32_t, text *C.char, user C.uintptr_t) {
	in := cgo.Handle(user).Value().(*Instance)
	s := Warning
	if severity >= 0x1000 {
		s = Fault
	}
	in.message(s, C.GoString(text))
}
