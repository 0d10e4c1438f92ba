package device

import (
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
)

// Error is trouble with a device: there is none, it is unknown, lost, hanging or out of memory, or it lacks what a
// model needs.
type Error struct {
	Device string // the spec that was asked for, or the name of the device that failed
	Err    error
}

func (e *Error) Error() string { return fmt.Sprintf("device %s: %v", e.Device, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Fault makes err an Error if it is the device's fault. Errors of the model, a file or the caller stay as they are.
func (d *Device) Fault(err error) error {
	if d.current().device == nil || !gpu.IsFault(err) { // of several devices, the one at fault has said so
		return err
	}
	return &Error{Device: d.current().device.Info().Name, Err: err}
}

// OnHang is told of a driver that does not even return from a call whose time is over. The goroutine of that call waits
// for ever, so the process should end. If the driver returns, its error does too, and nobody is told. It is set before
// devices are opened, or stays nil.
var OnHang func(err error)

// AcquitForms clears kernels under trial of suspicion. A process calls it when its user ends it: otherwise the kernels
// would be blamed for the end. It waits for no device.
func AcquitForms() { tune.AcquitForms() }
