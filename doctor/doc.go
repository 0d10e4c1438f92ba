// Package doctor examines what a model would run on: the Vulkan loader, its drivers and devices, the device that is
// chosen, its features, limits and memory, the results of every form of every op, and what is kept from earlier runs.
// It ends with a verdict and what to do. A report names no person, no machine and no path.
package doctor
