// The Vulkan declarations that the shim needs, in the layout the specification gives them.
#ifndef RG_SHIM_VK_H
#define RG_SHIM_VK_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef _WIN32
#define VKCALL __stdcall
#else
#define VKCALL
#endif

// Dispatchable handles are pointers; all others are 64 bits wide on every platform.
typedef void *vk_obj;
typedef uint64_t vk_hnd;
typedef uint32_t vk_bool;
typedef int32_t vk_result;
typedef void (VKCALL *vk_fn)(void);
typedef vk_fn (VKCALL *vk_gipa)(vk_obj, const char *);

// FN declares a local function pointer, GET fills it through the instance (gipa in scope).
#define FN(ret, name, ...) ret (VKCALL *name)(__VA_ARGS__)
#define GET(inst, name) vk_set_fn(&name, ((vk_gipa)gipa)(inst, #name))
static inline void vk_set_fn(void *slot, vk_fn f) { memcpy(slot, &f, sizeof f); }

enum {
	ST_APPLICATION = 0, ST_INSTANCE = 1, ST_QUEUE = 2, ST_DEVICE = 3, ST_SUBMIT = 4, ST_FENCE = 8, ST_SHADER_MODULE = 16,
	ST_PIPELINE_CACHE = 17, ST_SHADER_STAGE = 18, ST_COMPUTE_PIPELINE = 29, ST_PIPELINE_LAYOUT = 30, ST_SET_LAYOUT = 32,
	ST_SET_POOL = 33, ST_SET_ALLOCATE = 34, ST_WRITE_SET = 35, ST_CMD_POOL = 39, ST_CMD_ALLOCATE = 40, ST_CMD_BEGIN = 42,
	ST_MEMORY_BARRIER = 46,
	ST_FEATURES2 = 1000059000, ST_PROPERTIES2 = 1000059001, ST_MEMORY_PROPERTIES2 = 1000059006,
	ST_FLOAT16_INT8 = 1000082000, ST_STORAGE16 = 1000083000, ST_SUBGROUP = 1000094000, ST_MESSENGER = 1000128004,
	ST_PORTABILITY = 1000163000, ST_MAINTENANCE3 = 1000168000, ST_STORAGE8 = 1000177000, ST_DRIVER = 1000196000,
	ST_SIZE_CONTROL_PROPS = 1000225000, ST_REQUIRED_SIZE = 1000225001, ST_SIZE_CONTROL = 1000225002, ST_BUDGET = 1000237000,
	ST_UNIFORM_FLOW = 1000323000, ST_STATISTICS = 1000269000, ST_PIPELINE = 1000269001, ST_EXECUTABLE = 1000269002, ST_EXECUTABLE_PLACE = 1000269003, ST_STATISTIC = 1000269004,
	ST_DOT = 1000280000, ST_DOT_PROPS = 1000280001, ST_MEMORY_MODEL = 1000211000, ST_MAINTENANCE4_PROPS = 1000413001,
	ST_COOPMAT = 1000506000, ST_COOPMAT_SHAPE = 1000506001, ST_COOPMAT_PROPS = 1000506002
};
enum { STAGE_COMPUTE = 0x800, STAGE_TRANSFER = 0x1000, STAGE_BOTTOM = 0x2000, STAGE_HOST = 0x4000 };
enum { ACCESS_SHADER = 0x60, ACCESS_SHADER_WRITE = 0x40, ACCESS_TRANSFER = 0x1800, ACCESS_TRANSFER_WRITE = 0x1000, ACCESS_HOST_READ = 0x2000 };
enum { COMPONENT_FLOAT16 = 0, COMPONENT_FLOAT32 = 1, SCOPE_SUBGROUP = 3 };
enum { STATISTIC_BOOL = 0, STATISTIC_INT = 1, STATISTIC_UINT = 2, PIPELINE_STATISTICS = 0x40 };
enum { DESC_TEXEL = 4, DESC_STORAGE = 7, SHADER_COMPUTE = 0x20, QUEUE_GRAPHICS = 1, QUEUE_COMPUTE = 2 };
enum { FEATURE_FLOAT64 = 39, FEATURE_INT64 = 40, FEATURE_INT16 = 41, FEATURE_COUNT = 55 }; // places in VkPhysicalDeviceFeatures

typedef struct { uint32_t sType; void *pNext; } vk_base;

// Instance.
typedef struct { uint32_t sType; const void *pNext; const char *app; uint32_t app_version; const char *engine; uint32_t engine_version, api; } vk_application;
typedef struct { uint32_t sType; const void *pNext; uint32_t flags; const vk_application *app; uint32_t nlayers; const char *const *layers; uint32_t nexts; const char *const *exts; } vk_instance_info;
typedef struct { char name[256]; uint32_t version; } vk_extension;
typedef struct { char name[256]; uint32_t spec, impl; char description[256]; } vk_layer;
typedef struct { uint32_t sType; const void *pNext; uint32_t flags; const char *id_name; int32_t id; const char *text; } vk_message; // first fields
typedef vk_bool (VKCALL *vk_message_fn)(uint32_t severity, uint32_t types, const vk_message *m, void *user);
typedef struct { uint32_t sType; const void *pNext; uint32_t flags, severity, types; vk_message_fn fn; void *user; } vk_messenger_info;

// Physical device. VkPhysicalDeviceProperties is 824 bytes; only what is chained behind it is read.
typedef struct { uint32_t sType; void *pNext; uint64_t properties[128]; } vk_properties2;
typedef struct { uint32_t sType; void *pNext; uint32_t id; char name[256], info[256]; uint8_t conformance[4]; } vk_driver;
typedef struct { uint32_t sType; void *pNext; uint32_t size, stages, ops; vk_bool quad; } vk_subgroup;
typedef struct { uint32_t sType; void *pNext; uint32_t min, max, max_groups, stages; } vk_size_control_props;
typedef struct { uint32_t sType; void *pNext; vk_bool fast[30]; } vk_dot_props; // [4]: 4x8 bit packed signed
typedef struct { uint32_t sType; void *pNext; uint32_t max_set; uint64_t max_alloc; } vk_maintenance3;
typedef struct { uint32_t sType; void *pNext; uint64_t max_buffer; } vk_maintenance4_props;
typedef struct { uint32_t sType; void *pNext; vk_bool f[FEATURE_COUNT]; } vk_features2;
typedef struct { uint32_t sType; void *pNext; vk_bool storage, uniform, push, io; } vk_storage16;
typedef struct { uint32_t sType; void *pNext; vk_bool storage, uniform, push; } vk_storage8;
typedef struct { uint32_t sType; void *pNext; vk_bool float16, int8; } vk_float16_int8;
typedef struct { uint32_t sType; void *pNext; vk_bool control, full; } vk_size_control;
typedef struct { uint32_t sType; void *pNext; vk_bool dot; } vk_dot;
typedef struct { uint32_t sType; void *pNext; vk_bool statistics; } vk_statistics;
typedef struct { uint32_t sType; void *pNext; vk_bool flow; } vk_uniform_flow;
typedef struct { uint32_t sType; void *pNext; vk_bool model, device_scope, chains; } vk_memory_model;
typedef struct { uint32_t sType; void *pNext; vk_bool matrix, robust; } vk_coopmat;
typedef struct { uint32_t sType; void *pNext; uint32_t stages; } vk_coopmat_props;
typedef struct { uint32_t sType; void *pNext; uint32_t m, n, k, a, b, c, result; vk_bool saturating; uint32_t scope; } vk_coopmat_shape;
typedef struct { uint32_t flags, heap; } vk_memory_type;
typedef struct { uint64_t size; uint32_t flags; } vk_memory_heap;
typedef struct { uint32_t sType; void *pNext; uint32_t ntypes; vk_memory_type types[32]; uint32_t nheaps; vk_memory_heap heaps[16]; } vk_memory2;
typedef struct { uint32_t sType; void *pNext; uint64_t budget[16], usage[16]; } vk_budget;
typedef struct { uint32_t flags, count, timestamp_bits, granularity[3]; } vk_queue_family;

// Device.
typedef struct { uint32_t sType; const void *pNext; uint32_t flags, family, count; const float *priorities; } vk_queue_info;
typedef struct { uint32_t sType; const void *pNext; uint32_t flags, nqueues; const vk_queue_info *queues; uint32_t nlayers; const char *const *layers; uint32_t nexts; const char *const *exts; const void *features; } vk_device_info;
typedef struct { uint32_t sType; const void *pNext; uint32_t flags; size_t size; const void *data; } vk_blob_info; // shader module, pipeline cache
typedef struct { uint32_t binding, type, count, stages; const void *samplers; } vk_binding;
typedef struct { uint32_t sType; const void *pNext; uint32_t flags, n; const vk_binding *bindings; } vk_set_layout_info;
typedef struct { uint32_t stages, offset, size; } vk_push_range;
typedef struct { uint32_t sType; const void *pNext; uint32_t flags, nsets; const vk_hnd *sets; uint32_t npush; const vk_push_range *push; } vk_pipeline_layout_info;
typedef struct { uint32_t id, offset; size_t size; } vk_spec_entry;
typedef struct { uint32_t n; const vk_spec_entry *entries; size_t size; const void *data; } vk_spec;
typedef struct { uint32_t sType; void *pNext; uint32_t size; } vk_required_size;
typedef struct { uint32_t sType; const void *pNext; uint32_t flags, stage; vk_hnd module; const char *name; const vk_spec *spec; } vk_stage;
typedef struct { uint32_t sType; const void *pNext; uint32_t flags; vk_stage stage; vk_hnd layout, base; int32_t base_index; } vk_compute_info;
typedef struct { uint32_t sType; const void *pNext; vk_hnd pipeline; } vk_pipeline;
typedef struct { uint32_t sType; void *pNext; uint32_t stages; char name[256], description[256]; uint32_t subgroup; } vk_executable;
typedef struct { uint32_t sType; const void *pNext; vk_hnd pipeline; uint32_t index; } vk_executable_place;
typedef struct { uint32_t sType; void *pNext; char name[256], description[256]; uint32_t format; union { vk_bool b; int64_t i; uint64_t u; double f; } value; } vk_statistic;
typedef struct { uint32_t type, count; } vk_pool_size;
typedef struct { uint32_t sType; const void *pNext; uint32_t flags, max_sets, n; const vk_pool_size *sizes; } vk_set_pool_info;
typedef struct { uint32_t sType; const void *pNext; vk_hnd pool; uint32_t n; const vk_hnd *layouts; } vk_set_allocate;
typedef struct { vk_hnd buffer; uint64_t offset, range; } vk_buffer_range;
typedef struct { uint32_t sType; const void *pNext; vk_hnd set; uint32_t binding, element, count, type; const void *images; const vk_buffer_range *buffers; const vk_hnd *views; } vk_write_set;

// Commands.
typedef struct { uint32_t sType; const void *pNext; uint32_t flags, family; } vk_cmd_pool_info;
typedef struct { uint32_t sType; const void *pNext; vk_hnd pool; uint32_t level, count; } vk_cmd_allocate;
typedef struct { uint32_t sType; const void *pNext; uint32_t flags; const void *inherit; } vk_cmd_begin_info; // fence info has the same head
typedef struct { uint32_t sType; const void *pNext; uint32_t src, dst; } vk_memory_barrier;
typedef struct { uint64_t src, dst, size; } vk_copy;
typedef struct { uint32_t sType; const void *pNext; uint32_t nwait; const void *wait, *stages; uint32_t ncmds; const vk_obj *cmds; uint32_t nsignal; const void *signal; } vk_submit;

#endif
