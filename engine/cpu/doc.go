// Package cpu is the reference: it does every op plainly in float32, with gonum's products, over all cores. It says
// what is right; engine/vulkan says it faster.
package cpu
