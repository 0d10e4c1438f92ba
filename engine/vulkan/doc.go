// Package vulkan runs programs on a Vulkan device. It uploads everything that an op needs once. It records what a batch
// of some shape does once, and submits the recording again whenever the shape recurs.
//
// The packages below it make kernels, steps, trials and draws. This one has the memory that passes work in. It decides
// in which forms a pass runs, when the pass is recorded, and how long a submission may be.
package vulkan
