package gpu

import (
	"errors"
	"fmt"
	"strings"
)

// Errors to test for with errors.Is. Results of Vulkan calls match through Error.
var (
	ErrNoLoader     = errors.New("no Vulkan loader")
	ErrNoDevice     = errors.New("no Vulkan device")
	ErrNoValidation = errors.New("validation layer VK_LAYER_KHRONOS_validation is not installed")
	ErrDeviceLost   = errors.New("device lost")
	ErrOutOfMemory  = errors.New("out of memory") // of the device or of the host
	ErrUnsupported  = errors.New("not supported by the device")
	ErrClosed       = errors.New("device is closed")
	ErrTimeout      = errors.New("timeout")
	ErrNoTimestamps = errors.New("device has no timestamps")
	ErrNoStatistics = errors.New("driver tells nothing of compiled kernels (VK_KHR_pipeline_executable_properties)")
)

// IsFault reports whether err says something of a device, its driver or the loader: there is none, a call failed, or
// the device does not allow something. Mistakes of callers are no faults.
func IsFault(err error) bool {
	var call *Error
	if errors.As(err, &call) {
		return true
	}
	for _, target := range []error{ErrNoLoader, ErrNoDevice, ErrNoValidation, ErrDeviceLost, ErrOutOfMemory, ErrUnsupported, ErrTimeout, ErrNoTimestamps} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// Error is a Vulkan call that returned a failure. It matches ErrDeviceLost, ErrOutOfMemory,
// ErrUnsupported and ErrTimeout under errors.Is.
type Error struct {
	Call   string // e.g. "vkQueueSubmit"
	Result int32  // the VkResult
}

func (e *Error) Error() string { return e.Call + ": " + resultName(e.Result) }

// Is reports whether the result stands for target.
func (e *Error) Is(target error) bool {
	switch e.Result {
	case resultTimeout:
		return target == ErrTimeout
	case resultOutOfHostMemory, resultOutOfDeviceMemory, resultOutOfPoolMemory, resultFragmentedPool, resultTooManyObjects:
		return target == ErrOutOfMemory
	case resultDeviceLost:
		return target == ErrDeviceLost
	case resultExtensionMissing, resultFeatureMissing, resultFormatMissing, resultInvalidShader:
		return target == ErrUnsupported
	case resultInitialization, resultUnknown: // drivers say so of kernels that they cannot compile
		return target == ErrUnsupported && e.Call == createPipelines
	}
	return false
}

// createPipelines is the call that compiles kernels.
const createPipelines = "vkCreateComputePipelines"

// Unsupportedf is fmt.Errorf for an error that matches ErrUnsupported.
func Unsupportedf(format string, args ...any) error { return unsupported{fmt.Errorf(format, args...)} }

// unsupported marks an error as one that matches ErrUnsupported.
type unsupported struct{ error }

func (e unsupported) Is(target error) bool { return target == ErrUnsupported }

func (e unsupported) Unwrap() error { return e.error }

// faults are several errors as one, in one line.
type faults []error

func (f faults) Error() string {
	var all []string
	for _, err := range f {
		all = append(all, err.Error())
	}
	return strings.Join(all, "; ")
}

func (f faults) Unwrap() []error { return f }

const (
	resultNotReady          = 1
	resultTimeout           = 2
	resultIncomplete        = 5
	resultOutOfHostMemory   = -1
	resultOutOfDeviceMemory = -2
	resultInitialization    = -3
	resultDeviceLost        = -4
	resultExtensionMissing  = -7
	resultFeatureMissing    = -8
	resultTooManyObjects    = -10
	resultFormatMissing     = -11
	resultFragmentedPool    = -12
	resultUnknown           = -13
	resultOutOfPoolMemory   = -1000069000
	resultInvalidShader     = -1000012000
	resultOutOfDate         = -1000001004
	resultSuboptimal        = 1000001003
)

var resultNames = map[int32]string{
	0: "success", resultNotReady: "not ready", resultTimeout: "timeout", resultIncomplete: "incomplete",
	resultOutOfHostMemory: "out of host memory", resultOutOfDeviceMemory: "out of device memory", resultInitialization: "initialization failed",
	resultDeviceLost: "device lost", -5: "memory map failed", -6: "layer not present", resultExtensionMissing: "extension not present",
	resultFeatureMissing: "feature not present", -9: "incompatible driver", resultTooManyObjects: "too many objects", resultFormatMissing: "format not supported",
	resultFragmentedPool: "fragmented pool", resultUnknown: "unknown error", resultOutOfPoolMemory: "out of pool memory",
	-1000072003: "invalid external handle", -1000161000: "fragmentation", -1000011001: "validation failed", resultInvalidShader: "invalid shader",
	-1000000000: "surface lost", -1000000001: "window in use", resultOutOfDate: "window changed", resultSuboptimal: "window changed a little",
	1000297000: "pipeline compile required", -1000257000: "invalid opaque capture address", -1000174001: "not permitted",
}

// resultName returns a VkResult in words, with its number where it is not a known one.
func resultName(result int32) string {
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
