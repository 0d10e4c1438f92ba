// Package gpu runs compute kernels on Vulkan. It knows nothing of models.
//
//	in, err := gpu.Open(gpu.Options{})                   // loader, driver, list of devices
//	dev, err := in.Device(gpu.Pick(in.Devices()), gpu.DeviceOptions{})
//	buf, err := dev.NewBuffer("x", 4096, gpu.DeviceLocal)
//	k, err := dev.StartKernel(gpu.KernelDesc{...})        // SPIR-V checked against the device
//	rec := dev.NewRecording()
//	rec.Dispatch(k, []gpu.Range{buf.All()}, push, 4, 1, 1) // barriers derived from Binding.Access
//	cmds, err := rec.End()                                // all mistakes of the recording
//	err = cmds.Run()                                      // again and again, without allocating
//
// # Vulkan
//
// Vulkan 1.1 is enough. What 1.2 and 1.3 add is read through the structures of the device's
// version or extensions, listed in Info, switched on where it exists, and never required.
// Everything that varies by device is in Info; there are no vendor names but for display.
// A device that is a subset of Vulkan (MoltenVK) is listed like any other.
//
// The binding github.com/vulkan-go/vulkan makes the short calls that are safe in it: buffers,
// memory, views, queries, properties. It can free memory that a call still reads when it is
// given slices of structures, it lacks the 1.1 queries, and it allocates on every call; so all
// the rest goes through shim.h, which needs no Vulkan headers. Every such call is one cgo call
// whose structures live on the C stack.
//
// # Memory
//
// Buffers are cut from blocks of 16 to 256 MiB; a large one has a block of its own. Mapped
// memory is always coherent and stays mapped. Where device and host share their memory,
// Upload and Download copy straight; elsewhere they go through a ring of two staging buffers.
// Bytes is nil for DeviceLocal buffers even there, so that code written on one device works on
// the other. A Range that is bound must start at a multiple of Limits.StorageOffsetAlignment
// (256 is enough anywhere) and be no longer than Limits.MaxStorageBufferRange.
//
// # Order and visibility
//
// Commands run in the order of their Submits, each after all that was submitted before it.
// Within a recording, commands between which there is no hazard may run at once. The host
// sees a command's writes after Wait; the device sees the host's writes after Submit. Touching
// mapped memory, uploading or downloading while commands that use the range are under way is
// a race, as it is in Go.
//
// # Life times and goroutines
//
// Instance, Device, Buffer and Kernel may be used by several goroutines at a time; a Recording
// or Commands by one. Commands keep the buffers and kernels they use alive, so Release may
// come in any order. Device.Close names whatever was not released.
//
// # When the device fails
//
// A failed call is an *Error, which matches the errors of this package under errors.Is through all that wraps it. A
// lost device stays lost, and is given back like any other. No wait is endless: one that takes far longer than the same
// did before is a HangError, after which nothing is asked of the device, not even to take back what it gave.
//
// # Environment
//
// RWKV_VULKAN_LOADER names the loader library to use; RWKV_VALIDATE=1 loads the validation
// layer; RWKV_WAIT_LIMIT is DeviceOptions.WaitLimit in seconds; RWKV_DEVICE_TYPE=discrete takes every
// device for one of that type, for what its memory and the engine's kernels are then, in tests.
// Package gputest has more for tests.
package gpu
