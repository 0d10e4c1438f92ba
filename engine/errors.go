package engine

import (
	"errors"
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// Errors to test for with errors.Is, which finds them under whatever wraps them. Those of a device are also a DeviceError.
var (
	ErrNoSlot      = errors.New("no free slot")
	ErrNotInUse    = errors.New("not in use") // a sequence
	ErrStateLost   = errors.New("the sequence's state was lost with an interrupted pass, and nothing was kept: restore it")
	ErrClosed      = op.ErrClosed
	ErrLogits      = sample.ErrLogits // of which no token can be drawn
	ErrDeviceLost  = gpu.ErrDeviceLost
	ErrOutOfMemory = gpu.ErrOutOfMemory // of the device, or of its driver
	ErrTimeout     = gpu.ErrTimeout     // the device hangs: it will answer nothing any more
)

// OnHang is told of a driver that does not even return from a call that should have ended by time. Whoever waits for that
// call waits for ever: the process is to be ended. Where a driver returns, the error does, too, and nobody is told. It is
// set before devices are opened, or stays nil.
var OnHang func(err error)

// AcquitForms is for a process that its user ends while it may be trying kernels: they are not blamed for the end, as they
// would be for one by themselves. It waits for no device.
func AcquitForms() { tune.AcquitForms() }

// DeviceError is trouble with the device: none, unknown, lost, hanging, out of memory, or lacking what a model needs.
type DeviceError struct {
	Device string // what was asked for, or the name of what failed
	Err    error
}

func (e *DeviceError) Error() string { return fmt.Sprintf("device %s: %v", e.Device, e.Err) }

// Unwrap returns the cause.
func (e *DeviceError) Unwrap() error { return e.Err }

// fault makes err a DeviceError if it is the device's; what is the model's, a file's or the caller's stays as it is.
func (d *Device) fault(err error) error {
	if d.IsCPU() || !gpu.IsFault(err) {
		return err
	}
	return &DeviceError{Device: d.current().device.Info().Name, Err: err}
}
