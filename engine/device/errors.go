package device

import (
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
)

// Error is trouble with a device: none, unknown, lost, hanging, out of memory, or lacking what a model needs.
type Error struct {
	Device string // what was asked for, or the name of what failed
	Err    error
}

func (e *Error) Error() string { return fmt.Sprintf("device %s: %v", e.Device, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Fault makes err an Error if it is the device's; what is the model's, a file's or the caller's stays as it is.
func (d *Device) Fault(err error) error {
	if d.IsCPU() || !gpu.IsFault(err) {
		return err
	}
	return &Error{Device: d.current().device.Info().Name, Err: err}
}

// OnHang is told of a driver that does not even return from a call that should have ended by time. Whoever waits for that
// call waits for ever: the process is to be ended. Where a driver returns, the error does, too, and nobody is told. It is
// set before devices are opened, or stays nil.
var OnHang func(err error)

// AcquitForms is for a process that its user ends while it may be trying kernels: they are not blamed for the end, as they
// would be for one by themselves. It waits for no device.
func AcquitForms() { tune.AcquitForms() }
