package gpu

import (
	"errors"
	"fmt"
)

// Errors to test for with errors.Is. Results of Vulkan calls match through Error.
var (
	ErrNoLoader     = errors.New("no Vulkan loader")
	ErrNoDevice     = errors.New("no Vulkan device")
	ErrNoValidation = errors.New("validation layer VK_LAYER_KHRONOS_validation is not installed")
	ErrDeviceLost   = errors.New("device lost")
	ErrOutOfMemory  = errors.New("out of memory")
	ErrTimeout      = errors.New("timeout")
	ErrNoTimestamps = errors.New("device has no timestamps")
)

// Error is a Vulkan call that returned a failure. It matches ErrDeviceLost, ErrOutOfMemory and
// ErrTimeout under errors.Is.
type Error struct {
	Call   string // e.g. "vkQueueSubmit"
	Result int32  // the VkResult
}

func (e *Error) Error() string { return e.Call + ": " + ResultName(e.Result) }

// Is reports whether the result stands for target.
func (e *Error) Is(target error) bool {
	switch e.Result {
	case resultTimeout:
		return target == ErrTimeout
	case resultOutOfHostMemory, resultOutOfDeviceMemory, resultOutOfPoolMemory, resultFragmentedPool, resultTooManyObjects:
		return target == ErrOutOfMemory
	case resultDeviceLost:
		return target == ErrDeviceLost
	}
	return false
}

const (
	resultTimeout           = 2
	resultIncomplete        = 5
	resultOutOfHostMemory   = -1
	resultOutOfDeviceMemory = -2
	resultDeviceLost        = -4
	resultTooManyObjects    = -10
	resultFragmentedPool    = -12
	resultOutOfPoolMemory   = -1000069000
)

var resultNames = map[int32]string{
	0: "success", 1: "not ready", resultTimeout: "timeout", resultIncomplete: "incomplete",
	resultOutOfHostMemory: "out of host memory", resultOutOfDeviceMemory: "out of device memory", -3: "initialization failed",
	resultDeviceLost: "device lost", -5: "memory map failed", -6: "layer not present", -7: "extension not present",
	-8: "feature not present", -9: "incompatible driver", resultTooManyObjects: "too many objects", -11: "format not supported",
	resultFragmentedPool: "fragmented pool", -13: "unknown error", resultOutOfPoolMemory: "out of pool memory",
	-1000072003: "invalid external handle", -1000161000: "fragmentation", -1000011001: "validation failed", -1000012000: "invalid shader",
	1000297000: "pipeline compile required", -1000257000: "invalid opaque capture address", -1000174001: "not permitted",
}

// ResultName returns a VkResult in words, with its number where it is not a known one.
func ResultName(result int32) string {
	if name, ok := resultNames[result]; ok {
		return name
	}
	return fmt.Sprintf("VkResult %d", result)
}

// check turns a VkResult into an error, nil for success.
func check(call string, result int32) error {
	if result == 0 {
		return nil
	}
	return &Error{Call: call, Result: result}
}
