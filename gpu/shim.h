// The part of Vulkan that the Go binding lacks or does unsafely, behind plain C functions. Everything that the driver
// reads lies on the C stack or in memory passed as an argument, so the garbage collector cannot move or free it.
// shim_vk.h declares the few Vulkan structures that are needed: building needs no Vulkan headers.
#ifndef RG_SHIM_H
#define RG_SHIM_H

#include <stddef.h>
#include <stdint.h>

enum { RG_MAX_SHAPES = 16 };

// What pNext chains say of a physical device. Booleans are 0 or 1.
typedef struct {
	uint32_t sg_size, sg_stages, sg_ops, sg_min, sg_max, sg_max_groups, sg_required_stages;
	uint32_t int16, int64, float64, storage16, push16, storage8, float16, int8;
	uint32_t size_control, full_subgroups, uniform_flow, dot, dot_fast, coopmat;
	uint32_t ext_storage8, ext_float16_int8, ext_size_control, ext_dot, ext_budget, ext_portability, ext_memory_model, ext_statistics;
	uint32_t swapchain; // not asked for without a window
	uint32_t nshapes, shapes[RG_MAX_SHAPES][3]; // of cooperative matrices: rows, columns, depth
	uint64_t max_alloc, max_buffer; // max_buffer 0: not stated
	char driver_name[256], driver_info[256]; // empty before Vulkan 1.2 without the extension
	uint32_t driver_id;                      // 0 then
} rg_caps;

typedef struct {
	uint32_t types, heaps;
	uint32_t type_flags[32], type_heap[32];
	uint64_t heap_size[16], heap_budget[16], heap_usage[16];
	uint32_t heap_local[16], has_budget;
} rg_memory;

// One descriptor of a set: a storage buffer range, or a buffer view when view is not 0.
typedef struct {
	uint64_t buffer, offset, size, view;
} rg_arg;

enum { RG_MAX_BINDINGS = 32, RG_MAX_SPEC = 64, RG_MAX_STATISTICS = 64, RG_MAX_EXTENSIONS = 8 };

// What a driver's compiler says of one executable of a pipeline.
typedef struct {
	char name[256];
	uint32_t subgroup, n;
	struct { char name[256]; double value; } list[RG_MAX_STATISTICS];
} rg_statistics;

typedef struct rg_dev rg_dev;

// Loader and instance. gipa is vkGetInstanceProcAddr.
void *rg_load(const char *name);
void rg_sleep(uint32_t ms);
int rg_instance_version(void *gipa, uint32_t *version);
int rg_has_layer(void *gipa, const char *layer);
int rg_instance_create(void *gipa, uint32_t api, int validate, uint32_t nexts, char *const *exts, void **out);
void rg_instance_destroy(void *gipa, void *inst);
int rg_messenger_create(void *gipa, void *inst, uintptr_t user, uint64_t *out);
void rg_messenger_destroy(void *gipa, void *inst, uint64_t messenger);
int rg_physical_devices(void *gipa, void *inst, uint32_t *n, void **out);
uint32_t rg_compute_family(void *gipa, void *inst, void *pd, uint64_t surface, uint32_t *timestamp_bits); // ~0: none
void rg_caps_query(void *gipa, void *inst, void *pd, uint32_t api, rg_caps *out);
void rg_memory_query(void *gipa, void *inst, void *pd, int budget, rg_memory *out);

// Device. The calls below return a VkResult.
int rg_dev_create(void *gipa, void *inst, void *pd, uint32_t family, const rg_caps *want, rg_dev **out);
void rg_dev_destroy(rg_dev *d);
void *rg_dev_handle(rg_dev *d);
int rg_cache_create(rg_dev *d, const void *data, size_t size, uint64_t *out);
int rg_cache_data(rg_dev *d, uint64_t cache, size_t *size, void *data);
void rg_cache_destroy(rg_dev *d, uint64_t cache);
int rg_set_layout(rg_dev *d, uint32_t n, const uint32_t *types, uint64_t *out);
int rg_pipeline_layout(rg_dev *d, uint64_t set_layout, uint32_t push, uint64_t *out);
void rg_layouts_destroy(rg_dev *d, uint64_t set_layout, uint64_t pipeline_layout);
int rg_pipeline(rg_dev *d, uint64_t cache, uint64_t layout, const void *code, size_t size, const uint32_t *spec,
	uint32_t nspec, uint32_t subgroup, int full, uint64_t *out);
void rg_pipeline_destroy(rg_dev *d, uint64_t pipeline);
int rg_executables(rg_dev *d, uint64_t pipeline, uint32_t *n); // of a device made with ext_statistics
int rg_executable(rg_dev *d, uint64_t pipeline, uint32_t index, rg_statistics *out);
int rg_set_pool(rg_dev *d, uint32_t sets, uint32_t storage, uint32_t texel, uint64_t *out);
void rg_set_pool_destroy(rg_dev *d, uint64_t pool);
int rg_set(rg_dev *d, uint64_t pool, uint64_t layout, uint32_t n, const rg_arg *args, uint64_t *out);

// Recording: one command buffer with a pool of its own.
int rg_cmd_create(rg_dev *d, uint64_t *pool, void **cmd);
void rg_cmd_destroy(rg_dev *d, uint64_t pool);
int rg_cmd_begin(rg_dev *d, void *cmd, int once);
int rg_cmd_end(rg_dev *d, void *cmd);
void rg_cmd_barrier(rg_dev *d, void *cmd, uint32_t src_stages, uint32_t dst_stages);
void rg_cmd_dispatch(rg_dev *d, void *cmd, uint64_t pipeline, uint64_t layout, uint64_t set, const void *push,
	uint32_t npush, uint32_t x, uint32_t y, uint32_t z);
void rg_cmd_copy(rg_dev *d, void *cmd, uint64_t src, uint64_t src_off, uint64_t dst, uint64_t dst_off, uint64_t size);
void rg_cmd_fill(rg_dev *d, void *cmd, uint64_t dst, uint64_t off, uint64_t size, uint32_t value);
void rg_cmd_reset_queries(rg_dev *d, void *cmd, uint64_t pool, uint32_t n);
void rg_cmd_timestamp(rg_dev *d, void *cmd, uint64_t pool, uint32_t slot);

// Execution.
int rg_fence(rg_dev *d, uint64_t *out);
void rg_fence_destroy(rg_dev *d, uint64_t fence);
int rg_submit(rg_dev *d, void *cmd, uint64_t fence); // resets the fence first
int rg_wait(rg_dev *d, uint64_t fence, uint64_t timeout_ns);
int rg_idle(rg_dev *d);

// Pictures in a window. Besides VkResults there are RG_NO_AREA and RG_NO_FORMAT. rg_swapchain_next, which waits for an image, is
// followed by rg_swapchain_copy and rg_swapchain_present of the image, each once. The caller has waited for the fence of the copy before.
enum { RG_NO_AREA = 1 << 30, RG_NO_FORMAT };
typedef struct rg_swapchain rg_swapchain;
typedef struct { uint32_t width, height, format; } rg_swapchain_info; // format: VkFormat, of 4 bytes a pixel
int rg_surface_shows(void *gipa, void *inst, void *pd, uint32_t family, uint64_t surface); // 0 or 1
void rg_surface_destroy(void *gipa, void *inst, uint64_t surface);
int rg_swapchain_create(void *gipa, void *inst, void *pd, rg_dev *d, uint64_t surface, uint32_t width, uint32_t height,
	rg_swapchain **out, rg_swapchain_info *info);
void rg_swapchain_destroy(rg_swapchain *s);
int rg_swapchain_next(rg_swapchain *s, uint64_t timeout_ns, uint32_t *image);
int rg_swapchain_copy(rg_swapchain *s, uint32_t image, uint64_t buffer, uint64_t offset, uint64_t fence);
int rg_swapchain_present(rg_swapchain *s, uint32_t image);

int rg_stdout_closed(void); // when the process started

#endif
