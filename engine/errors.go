package engine

import (
	"errors"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// Errors to test for with errors.Is. Errors of a device are also a device.Error.
var (
	ErrNoSlot      = errors.New("no free slot")
	ErrNotInUse    = errors.New("not in use") // a sequence
	ErrStateLost   = errors.New("the sequence's state was lost with an interrupted pass, and nothing was kept: restore it")
	ErrClosed      = op.ErrClosed
	ErrLogits      = sample.ErrLogits // no token can be drawn from them
	ErrDeviceLost  = gpu.ErrDeviceLost
	ErrOutOfMemory = gpu.ErrOutOfMemory // of the device, or of its driver
	ErrTimeout     = gpu.ErrTimeout     // the device hangs: it will answer nothing any more
)
