// A Vulkan loader that makes calls fail, for tests: RWKV_VULKAN_LOADER names it. It passes everything on to the
// system's loader, counts the calls that return a VkResult, makes one of them fail, crash or never return, and counts live
// objects. What it shall do and what it saw stands in the file that FAULTVK names, which is mapped by both sides; see
// faultvk.go.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

typedef void (*fn)(void);
typedef fn (*lookup)(void *, const char *);

enum { MAX_CALLS = 1 << 20, MAX_FUNCTIONS = 64, DEVICE_LOST = -4, TABLE = 1 << 16 };
enum { ONCE, STICKY, HANG, SLOW, CRASH };
enum { NONE, INSTANCE, DEVICE, BUFFER, VIEW, MEMORY, QUERIES, CACHE, SET_LAYOUT, LAYOUT, MODULE, PIPELINE, SET_POOL, CMD_POOL, FENCE, KINDS };

typedef struct {
	// Written by the test.
	int64_t at, result, mode, phase; // the call that fails, from 1 on; 0: none
	// Written here; the test sets them to 0.
	_Atomic int64_t calls, fired, lost, stuck, strange; // stuck: 1 + the function all of whose calls fail; strange: destroyed and not live
	_Atomic int64_t matched; // calls that at counts
	uint64_t spoil[4]; // written by the test: FNV-1a sums of shader modules to make wrong; 0: none
	_Atomic int64_t spoiled; // how many were
	int64_t unused;
	_Atomic int64_t live[16];
	char only[48]; // written by the test: the function that at counts; "": all
	char names[MAX_FUNCTIONS][48];
	struct { uint8_t function, phase; } trace[MAX_CALLS];
} control;

static control nothing, *ctl = &nothing;
static lookup real_instance_lookup, real_device_lookup;

static struct { uint64_t handle; int kind; } table[TABLE]; // kind -1: was one
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;

static void track(int kind, uint64_t handle, int made) {
	if (!kind || !handle) return;
	pthread_mutex_lock(&table_lock);
	uint32_t i = (uint32_t)((handle ^ (uint64_t)kind << 56) * 0x9e3779b97f4a7c15u >> 48), n = 0;
	for (; n < TABLE && table[i].kind && !(table[i].handle == handle && table[i].kind == kind) && !(made && table[i].kind < 0); n++) i = (i + 1) % TABLE;
	if (n == TABLE) abort();
	if (made) {
		table[i].handle = handle, table[i].kind = kind;
		ctl->live[kind]++;
	} else if (table[i].kind == kind) {
		table[i].kind = -1;
		ctl->live[kind]--;
	} else {
		ctl->strange++;
	}
	pthread_mutex_unlock(&table_lock);
}

static int of_device(const char *name) { // what a lost device fails
	return !strcmp(name, "vkQueueSubmit") || !strcmp(name, "vkWaitForFences") || !strcmp(name, "vkDeviceWaitIdle") || !strcmp(name, "vkGetQueryPoolResults");
}

static int32_t work(void) { // 200 ms of it
	struct timespec from, to;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
	do clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
	while ((to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000 < 200);
	return 0;
}

static int32_t fault(int f, const char *name) {
	int64_t n = ++ctl->calls;
	if (n <= MAX_CALLS) ctl->trace[n - 1].function = (uint8_t)f, ctl->trace[n - 1].phase = (uint8_t)ctl->phase;
	if (ctl->at && (!ctl->only[0] || !strcmp(ctl->only, name)) && ++ctl->matched == ctl->at) {
		ctl->fired = n;
		if (ctl->mode == HANG) for (;;) pause();
		if (ctl->mode == SLOW) return work();
		if (ctl->mode == CRASH) *(volatile int *)8 = 0;
		if (ctl->mode == STICKY && ctl->result == DEVICE_LOST) ctl->lost = 1;
		else if (ctl->mode == STICKY) ctl->stuck = 1 + f;
		return (int32_t)ctl->result;
	}
	if (ctl->lost && of_device(name)) return DEVICE_LOST;
	return ctl->stuck == 1 + f ? (int32_t)ctl->result : 0;
}

typedef struct { uint32_t type; const void *next; uint32_t flags; size_t size; const uint32_t *code; } module_info;

// spoiled returns the info of a module, with its additions made subtractions if the test wants it wrong.
static const void *spoiled(const void *info) {
	static _Thread_local module_info wrong;
	static _Thread_local uint32_t *code;
	enum { HEADER = 5, ADD = 129, SUBTRACT = 131 };
	const module_info *in = info;
	uint64_t sum = 14695981039346656037u;
	for (size_t i = 0; i < in->size; i++) sum = (sum ^ ((const uint8_t *)in->code)[i]) * 1099511628211u;
	int found = 0;
	for (int i = 0; i < 4; i++) found |= ctl->spoil[i] && ctl->spoil[i] == sum;
	uint32_t *copy = found ? realloc(code, in->size) : NULL;
	if (!copy) return info;
	code = memcpy(copy, in->code, in->size);
	for (size_t i = HEADER; i < in->size / 4 && code[i] >> 16; i += code[i] >> 16)
		if ((code[i] & 0xffff) == ADD) code[i] = (code[i] & 0xffff0000) | SUBTRACT;
	wrong = *in, wrong.code = code;
	ctl->spoiled++;
	return &wrong;
}

// PLAIN returns a VkResult, MAKE makes an object of a kind as well, LATE fails only when the driver is done: it works
// on, so that what it uses may not be freed before. END destroys one.
#define CALLS(PLAIN, MAKE, LATE) \
	PLAIN(vkEnumerateInstanceVersion, (uint32_t *v), (v)) \
	PLAIN(vkEnumerateInstanceLayerProperties, (uint32_t *n, void *p), (n, p)) \
	PLAIN(vkEnumerateInstanceExtensionProperties, (const char *l, uint32_t *n, void *p), (l, n, p)) \
	MAKE(vkCreateInstance, (const void *i, const void *a, void **out), (i, a, out), INSTANCE) \
	PLAIN(vkEnumeratePhysicalDevices, (void *i, uint32_t *n, void *p), (i, n, p)) \
	PLAIN(vkEnumerateDeviceExtensionProperties, (void *d, const char *l, uint32_t *n, void *p), (d, l, n, p)) \
	MAKE(vkCreateDevice, (void *d, const void *i, const void *a, void **out), (d, i, a, out), DEVICE) \
	LATE(vkDeviceWaitIdle, (void *d), (d)) \
	MAKE(vkCreatePipelineCache, (void *d, const void *i, const void *a, uint64_t *out), (d, i, a, out), CACHE) \
	PLAIN(vkGetPipelineCacheData, (void *d, uint64_t c, size_t *n, void *p), (d, c, n, p)) \
	MAKE(vkCreateDescriptorSetLayout, (void *d, const void *i, const void *a, uint64_t *out), (d, i, a, out), SET_LAYOUT) \
	MAKE(vkCreatePipelineLayout, (void *d, const void *i, const void *a, uint64_t *out), (d, i, a, out), LAYOUT) \
	MAKE(vkCreateShaderModule, (void *d, const void *i, const void *a, uint64_t *out), (d, spoiled(i), a, out), MODULE) \
	MAKE(vkCreateComputePipelines, (void *d, uint64_t c, uint32_t n, const void *i, const void *a, uint64_t *out), (d, c, n, i, a, out), PIPELINE) \
	MAKE(vkCreateDescriptorPool, (void *d, const void *i, const void *a, uint64_t *out), (d, i, a, out), SET_POOL) \
	PLAIN(vkAllocateDescriptorSets, (void *d, const void *i, uint64_t *out), (d, i, out)) \
	MAKE(vkCreateCommandPool, (void *d, const void *i, const void *a, uint64_t *out), (d, i, a, out), CMD_POOL) \
	PLAIN(vkAllocateCommandBuffers, (void *d, const void *i, void **out), (d, i, out)) \
	PLAIN(vkBeginCommandBuffer, (void *c, const void *i), (c, i)) \
	LATE(vkEndCommandBuffer, (void *c), (c)) \
	MAKE(vkCreateFence, (void *d, const void *i, const void *a, uint64_t *out), (d, i, a, out), FENCE) \
	PLAIN(vkResetFences, (void *d, uint32_t n, const uint64_t *f), (d, n, f)) \
	PLAIN(vkQueueSubmit, (void *q, uint32_t n, const void *s, uint64_t f), (q, n, s, f)) \
	LATE(vkWaitForFences, (void *d, uint32_t n, const uint64_t *f, uint32_t all, uint64_t t), (d, n, f, all, t)) \
	MAKE(vkAllocateMemory, (void *d, const void *i, const void *a, uint64_t *out), (d, i, a, out), MEMORY) \
	PLAIN(vkMapMemory, (void *d, uint64_t m, uint64_t o, uint64_t s, uint32_t f, void **p), (d, m, o, s, f, p)) \
	MAKE(vkCreateBuffer, (void *d, const void *i, const void *a, uint64_t *out), (d, i, a, out), BUFFER) \
	PLAIN(vkBindBufferMemory, (void *d, uint64_t b, uint64_t m, uint64_t o), (d, b, m, o)) \
	MAKE(vkCreateBufferView, (void *d, const void *i, const void *a, uint64_t *out), (d, i, a, out), VIEW) \
	MAKE(vkCreateQueryPool, (void *d, const void *i, const void *a, uint64_t *out), (d, i, a, out), QUERIES) \
	PLAIN(vkGetQueryPoolResults, (void *d, uint64_t q, uint32_t a, uint32_t n, size_t s, void *p, uint64_t t, uint32_t f), (d, q, a, n, s, p, t, f))

#define ENDS(END) \
	END(vkDestroyPipelineCache, CACHE) END(vkDestroyDescriptorSetLayout, SET_LAYOUT) END(vkDestroyPipelineLayout, LAYOUT) \
	END(vkDestroyShaderModule, MODULE) END(vkDestroyPipeline, PIPELINE) END(vkDestroyDescriptorPool, SET_POOL) \
	END(vkDestroyCommandPool, CMD_POOL) END(vkDestroyFence, FENCE) END(vkFreeMemory, MEMORY) END(vkDestroyBuffer, BUFFER) \
	END(vkDestroyBufferView, VIEW) END(vkDestroyQueryPool, QUERIES)

#define ID(name, ...) id_##name,
enum { CALLS(ID, ID, ID) FUNCTIONS };

#define REAL(name, ...) static fn real_##name;
CALLS(REAL, REAL, REAL)
ENDS(REAL)
static fn real_vkDestroyInstance, real_vkDestroyDevice;

#define TYPE(name, params) ((int32_t (*) params)real_##name)
#define PLAIN_CALL(name, params, args) \
	static int32_t my_##name params { \
		int32_t r = fault(id_##name, #name); \
		return r ? r : TYPE(name, params) args; \
	}
#define MAKE_CALL(name, params, args, kind) \
	static int32_t my_##name params { \
		int32_t r = fault(id_##name, #name); \
		if (!r && !(r = TYPE(name, params) args)) track(kind, (uint64_t)*out, 1); \
		return r; \
	}
#define LATE_CALL(name, params, args) \
	static int32_t my_##name params { \
		int32_t r = fault(id_##name, #name), done = TYPE(name, params) args; \
		return r ? r : done; \
	}
#define END_CALL(name, kind) \
	static void my_##name(void *d, uint64_t h, const void *a) { \
		track(kind, h, 0); \
		((void (*)(void *, uint64_t, const void *))real_##name)(d, h, a); \
	}
CALLS(PLAIN_CALL, MAKE_CALL, LATE_CALL)
ENDS(END_CALL)

static void my_vkDestroyDevice(void *d, const void *a) {
	track(DEVICE, (uint64_t)d, 0);
	((void (*)(void *, const void *))real_vkDestroyDevice)(d, a);
}

static void my_vkDestroyInstance(void *i, const void *a) {
	track(INSTANCE, (uint64_t)i, 0);
	((void (*)(void *, const void *))real_vkDestroyInstance)(i, a);
}

// mine returns the function that stands for a real one.
static fn mine(const char *name, fn real) {
#define MINE(f, ...) \
	if (!strcmp(name, #f)) { \
		real_##f = real; \
		return (fn)my_##f; \
	}
	CALLS(MINE, MINE, MINE)
	ENDS(MINE)
	MINE(vkDestroyDevice)
	MINE(vkDestroyInstance)
	return real;
}

static fn device_lookup(void *device, const char *name) {
	fn real = real_device_lookup(device, name);
	return real ? mine(name, real) : NULL;
}

__attribute__((visibility("default"))) fn vkGetInstanceProcAddr(void *instance, const char *name) {
	if (!real_instance_lookup) return NULL;
	if (!strcmp(name, "vkGetInstanceProcAddr")) return (fn)vkGetInstanceProcAddr;
	fn real = real_instance_lookup(instance, name);
	if (!real) return NULL;
	if (!strcmp(name, "vkGetDeviceProcAddr")) {
		real_device_lookup = (lookup)real;
		return (fn)device_lookup;
	}
	return mine(name, real);
}

__attribute__((constructor)) static void start(void) {
	const char *path = getenv("FAULTVK");
	int file = path ? open(path, O_RDWR) : -1;
	if (file >= 0) {
		void *p = mmap(NULL, sizeof *ctl, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
		if (p != MAP_FAILED) ctl = p;
		close(file);
	}
#define NAME(name, ...) strncpy(ctl->names[id_##name], #name, sizeof ctl->names[0] - 1);
	CALLS(NAME, NAME, NAME)
	void *lib = dlopen("libvulkan.so.1", RTLD_NOW | RTLD_LOCAL);
	if (lib) real_instance_lookup = (lookup)dlsym(lib, "vkGetInstanceProcAddr");
}
