// Package paint draws pictures of a scene with the device's kernels. What they show of states they read from the buffers
// that the engine computes in. A picture is an array of pixels in a buffer: a window's swapchain takes it, or the host.
package paint
