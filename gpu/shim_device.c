#include "shim_device.h"
#include <stdlib.h>
#include <string.h>

#define RG_OUT_OF_HOST_MEMORY -1
#define RG_INITIALIZATION_FAILED -3

static void chain(vk_features2 *head, void *link) {
	((vk_base *)link)->pNext = head->pNext;
	head->pNext = link;
}

// Enables what want holds and nothing else. Robust access stays off: shaders check their own bounds.
int rg_dev_create(void *gipa, void *inst, void *pd, uint32_t family, const rg_caps *w, rg_dev **out) {
	FN(vk_result, vkCreateDevice, vk_obj, const vk_device_info *, const void *, vk_obj *);
	FN(vk_fn, vkGetDeviceProcAddr, vk_obj, const char *);
	GET(inst, vkCreateDevice);
	GET(inst, vkGetDeviceProcAddr);
	if (!vkCreateDevice || !vkGetDeviceProcAddr) return RG_INITIALIZATION_FAILED;
	vk_features2 f = {.sType = ST_FEATURES2};
	vk_storage16 s16 = {.sType = ST_STORAGE16, .storage = w->storage16, .push = w->push16};
	vk_storage8 s8 = {.sType = ST_STORAGE8, .storage = w->storage8};
	vk_float16_int8 fi = {.sType = ST_FLOAT16_INT8, .float16 = w->float16, .int8 = w->int8};
	vk_size_control sc = {.sType = ST_SIZE_CONTROL, .control = w->size_control, .full = w->full_subgroups};
	vk_dot dot = {.sType = ST_DOT, .dot = w->dot};
	vk_memory_model mm = {.sType = ST_MEMORY_MODEL, .model = w->coopmat, .device_scope = w->coopmat};
	vk_coopmat cm = {.sType = ST_COOPMAT, .matrix = w->coopmat};
	f.f[FEATURE_INT16] = w->int16, f.f[FEATURE_INT64] = w->int64, f.f[FEATURE_FLOAT64] = w->float64;
	if (w->storage16 || w->push16) chain(&f, &s16);
	if (w->storage8) chain(&f, &s8);
	if (w->float16 || w->int8) chain(&f, &fi);
	if (w->size_control || w->full_subgroups) chain(&f, &sc);
	if (w->dot) chain(&f, &dot);
	vk_statistics st = {.sType = ST_STATISTICS, .statistics = 1};
	if (w->ext_statistics) chain(&f, &st);
	vk_uniform_flow uf = {.sType = ST_UNIFORM_FLOW, .flow = 1};
	if (w->uniform_flow) chain(&f, &uf);
	const char *exts[11];
	float priority = 1;
	vk_queue_info q = {.sType = ST_QUEUE, .family = family, .count = 1, .priorities = &priority};
	vk_device_info info = {.sType = ST_DEVICE, .pNext = &f, .nqueues = 1, .queues = &q, .exts = exts};
	if (w->ext_storage8) exts[info.nexts++] = "VK_KHR_8bit_storage";
	if (w->ext_float16_int8) exts[info.nexts++] = "VK_KHR_shader_float16_int8";
	if (w->ext_size_control) exts[info.nexts++] = "VK_EXT_subgroup_size_control";
	if (w->ext_dot) exts[info.nexts++] = "VK_KHR_shader_integer_dot_product";
	if (w->coopmat) {
		chain(&f, &mm);
		chain(&f, &cm);
		exts[info.nexts++] = "VK_KHR_cooperative_matrix";
		if (w->ext_memory_model) exts[info.nexts++] = "VK_KHR_vulkan_memory_model";
	}
	if (w->uniform_flow) exts[info.nexts++] = "VK_KHR_shader_subgroup_uniform_control_flow";
	if (w->ext_statistics) exts[info.nexts++] = "VK_KHR_pipeline_executable_properties";
	if (w->ext_budget) exts[info.nexts++] = "VK_EXT_memory_budget";
	if (w->ext_portability) exts[info.nexts++] = "VK_KHR_portability_subset"; // must be enabled where it exists
	if (w->swapchain) exts[info.nexts++] = "VK_KHR_swapchain";
	rg_dev *d = calloc(1, sizeof *d);
	if (!d) return RG_OUT_OF_HOST_MEMORY;
	vk_result r = vkCreateDevice(pd, &info, NULL, &d->dev);
	if (r) {
		free(d);
		return r;
	}
	int missing = 0;
#define X(ret, name, ...) vk_set_fn(&d->name, vkGetDeviceProcAddr(d->dev, #name)); missing |= !d->name;
	RG_FUNCTIONS(X)
	if (w->ext_statistics) {
		RG_STATISTICS(X)
	}
#undef X
	if (missing) {
		if (d->vkDestroyDevice) d->vkDestroyDevice(d->dev, NULL);
		free(d);
		return RG_INITIALIZATION_FAILED;
	}
	d->family = family, d->statistics = w->ext_statistics;
	d->vkGetDeviceQueue(d->dev, family, 0, &d->queue);
	*out = d;
	return 0;
}

void rg_dev_destroy(rg_dev *d) {
	d->vkDestroyDevice(d->dev, NULL);
	free(d);
}

void *rg_dev_handle(rg_dev *d) { return d->dev; }

int rg_cache_create(rg_dev *d, const void *data, size_t size, uint64_t *out) {
	vk_blob_info info = {.sType = ST_PIPELINE_CACHE, .size = size, .data = data};
	return d->vkCreatePipelineCache(d->dev, &info, NULL, out);
}

int rg_cache_data(rg_dev *d, uint64_t cache, size_t *size, void *data) { return d->vkGetPipelineCacheData(d->dev, cache, size, data); }

void rg_cache_destroy(rg_dev *d, uint64_t cache) { d->vkDestroyPipelineCache(d->dev, cache, NULL); }

int rg_set_layout(rg_dev *d, uint32_t n, const uint32_t *types, uint64_t *out) {
	vk_binding b[RG_MAX_BINDINGS];
	if (n > RG_MAX_BINDINGS) return RG_INITIALIZATION_FAILED;
	for (uint32_t i = 0; i < n; i++) b[i] = (vk_binding){i, types[i], 1, SHADER_COMPUTE, NULL};
	vk_set_layout_info info = {.sType = ST_SET_LAYOUT, .n = n, .bindings = b};
	return d->vkCreateDescriptorSetLayout(d->dev, &info, NULL, out);
}

int rg_pipeline_layout(rg_dev *d, uint64_t set_layout, uint32_t push, uint64_t *out) {
	vk_push_range p = {SHADER_COMPUTE, 0, push};
	vk_pipeline_layout_info info = {.sType = ST_PIPELINE_LAYOUT, .nsets = 1, .sets = &set_layout, .npush = push > 0, .push = &p};
	return d->vkCreatePipelineLayout(d->dev, &info, NULL, out);
}

void rg_layouts_destroy(rg_dev *d, uint64_t set_layout, uint64_t pipeline_layout) {
	if (pipeline_layout) d->vkDestroyPipelineLayout(d->dev, pipeline_layout, NULL);
	if (set_layout) d->vkDestroyDescriptorSetLayout(d->dev, set_layout, NULL);
}

int rg_pipeline(rg_dev *d, uint64_t cache, uint64_t layout, const void *code, size_t size, const uint32_t *spec,
	uint32_t nspec, uint32_t subgroup, int full, uint64_t *out) {
	vk_spec_entry e[RG_MAX_SPEC];
	if (nspec > RG_MAX_SPEC) return RG_INITIALIZATION_FAILED;
	for (uint32_t i = 0; i < nspec; i++) e[i] = (vk_spec_entry){i, 4 * i, 4};
	vk_spec si = {nspec, e, 4 * (size_t)nspec, spec};
	vk_blob_info mi = {.sType = ST_SHADER_MODULE, .size = size, .data = code};
	vk_hnd module = 0;
	vk_result r = d->vkCreateShaderModule(d->dev, &mi, NULL, &module);
	if (r) return r;
	vk_required_size rs = {.sType = ST_REQUIRED_SIZE, .size = subgroup};
	vk_compute_info info = {.sType = ST_COMPUTE_PIPELINE, .flags = d->statistics ? PIPELINE_STATISTICS : 0, .layout = layout, .base_index = -1};
	info.stage = (vk_stage){.sType = ST_SHADER_STAGE, .pNext = subgroup ? &rs : NULL, .flags = full ? 2 : 0,
		.stage = SHADER_COMPUTE, .module = module, .name = "main", .spec = nspec ? &si : NULL};
	r = d->vkCreateComputePipelines(d->dev, cache, 1, &info, NULL, out);
	d->vkDestroyShaderModule(d->dev, module, NULL);
	return r;
}

void rg_pipeline_destroy(rg_dev *d, uint64_t pipeline) { d->vkDestroyPipeline(d->dev, pipeline, NULL); }

int rg_executables(rg_dev *d, uint64_t pipeline, uint32_t *n) {
	vk_pipeline info = {.sType = ST_PIPELINE, .pipeline = pipeline};
	return d->vkGetPipelineExecutablePropertiesKHR(d->dev, &info, n, NULL);
}

int rg_executable(rg_dev *d, uint64_t pipeline, uint32_t index, rg_statistics *out) {
	vk_pipeline info = {.sType = ST_PIPELINE, .pipeline = pipeline};
	vk_executable_place place = {.sType = ST_EXECUTABLE_PLACE, .pipeline = pipeline, .index = index};
	uint32_t n = index + 1;
	vk_executable *e = calloc(n, sizeof *e);
	vk_statistic *s = calloc(RG_MAX_STATISTICS, sizeof *s);
	vk_result r = RG_OUT_OF_HOST_MEMORY;
	if (e && s) {
		for (uint32_t i = 0; i < n; i++) e[i].sType = ST_EXECUTABLE;
		for (uint32_t i = 0; i < RG_MAX_STATISTICS; i++) s[i].sType = ST_STATISTIC;
		r = d->vkGetPipelineExecutablePropertiesKHR(d->dev, &info, &n, e);
	}
	if (r >= 0) {
		out->n = RG_MAX_STATISTICS, out->subgroup = e[index].subgroup;
		memcpy(out->name, e[index].name, sizeof out->name);
		r = d->vkGetPipelineExecutableStatisticsKHR(d->dev, &place, &out->n, s);
	}
	for (uint32_t i = 0; r >= 0 && i < out->n; i++) {
		memcpy(out->list[i].name, s[i].name, sizeof s[i].name);
		switch (s[i].format) {
		case STATISTIC_BOOL: out->list[i].value = s[i].value.b; break;
		case STATISTIC_INT: out->list[i].value = (double)s[i].value.i; break;
		case STATISTIC_UINT: out->list[i].value = (double)s[i].value.u; break;
		default: out->list[i].value = s[i].value.f;
		}
	}
	free(e);
	free(s);
	return r < 0 ? r : 0;
}

int rg_set_pool(rg_dev *d, uint32_t sets, uint32_t storage, uint32_t texel, uint64_t *out) {
	vk_pool_size s[2];
	vk_set_pool_info info = {.sType = ST_SET_POOL, .max_sets = sets, .sizes = s};
	if (storage) s[info.n++] = (vk_pool_size){DESC_STORAGE, storage};
	if (texel) s[info.n++] = (vk_pool_size){DESC_TEXEL, texel};
	return d->vkCreateDescriptorPool(d->dev, &info, NULL, out);
}

void rg_set_pool_destroy(rg_dev *d, uint64_t pool) { d->vkDestroyDescriptorPool(d->dev, pool, NULL); }

int rg_set(rg_dev *d, uint64_t pool, uint64_t layout, uint32_t n, const rg_arg *args, uint64_t *out) {
	vk_write_set w[RG_MAX_BINDINGS];
	vk_buffer_range b[RG_MAX_BINDINGS];
	vk_set_allocate info = {.sType = ST_SET_ALLOCATE, .pool = pool, .n = 1, .layouts = &layout};
	vk_result r = d->vkAllocateDescriptorSets(d->dev, &info, out);
	if (r) return r;
	for (uint32_t i = 0; i < n; i++) {
		b[i] = (vk_buffer_range){args[i].buffer, args[i].offset, args[i].size};
		w[i] = (vk_write_set){.sType = ST_WRITE_SET, .set = *out, .binding = i, .count = 1};
		if (args[i].view) w[i].type = DESC_TEXEL, w[i].views = &args[i].view;
		else w[i].type = DESC_STORAGE, w[i].buffers = &b[i];
	}
	d->vkUpdateDescriptorSets(d->dev, n, w, 0, NULL);
	return 0;
}
