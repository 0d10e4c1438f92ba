#include "shim.h"
#include "shim_vk.h"
#include <stdlib.h>
#include <string.h>

extern void rgMessage(uint32_t severity, char *text, uintptr_t user); // Go

int rg_instance_version(void *gipa, uint32_t *version) {
	FN(vk_result, vkEnumerateInstanceVersion, uint32_t *);
	GET(NULL, vkEnumerateInstanceVersion);
	*version = 1u << 22; // 1.0 has no such function
	return vkEnumerateInstanceVersion ? vkEnumerateInstanceVersion(version) : 0;
}

int rg_has_layer(void *gipa, const char *layer) {
	FN(vk_result, vkEnumerateInstanceLayerProperties, uint32_t *, vk_layer *);
	GET(NULL, vkEnumerateInstanceLayerProperties);
	uint32_t n = 0;
	int found = 0;
	if (!vkEnumerateInstanceLayerProperties || vkEnumerateInstanceLayerProperties(&n, NULL)) return 0;
	vk_layer *p = calloc(n + 1, sizeof *p);
	if (!p) return 0;
	if (vkEnumerateInstanceLayerProperties(&n, p) >= 0)
		for (uint32_t i = 0; i < n; i++) found |= !strcmp(p[i].name, layer);
	free(p);
	return found;
}

static int has_instance_ext(void *gipa, const char *layer, const char *name) {
	FN(vk_result, vkEnumerateInstanceExtensionProperties, const char *, uint32_t *, vk_extension *);
	GET(NULL, vkEnumerateInstanceExtensionProperties);
	uint32_t n = 0;
	int found = 0;
	if (!vkEnumerateInstanceExtensionProperties || vkEnumerateInstanceExtensionProperties(layer, &n, NULL)) return 0;
	vk_extension *p = calloc(n + 1, sizeof *p);
	if (!p) return 0;
	if (vkEnumerateInstanceExtensionProperties(layer, &n, p) >= 0)
		for (uint32_t i = 0; i < n; i++) found |= !strcmp(p[i].name, name);
	free(p);
	return found;
}

#define VALIDATION "VK_LAYER_KHRONOS_validation"

static vk_bool VKCALL on_message(uint32_t severity, uint32_t types, const vk_message *m, void *user) {
	(void)types;
	rgMessage(severity, (char *)(m && m->text ? m->text : ""), (uintptr_t)user);
	return 0;
}

static vk_messenger_info messenger(uintptr_t user) {
	// warnings and errors; general, validation and performance
	return (vk_messenger_info){.sType = ST_MESSENGER, .severity = 0x1100, .types = 7, .fn = on_message, .user = (void *)user};
}

int rg_instance_create(void *gipa, uint32_t api, int validate, uint32_t nexts, char *const *more, void **out) {
	FN(vk_result, vkCreateInstance, const vk_instance_info *, const void *, vk_obj *);
	GET(NULL, vkCreateInstance);
	if (!vkCreateInstance) return -3;
	const char *layers[1] = {VALIDATION}, *exts[2 + RG_MAX_EXTENSIONS];
	vk_application app = {.sType = ST_APPLICATION, .app = "rwkv-gpu", .engine = "rwkv-gpu", .api = api};
	vk_instance_info info = {.sType = ST_INSTANCE, .app = &app, .layers = layers, .exts = exts};
	for (uint32_t i = 0; i < nexts && i < RG_MAX_EXTENSIONS; i++) exts[info.nexts++] = more[i];
	if (validate) {
		info.nlayers = 1;
		exts[info.nexts++] = "VK_EXT_debug_utils";
	}
	if (has_instance_ext(gipa, NULL, "VK_KHR_portability_enumeration")) {
		exts[info.nexts++] = "VK_KHR_portability_enumeration";
		info.flags = 1; // also list drivers of a Vulkan subset, such as MoltenVK
	}
	return vkCreateInstance(&info, NULL, out);
}

void rg_instance_destroy(void *gipa, void *inst) {
	FN(void, vkDestroyInstance, vk_obj, const void *);
	GET(inst, vkDestroyInstance);
	if (vkDestroyInstance) vkDestroyInstance(inst, NULL);
}

int rg_messenger_create(void *gipa, void *inst, uintptr_t user, uint64_t *out) {
	FN(vk_result, vkCreateDebugUtilsMessengerEXT, vk_obj, const vk_messenger_info *, const void *, vk_hnd *);
	GET(inst, vkCreateDebugUtilsMessengerEXT);
	vk_messenger_info info = messenger(user);
	return vkCreateDebugUtilsMessengerEXT ? vkCreateDebugUtilsMessengerEXT(inst, &info, NULL, out) : -7;
}

void rg_messenger_destroy(void *gipa, void *inst, uint64_t m) {
	FN(void, vkDestroyDebugUtilsMessengerEXT, vk_obj, vk_hnd, const void *);
	GET(inst, vkDestroyDebugUtilsMessengerEXT);
	if (vkDestroyDebugUtilsMessengerEXT) vkDestroyDebugUtilsMessengerEXT(inst, m, NULL);
}

int rg_physical_devices(void *gipa, void *inst, uint32_t *n, void **out) {
	FN(vk_result, vkEnumeratePhysicalDevices, vk_obj, uint32_t *, vk_obj *);
	GET(inst, vkEnumeratePhysicalDevices);
	return vkEnumeratePhysicalDevices(inst, n, out);
}

// A family that can time its work is best; then one without graphics, so that a long
// dispatch does not hold up the desktop. If there is a surface, the family has to show pictures there.
uint32_t rg_compute_family(void *gipa, void *inst, void *pd, uint64_t surface, uint32_t *timestamp_bits) {
	FN(void, vkGetPhysicalDeviceQueueFamilyProperties, vk_obj, uint32_t *, vk_queue_family *);
	GET(inst, vkGetPhysicalDeviceQueueFamilyProperties);
	vk_queue_family f[32];
	uint32_t n = 32, best = ~0u;
	int best_score = -1;
	vkGetPhysicalDeviceQueueFamilyProperties(pd, &n, f);
	for (uint32_t i = 0; i < n; i++) {
		if (!(f[i].flags & QUEUE_COMPUTE) || !f[i].count) continue;
		if (surface && !rg_surface_shows(gipa, inst, pd, i, surface)) continue;
		int score = 2 * (f[i].timestamp_bits > 0) + !(f[i].flags & QUEUE_GRAPHICS);
		if (score > best_score) best = i, best_score = score, *timestamp_bits = f[i].timestamp_bits;
	}
	return best;
}
