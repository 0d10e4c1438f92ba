// Package device opens a place where models run: a Vulkan device, or the CPU. It knows a device's properties
// and roofline, whether it has memory for a model, and which errors are the device's fault. It makes executors on the
// device.
//
// Several users, for example engines, may share a device and run executors of their own on it. Each has a User, and
// says by it when it works on the device. So a lost device can be opened anew when nobody works on it.
package device
