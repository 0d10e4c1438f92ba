// The device's own entry points, fetched once so that no call passes the loader's dispatch.
#ifndef RG_SHIM_DEVICE_H
#define RG_SHIM_DEVICE_H

#include "shim.h"
#include "shim_vk.h"

#define RG_FUNCTIONS(X) \
	X(void, vkDestroyDevice, vk_obj, const void *) \
	X(void, vkGetDeviceQueue, vk_obj, uint32_t, uint32_t, vk_obj *) \
	X(vk_result, vkDeviceWaitIdle, vk_obj) \
	X(vk_result, vkCreatePipelineCache, vk_obj, const vk_blob_info *, const void *, vk_hnd *) \
	X(vk_result, vkGetPipelineCacheData, vk_obj, vk_hnd, size_t *, void *) \
	X(void, vkDestroyPipelineCache, vk_obj, vk_hnd, const void *) \
	X(vk_result, vkCreateDescriptorSetLayout, vk_obj, const vk_set_layout_info *, const void *, vk_hnd *) \
	X(void, vkDestroyDescriptorSetLayout, vk_obj, vk_hnd, const void *) \
	X(vk_result, vkCreatePipelineLayout, vk_obj, const vk_pipeline_layout_info *, const void *, vk_hnd *) \
	X(void, vkDestroyPipelineLayout, vk_obj, vk_hnd, const void *) \
	X(vk_result, vkCreateShaderModule, vk_obj, const vk_blob_info *, const void *, vk_hnd *) \
	X(void, vkDestroyShaderModule, vk_obj, vk_hnd, const void *) \
	X(vk_result, vkCreateComputePipelines, vk_obj, vk_hnd, uint32_t, const vk_compute_info *, const void *, vk_hnd *) \
	X(void, vkDestroyPipeline, vk_obj, vk_hnd, const void *) \
	X(vk_result, vkCreateDescriptorPool, vk_obj, const vk_set_pool_info *, const void *, vk_hnd *) \
	X(void, vkDestroyDescriptorPool, vk_obj, vk_hnd, const void *) \
	X(vk_result, vkAllocateDescriptorSets, vk_obj, const vk_set_allocate *, vk_hnd *) \
	X(void, vkUpdateDescriptorSets, vk_obj, uint32_t, const vk_write_set *, uint32_t, const void *) \
	X(vk_result, vkCreateCommandPool, vk_obj, const vk_cmd_pool_info *, const void *, vk_hnd *) \
	X(void, vkDestroyCommandPool, vk_obj, vk_hnd, const void *) \
	X(vk_result, vkAllocateCommandBuffers, vk_obj, const vk_cmd_allocate *, vk_obj *) \
	X(vk_result, vkBeginCommandBuffer, vk_obj, const vk_cmd_begin_info *) \
	X(vk_result, vkEndCommandBuffer, vk_obj) \
	X(void, vkCmdPipelineBarrier, vk_obj, uint32_t, uint32_t, uint32_t, uint32_t, const vk_memory_barrier *, uint32_t, const void *, uint32_t, const void *) \
	X(void, vkCmdBindPipeline, vk_obj, uint32_t, vk_hnd) \
	X(void, vkCmdBindDescriptorSets, vk_obj, uint32_t, vk_hnd, uint32_t, uint32_t, const vk_hnd *, uint32_t, const uint32_t *) \
	X(void, vkCmdPushConstants, vk_obj, vk_hnd, uint32_t, uint32_t, uint32_t, const void *) \
	X(void, vkCmdDispatch, vk_obj, uint32_t, uint32_t, uint32_t) \
	X(void, vkCmdCopyBuffer, vk_obj, vk_hnd, vk_hnd, uint32_t, const vk_copy *) \
	X(void, vkCmdFillBuffer, vk_obj, vk_hnd, uint64_t, uint64_t, uint32_t) \
	X(void, vkCmdResetQueryPool, vk_obj, vk_hnd, uint32_t, uint32_t) \
	X(void, vkCmdWriteTimestamp, vk_obj, uint32_t, vk_hnd, uint32_t) \
	X(vk_result, vkCreateFence, vk_obj, const vk_cmd_begin_info *, const void *, vk_hnd *) \
	X(void, vkDestroyFence, vk_obj, vk_hnd, const void *) \
	X(vk_result, vkResetFences, vk_obj, uint32_t, const vk_hnd *) \
	X(vk_result, vkWaitForFences, vk_obj, uint32_t, const vk_hnd *, vk_bool, uint64_t) \
	X(vk_result, vkQueueSubmit, vk_obj, uint32_t, const vk_submit *, vk_hnd)

// Those of VK_KHR_pipeline_executable_properties, which are there where it is enabled.
#define RG_STATISTICS(X) \
	X(vk_result, vkGetPipelineExecutablePropertiesKHR, vk_obj, const vk_pipeline *, uint32_t *, vk_executable *) \
	X(vk_result, vkGetPipelineExecutableStatisticsKHR, vk_obj, const vk_executable_place *, uint32_t *, vk_statistic *)

struct rg_dev {
	vk_obj dev, queue;
	uint32_t family, submitted, statistics;
#define X(ret, name, ...) ret (VKCALL *name)(__VA_ARGS__);
	RG_FUNCTIONS(X)
	RG_STATISTICS(X)
#undef X
};

#endif
