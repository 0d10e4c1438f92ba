package engine

import (
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/engine/cpu"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// CheckReference tells whether the machine has memory for m on the CPU, as the reference of a comparison with another device.
func CheckReference(m *model.Model, s op.Sizes) error {
	weights, rest := cpu.Needs(m.Program, s)
	free, known := cpu.Free()
	return referenceRoom(weights, rest, free, known)
}

// referenceRoom is the error that so many bytes free are too few, if they are known. Another device or type is no advice:
// the reference is what it is.
func referenceRoom(weights, rest, free int, known bool) error {
	if !known || weights+rest <= free {
		return nil
	}
	return &DeviceError{Device: "CPU", Err: fmt.Errorf("%w: the reference holds weights as float32 in memory: want %s, of which weights %s, and %s are free",
		ErrOutOfMemory, mebibytes(weights+rest), mebibytes(weights), mebibytes(free))}
}
