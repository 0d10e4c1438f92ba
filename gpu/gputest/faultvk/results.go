package faultvk

import "slices"

// VkResults of failures.
const (
	Timeout              = 2
	OutOfHostMemory      = -1
	OutOfDeviceMemory    = -2
	InitializationFailed = -3
	DeviceLost           = -4
	MemoryMapFailed      = -5
	Fragmented           = -12
	OutOfPoolMemory      = -1000069000
	InvalidShader        = -1000012000
)

// Results returns the failures that the specification allows a function to return, and that this project meets.
func Results(function string) []int32 {
	memory := []int32{OutOfHostMemory, OutOfDeviceMemory}
	switch function {
	case "vkEnumerateInstanceVersion", "vkResetFences", "vkCreatePipelineCache", "vkDestroyPipelineCache":
		return memory[:1]
	case "vkCreateInstance", "vkEnumeratePhysicalDevices":
		return append(memory, InitializationFailed)
	case "vkCreateDevice":
		return append(memory, InitializationFailed, DeviceLost)
	case "vkQueueSubmit", "vkWaitForFences", "vkDeviceWaitIdle", "vkGetQueryPoolResults":
		return append(memory, DeviceLost)
	case "vkCreateComputePipelines":
		return append(memory, InitializationFailed, InvalidShader)
	case "vkCreateShaderModule":
		return append(memory, InvalidShader)
	case "vkMapMemory":
		return append(memory, MemoryMapFailed)
	case "vkCreateDescriptorPool":
		return append(memory, Fragmented)
	case "vkAllocateDescriptorSets":
		return append(memory, Fragmented, OutOfPoolMemory)
	}
	return slices.Clone(memory)
}
