// Package vulkan runs programs on a Vulkan device. Everything that an op needs is uploaded once; what a batch of some
// shape does is recorded once and submitted again whenever that shape recurs.
//
// Its own job is what is left to the packages below it: the memory that passes work in, which forms a pass runs in,
// when it is recorded, and how long a submission may be.
package vulkan
