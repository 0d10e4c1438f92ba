// Package view is the window: it shows a text while the model writes it, and the state that the model writes it from.
// Only builds with the tags view and vulkan have it, since it needs the libraries of a window system (make view).
//
// Package scene says what stands where, package paint draws it on the device, package player plays the text, and this
// package joins them with GLFW and a swapchain.
package view
