// Package device opens the places where models run: a Vulkan device, or the CPU reference. It says what a device is, what it does
// at best, whether it has memory for a model, and what of an error is the device's fault; it makes executors on it.
//
// A device is shared: several users, as engines are, run executors of their own on it. Each has a User, by which it says when it
// works on the device. So the device can be opened anew, after it was lost, when nobody works on it.
package device
