#include "shim_device.h"

int rg_cmd_create(rg_dev *d, uint64_t *pool, void **cmd) {
	vk_cmd_pool_info pi = {.sType = ST_CMD_POOL, .flags = 2, .family = d->family}; // 2: buffers can be recorded anew
	vk_result r = d->vkCreateCommandPool(d->dev, &pi, NULL, pool);
	if (r) return r;
	vk_cmd_allocate ai = {.sType = ST_CMD_ALLOCATE, .pool = *pool, .count = 1};
	r = d->vkAllocateCommandBuffers(d->dev, &ai, cmd);
	if (r) {
		d->vkDestroyCommandPool(d->dev, *pool, NULL);
		*pool = 0;
	}
	return r;
}

void rg_cmd_destroy(rg_dev *d, uint64_t pool) { d->vkDestroyCommandPool(d->dev, pool, NULL); }

int rg_cmd_begin(rg_dev *d, void *cmd, int once) {
	vk_cmd_begin_info info = {.sType = ST_CMD_BEGIN, .flags = once ? 1 : 0};
	return d->vkBeginCommandBuffer(cmd, &info);
}

int rg_cmd_end(rg_dev *d, void *cmd) { return d->vkEndCommandBuffer(cmd); }

// A global barrier: all writes of src_stages are seen by all accesses of dst_stages.
void rg_cmd_barrier(rg_dev *d, void *cmd, uint32_t src, uint32_t dst) {
	vk_memory_barrier b = {.sType = ST_MEMORY_BARRIER};
	if (src & STAGE_COMPUTE) b.src |= ACCESS_SHADER_WRITE;
	if (src & STAGE_TRANSFER) b.src |= ACCESS_TRANSFER_WRITE;
	if (dst & STAGE_COMPUTE) b.dst |= ACCESS_SHADER;
	if (dst & STAGE_TRANSFER) b.dst |= ACCESS_TRANSFER;
	if (dst & STAGE_HOST) b.dst |= ACCESS_HOST_READ;
	d->vkCmdPipelineBarrier(cmd, src, dst, 0, 1, &b, 0, NULL, 0, NULL);
}

// pipeline or set 0: bound already.
void rg_cmd_dispatch(rg_dev *d, void *cmd, uint64_t pipeline, uint64_t layout, uint64_t set, const void *push,
	uint32_t npush, uint32_t x, uint32_t y, uint32_t z) {
	if (pipeline) d->vkCmdBindPipeline(cmd, 1, pipeline);
	if (set) d->vkCmdBindDescriptorSets(cmd, 1, layout, 0, 1, &set, 0, NULL);
	if (npush) d->vkCmdPushConstants(cmd, layout, SHADER_COMPUTE, 0, npush, push);
	d->vkCmdDispatch(cmd, x, y, z);
}

void rg_cmd_copy(rg_dev *d, void *cmd, uint64_t src, uint64_t src_off, uint64_t dst, uint64_t dst_off, uint64_t size) {
	vk_copy c = {src_off, dst_off, size};
	d->vkCmdCopyBuffer(cmd, src, dst, 1, &c);
}

void rg_cmd_fill(rg_dev *d, void *cmd, uint64_t dst, uint64_t off, uint64_t size, uint32_t value) {
	d->vkCmdFillBuffer(cmd, dst, off, size, value);
}

void rg_cmd_reset_queries(rg_dev *d, void *cmd, uint64_t pool, uint32_t n) { d->vkCmdResetQueryPool(cmd, pool, 0, n); }

void rg_cmd_timestamp(rg_dev *d, void *cmd, uint64_t pool, uint32_t slot) { d->vkCmdWriteTimestamp(cmd, STAGE_BOTTOM, pool, slot); }

int rg_fence(rg_dev *d, uint64_t *out) {
	vk_cmd_begin_info info = {.sType = ST_FENCE};
	return d->vkCreateFence(d->dev, &info, NULL, out);
}

void rg_fence_destroy(rg_dev *d, uint64_t fence) { d->vkDestroyFence(d->dev, fence, NULL); }

int rg_submit(rg_dev *d, void *cmd, uint64_t fence) {
	vk_result r = d->vkResetFences(d->dev, 1, &fence);
	if (r) return r;
	vk_submit s = {.sType = ST_SUBMIT, .ncmds = 1, .cmds = &cmd};
	d->submitted = 1;
	return d->vkQueueSubmit(d->queue, 1, &s, fence);
}

int rg_wait(rg_dev *d, uint64_t fence, uint64_t timeout_ns) { return d->vkWaitForFences(d->dev, 1, &fence, 1, timeout_ns); }

// If nothing was submitted there is nothing to wait for. Drivers that only compile, for GPUs that are not there, cannot
// wait.
int rg_idle(rg_dev *d) { return d->submitted ? d->vkDeviceWaitIdle(d->dev) : 0; }
