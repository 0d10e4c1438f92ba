#include "shim.h"
#include "shim_vk.h"
#include <stdlib.h>
#include <string.h>

#define V(minor) (1u << 22 | (minor) << 12)

typedef struct { vk_extension *p; uint32_t n; } ext_list;

static ext_list device_exts(void *gipa, void *inst, void *pd) {
	FN(vk_result, vkEnumerateDeviceExtensionProperties, vk_obj, const char *, uint32_t *, vk_extension *);
	GET(inst, vkEnumerateDeviceExtensionProperties);
	ext_list l = {NULL, 0};
	if (vkEnumerateDeviceExtensionProperties(pd, NULL, &l.n, NULL)) l.n = 0;
	l.p = calloc(l.n + 1, sizeof *l.p);
	if (!l.p || vkEnumerateDeviceExtensionProperties(pd, NULL, &l.n, l.p) < 0) l.n = 0;
	return l;
}

static uint32_t has(ext_list l, const char *name) {
	for (uint32_t i = 0; i < l.n; i++)
		if (!strcmp(l.p[i].name, name)) return 1;
	return 0;
}

static void chain(void *head, void *link) {
	((vk_base *)link)->pNext = ((vk_base *)head)->pNext;
	((vk_base *)head)->pNext = link;
}

// The shapes that multiply float16 into float32 within a subgroup.
static void coopmat_shapes(void *gipa, void *inst, void *pd, rg_caps *o) {
	FN(vk_result, vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR, vk_obj, uint32_t *, vk_coopmat_shape *);
	GET(inst, vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR);
	uint32_t n = 0;
	if (!vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR) return;
	if (vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR(pd, &n, NULL) || !n) return;
	vk_coopmat_shape *s = calloc(n, sizeof *s);
	if (!s) return;
	for (uint32_t i = 0; i < n; i++) s[i].sType = ST_COOPMAT_SHAPE;
	if (vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR(pd, &n, s) < 0) n = 0;
	for (uint32_t i = 0; i < n && o->nshapes < RG_MAX_SHAPES; i++) {
		if (s[i].a != COMPONENT_FLOAT16 || s[i].b != COMPONENT_FLOAT16 || s[i].scope != SCOPE_SUBGROUP || s[i].saturating) continue;
		if (s[i].c != COMPONENT_FLOAT32 || s[i].result != COMPONENT_FLOAT32) continue;
		uint32_t *shape = o->shapes[o->nshapes++];
		shape[0] = s[i].m, shape[1] = s[i].n, shape[2] = s[i].k;
	}
	free(s);
}

// A structure is chained only where the core version or an extension defines it.
void rg_caps_query(void *gipa, void *inst, void *pd, uint32_t api, rg_caps *o) {
	FN(void, vkGetPhysicalDeviceFeatures2, vk_obj, vk_features2 *);
	FN(void, vkGetPhysicalDeviceProperties2, vk_obj, vk_properties2 *);
	GET(inst, vkGetPhysicalDeviceFeatures2);
	GET(inst, vkGetPhysicalDeviceProperties2);
	memset(o, 0, sizeof *o);
	ext_list l = device_exts(gipa, inst, pd);
	uint32_t v12 = api >= V(2), v13 = api >= V(3);
	o->ext_storage8 = !v12 && has(l, "VK_KHR_8bit_storage");
	o->ext_float16_int8 = !v12 && has(l, "VK_KHR_shader_float16_int8");
	o->ext_size_control = !v13 && has(l, "VK_EXT_subgroup_size_control");
	o->ext_dot = !v13 && has(l, "VK_KHR_shader_integer_dot_product");
	o->ext_memory_model = !v12 && has(l, "VK_KHR_vulkan_memory_model");
	o->ext_budget = has(l, "VK_EXT_memory_budget");
	o->ext_portability = has(l, "VK_KHR_portability_subset");
	o->swapchain = has(l, "VK_KHR_swapchain");
	o->uniform_flow = has(l, "VK_KHR_shader_subgroup_uniform_control_flow");
	o->ext_statistics = has(l, "VK_KHR_pipeline_executable_properties");
	uint32_t driver = v12 || has(l, "VK_KHR_driver_properties"), m4 = v13 || has(l, "VK_KHR_maintenance4");
	uint32_t sc = v13 || o->ext_size_control, dp = v13 || o->ext_dot, cm = has(l, "VK_KHR_cooperative_matrix") && (v12 || o->ext_memory_model);
	free(l.p);

	vk_properties2 p = {.sType = ST_PROPERTIES2};
	vk_subgroup sg = {.sType = ST_SUBGROUP};
	vk_maintenance3 m3 = {.sType = ST_MAINTENANCE3};
	vk_driver dr = {.sType = ST_DRIVER};
	vk_size_control_props scp = {.sType = ST_SIZE_CONTROL_PROPS};
	vk_dot_props dpp = {.sType = ST_DOT_PROPS};
	vk_maintenance4_props m4p = {.sType = ST_MAINTENANCE4_PROPS};
	vk_coopmat_props cmp = {.sType = ST_COOPMAT_PROPS};
	chain(&p, &sg);
	chain(&p, &m3);
	if (driver) chain(&p, &dr);
	if (sc) chain(&p, &scp);
	if (dp) chain(&p, &dpp);
	if (m4) chain(&p, &m4p);
	if (cm) chain(&p, &cmp);
	vkGetPhysicalDeviceProperties2(pd, &p);
	o->sg_size = sg.size, o->sg_stages = sg.stages, o->sg_ops = sg.ops;
	o->sg_min = sc ? scp.min : sg.size, o->sg_max = sc ? scp.max : sg.size;
	o->sg_max_groups = scp.max_groups, o->sg_required_stages = scp.stages;
	o->dot_fast = dpp.fast[4];
	o->max_alloc = m3.max_alloc, o->max_buffer = m4p.max_buffer;
	memcpy(o->driver_name, dr.name, sizeof dr.name);
	memcpy(o->driver_info, dr.info, sizeof dr.info);
	o->driver_id = dr.id;

	vk_features2 f = {.sType = ST_FEATURES2};
	vk_storage16 s16 = {.sType = ST_STORAGE16};
	vk_storage8 s8 = {.sType = ST_STORAGE8};
	vk_float16_int8 fi = {.sType = ST_FLOAT16_INT8};
	vk_size_control scf = {.sType = ST_SIZE_CONTROL};
	vk_dot d = {.sType = ST_DOT};
	vk_memory_model mm = {.sType = ST_MEMORY_MODEL};
	vk_coopmat c = {.sType = ST_COOPMAT};
	vk_statistics st = {.sType = ST_STATISTICS};
	chain(&f, &s16);
	vk_uniform_flow uf = {.sType = ST_UNIFORM_FLOW};
	if (o->ext_statistics) chain(&f, &st);
	if (o->uniform_flow) chain(&f, &uf);
	if (v12 || o->ext_storage8) chain(&f, &s8);
	if (v12 || o->ext_float16_int8) chain(&f, &fi);
	if (sc) chain(&f, &scf);
	if (dp) chain(&f, &d);
	if (cm) {
		chain(&f, &mm);
		chain(&f, &c);
	}
	vkGetPhysicalDeviceFeatures2(pd, &f);
	o->int16 = f.f[FEATURE_INT16], o->int64 = f.f[FEATURE_INT64], o->float64 = f.f[FEATURE_FLOAT64];
	o->storage16 = s16.storage, o->push16 = s16.push, o->storage8 = s8.storage, o->float16 = fi.float16, o->int8 = fi.int8;
	o->size_control = scf.control, o->full_subgroups = scf.full, o->dot = d.dot, o->ext_statistics = st.statistics, o->uniform_flow = uf.flow;
	if (c.matrix && mm.model && mm.device_scope && fi.float16 && cmp.stages & SHADER_COMPUTE) coopmat_shapes(gipa, inst, pd, o);
	o->coopmat = o->nshapes > 0;
}

void rg_memory_query(void *gipa, void *inst, void *pd, int budget, rg_memory *o) {
	FN(void, vkGetPhysicalDeviceMemoryProperties2, vk_obj, vk_memory2 *);
	GET(inst, vkGetPhysicalDeviceMemoryProperties2);
	memset(o, 0, sizeof *o);
	vk_memory2 m = {.sType = ST_MEMORY_PROPERTIES2};
	vk_budget b = {.sType = ST_BUDGET};
	if (budget) m.pNext = &b;
	vkGetPhysicalDeviceMemoryProperties2(pd, &m);
	o->types = m.ntypes, o->heaps = m.nheaps, o->has_budget = budget;
	for (uint32_t i = 0; i < m.ntypes; i++) o->type_flags[i] = m.types[i].flags, o->type_heap[i] = m.types[i].heap;
	for (uint32_t i = 0; i < m.nheaps; i++) {
		o->heap_size[i] = m.heaps[i].size, o->heap_local[i] = m.heaps[i].flags & 1;
		o->heap_budget[i] = b.budget[i], o->heap_usage[i] = b.usage[i];
	}
}
