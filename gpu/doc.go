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
// Vulkan 1.1 is enough. Features of 1.2 and 1.3 are read through the structures of the device's version or extensions,
// listed in Info, enabled if they exist, and never required. Everything that varies by device is in Info. Vendor names
// serve display only. A device that is a subset of Vulkan (MoltenVK) is listed like any other.
//
// The binding github.com/vulkan-go/vulkan makes the short calls that are safe in it: buffers, memory, views, queries,
// properties. It can free memory that a call still reads if it is given slices of structures. It also lacks the queries
// of 1.1, and allocates on every call. So all other calls go through shim.h, which needs no Vulkan headers. Every such
// call is one cgo call whose structures live on the C stack.
//
// # Memory
//
// Buffers are cut from blocks of 16 to 256 MiB; a large buffer has a block of its own. Mapped memory is always coherent
// and stays mapped. If device and host share their memory, Upload and Download copy straight; else they go through a
// ring of two staging buffers. Bytes is nil for DeviceLocal buffers on every device, so that code written on one device
// works on another. A Range that is bound must start at a multiple of Limits.StorageOffsetAlignment (256 is enough
// anywhere) and be no longer than Limits.MaxStorageBufferRange.
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
// A failed call is an *Error. It matches the errors of this package under errors.Is, through all that wraps it. A lost
// device stays lost, and is given back like any other. No wait is endless. A wait that takes far longer than the same
// work took before is a HangError. After it nothing more is asked of the device, and its memory is not freed.
//
// # Environment
//
// RWKV_VULKAN_LOADER names the loader library to use. RWKV_VALIDATE=1 loads the validation layer. RWKV_WAIT_LIMIT is
// DeviceOptions.WaitLimit in seconds. In tests, RWKV_DEVICE_TYPE=discrete makes every device one of that type: it gets
// the transfers and the engine's kernels of such a device. Package gputest has more for tests.
package gpu
