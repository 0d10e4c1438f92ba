// Package cpu is the reference. It computes every op plainly in float32, with gonum's products, on all cores. Its
// results are the right ones, and engine/vulkan computes the same faster.
package cpu
