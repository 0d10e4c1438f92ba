// Pictures for a window: a swapchain whose images are written by copies from a buffer.
#include "shim_device.h"
#include <stdlib.h>

enum {
	ST_SEMAPHORE = 9, ST_IMAGE_BARRIER = 45, ST_SWAPCHAIN = 1000001000, ST_PRESENT = 1000001001,
	LAYOUT_TRANSFER_DST = 7, LAYOUT_PRESENT = 1000001002, ACCESS_TRANSFER_READ = 0x800, IMAGE_TRANSFER_DST = 2,
	ASPECT_COLOR = 1, PRESENT_FIFO = 2, MAX_IMAGES = 16, ANY_EXTENT = 0xffffffff
};

typedef struct { uint32_t min_images, max_images, width, height, least[2], most[2], layers, transforms, transform, alphas, usage; } vk_surface;
typedef struct { uint32_t format, space; } vk_surface_format;
typedef struct {
	uint32_t sType; const void *pNext; uint32_t flags; vk_hnd surface; uint32_t images, format, space, width, height, layers, usage, sharing, nfamilies;
	const uint32_t *families; uint32_t transform, alpha, mode; vk_bool clipped; vk_hnd old;
} vk_swapchain_info;
typedef struct { uint32_t sType; const void *pNext; uint32_t nwait; const vk_hnd *wait; uint32_t n; const vk_hnd *swapchains; const uint32_t *images; vk_result *results; } vk_present;
typedef struct { uint32_t aspect, mip, mips, layer, layers; } vk_image_range;
typedef struct { uint32_t sType; const void *pNext; uint32_t src, dst, from, to, src_family, dst_family; vk_hnd image; vk_image_range range; } vk_image_barrier;
typedef struct { uint32_t aspect, mip, layer, layers; } vk_image_layers;
typedef struct { uint64_t offset; uint32_t row, rows; vk_image_layers part; int32_t at[3]; uint32_t size[3]; } vk_image_copy;

#define RG_WINDOW_FUNCTIONS(X) \
	X(vk_result, vkCreateSwapchainKHR, vk_obj, const vk_swapchain_info *, const void *, vk_hnd *) \
	X(void, vkDestroySwapchainKHR, vk_obj, vk_hnd, const void *) \
	X(vk_result, vkGetSwapchainImagesKHR, vk_obj, vk_hnd, uint32_t *, vk_hnd *) \
	X(vk_result, vkAcquireNextImageKHR, vk_obj, vk_hnd, uint64_t, vk_hnd, vk_hnd, uint32_t *) \
	X(vk_result, vkQueuePresentKHR, vk_obj, const vk_present *) \
	X(vk_result, vkCreateSemaphore, vk_obj, const vk_cmd_begin_info *, const void *, vk_hnd *) \
	X(void, vkDestroySemaphore, vk_obj, vk_hnd, const void *) \
	X(void, vkCmdCopyBufferToImage, vk_obj, vk_hnd, vk_hnd, uint32_t, uint32_t, const vk_image_copy *)

struct rg_swapchain {
	rg_dev *d;
	vk_hnd handle, images[MAX_IMAGES], copied[MAX_IMAGES], acquired, pools[MAX_IMAGES];
	void *cmds[MAX_IMAGES];
	uint32_t n, width, height;
#define X(ret, name, ...) ret (VKCALL *name)(__VA_ARGS__);
	RG_WINDOW_FUNCTIONS(X)
#undef X
};

int rg_surface_shows(void *gipa, void *inst, void *pd, uint32_t family, uint64_t surface) {
	FN(vk_result, vkGetPhysicalDeviceSurfaceSupportKHR, vk_obj, uint32_t, vk_hnd, vk_bool *);
	GET(inst, vkGetPhysicalDeviceSurfaceSupportKHR);
	vk_bool ok = 0;
	return vkGetPhysicalDeviceSurfaceSupportKHR && !vkGetPhysicalDeviceSurfaceSupportKHR(pd, family, surface, &ok) && ok;
}

void rg_surface_destroy(void *gipa, void *inst, uint64_t surface) {
	FN(void, vkDestroySurfaceKHR, vk_obj, vk_hnd, const void *);
	GET(inst, vkDestroySurfaceKHR);
	if (surface && vkDestroySurfaceKHR) vkDestroySurfaceKHR(inst, surface, NULL);
}

// The first format of 4 bytes a pixel, 8 bits each, in the order in which the driver offers them.
static int choose_format(void *gipa, void *inst, void *pd, vk_hnd surface, vk_surface_format *out) {
	FN(vk_result, vkGetPhysicalDeviceSurfaceFormatsKHR, vk_obj, vk_hnd, uint32_t *, vk_surface_format *);
	GET(inst, vkGetPhysicalDeviceSurfaceFormatsKHR);
	vk_surface_format list[64];
	uint32_t n = 64;
	if (!vkGetPhysicalDeviceSurfaceFormatsKHR) return RG_NO_FORMAT;
	vk_result r = vkGetPhysicalDeviceSurfaceFormatsKHR(pd, surface, &n, list);
	if (r < 0) return r;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t f = list[i].format;
		if ((f == 37 || f == 43 || f == 44 || f == 50) && list[i].space == 0) {
			*out = list[i];
			return 0;
		}
	}
	return RG_NO_FORMAT;
}

static int make_parts(rg_swapchain *s) {
	rg_dev *d = s->d;
	vk_cmd_begin_info si = {.sType = ST_SEMAPHORE};
	s->n = MAX_IMAGES;
	vk_result r = s->vkGetSwapchainImagesKHR(d->dev, s->handle, &s->n, s->images);
	if (!r) r = s->vkCreateSemaphore(d->dev, &si, NULL, &s->acquired);
	for (uint32_t i = 0; i < s->n && !r; i++) {
		r = s->vkCreateSemaphore(d->dev, &si, NULL, &s->copied[i]);
		if (!r) r = rg_cmd_create(d, &s->pools[i], &s->cmds[i]);
	}
	return r;
}

int rg_swapchain_create(void *gipa, void *inst, void *pd, rg_dev *d, uint64_t surface, uint32_t width, uint32_t height,
	rg_swapchain **out, rg_swapchain_info *info) {
	FN(vk_result, vkGetPhysicalDeviceSurfaceCapabilitiesKHR, vk_obj, vk_hnd, vk_surface *);
	FN(vk_fn, vkGetDeviceProcAddr, vk_obj, const char *);
	GET(inst, vkGetPhysicalDeviceSurfaceCapabilitiesKHR);
	GET(inst, vkGetDeviceProcAddr);
	vk_surface c;
	vk_surface_format f;
	if (!vkGetPhysicalDeviceSurfaceCapabilitiesKHR || !vkGetDeviceProcAddr) return -3;
	vk_result r = vkGetPhysicalDeviceSurfaceCapabilitiesKHR(pd, surface, &c);
	if (!r) r = choose_format(gipa, inst, pd, surface, &f);
	if (r) return r;
	if (c.width == ANY_EXTENT) {
		c.width = width < c.least[0] ? c.least[0] : width > c.most[0] ? c.most[0] : width;
		c.height = height < c.least[1] ? c.least[1] : height > c.most[1] ? c.most[1] : height;
	}
	if (!c.width || !c.height) return RG_NO_AREA;
	if (!(c.usage & IMAGE_TRANSFER_DST)) return RG_NO_FORMAT;
	rg_swapchain *s = calloc(1, sizeof *s);
	if (!s) return -1;
	s->d = d, s->width = c.width, s->height = c.height;
	int missing = 0;
#define X(ret, name, ...) vk_set_fn(&s->name, vkGetDeviceProcAddr(d->dev, #name)); missing |= !s->name;
	RG_WINDOW_FUNCTIONS(X)
#undef X
	if (missing) {
		free(s);
		return -7;
	}
	uint32_t images = c.min_images + 1;
	if (c.max_images && images > c.max_images) images = c.max_images;
	vk_swapchain_info si = {.sType = ST_SWAPCHAIN, .surface = surface, .images = images, .format = f.format, .space = f.space, .width = c.width,
		.height = c.height, .layers = 1, .usage = IMAGE_TRANSFER_DST, .transform = c.transform, .alpha = c.alphas & 1 ? 1 : c.alphas & -c.alphas,
		.mode = PRESENT_FIFO, .clipped = 1};
	r = s->vkCreateSwapchainKHR(d->dev, &si, NULL, &s->handle);
	if (!r) r = make_parts(s);
	if (r) {
		rg_swapchain_destroy(s);
		return r;
	}
	*info = (rg_swapchain_info){c.width, c.height, f.format};
	*out = s;
	return 0;
}

void rg_swapchain_destroy(rg_swapchain *s) {
	vk_obj dev = s->d->dev;
	for (uint32_t i = 0; i < MAX_IMAGES; i++) {
		if (s->pools[i]) rg_cmd_destroy(s->d, s->pools[i]);
		if (s->copied[i]) s->vkDestroySemaphore(dev, s->copied[i], NULL);
	}
	if (s->acquired) s->vkDestroySemaphore(dev, s->acquired, NULL);
	if (s->handle) s->vkDestroySwapchainKHR(dev, s->handle, NULL);
	free(s);
}

int rg_swapchain_next(rg_swapchain *s, uint64_t timeout_ns, uint32_t *image) {
	return s->vkAcquireNextImageKHR(s->d->dev, s->handle, timeout_ns, s->acquired, 0, image);
}

static void image_barrier(rg_swapchain *s, uint32_t i, uint32_t src, uint32_t dst, vk_image_barrier b) {
	b.sType = ST_IMAGE_BARRIER, b.src_family = b.dst_family = ~0u, b.image = s->images[i];
	b.range = (vk_image_range){ASPECT_COLOR, 0, 1, 0, 1};
	s->d->vkCmdPipelineBarrier(s->cmds[i], src, dst, 0, 0, NULL, 0, NULL, 1, &b);
}

// The copy waits for the image, and for all that was submitted before.
int rg_swapchain_copy(rg_swapchain *s, uint32_t i, uint64_t buffer, uint64_t offset, uint64_t fence) {
	rg_dev *d = s->d;
	void *cmd = s->cmds[i];
	vk_result r = rg_cmd_begin(d, cmd, 1);
	if (r) return r;
	rg_cmd_barrier(d, cmd, STAGE_COMPUTE | STAGE_TRANSFER, STAGE_TRANSFER);
	image_barrier(s, i, STAGE_TRANSFER, STAGE_TRANSFER, (vk_image_barrier){.dst = ACCESS_TRANSFER_WRITE, .to = LAYOUT_TRANSFER_DST});
	vk_image_copy c = {.offset = offset, .row = s->width, .rows = s->height, .part = {ASPECT_COLOR, 0, 0, 1}, .size = {s->width, s->height, 1}};
	s->vkCmdCopyBufferToImage(cmd, buffer, s->images[i], LAYOUT_TRANSFER_DST, 1, &c);
	image_barrier(s, i, STAGE_TRANSFER, STAGE_BOTTOM, (vk_image_barrier){.src = ACCESS_TRANSFER_WRITE, .from = LAYOUT_TRANSFER_DST, .to = LAYOUT_PRESENT});
	if ((r = rg_cmd_end(d, cmd))) return r;
	if ((r = d->vkResetFences(d->dev, 1, &fence))) return r;
	uint32_t stage = STAGE_TRANSFER;
	vk_submit submit = {.sType = ST_SUBMIT, .nwait = 1, .wait = &s->acquired, .stages = &stage, .ncmds = 1, .cmds = &cmd, .nsignal = 1, .signal = &s->copied[i]};
	d->submitted = 1;
	return d->vkQueueSubmit(d->queue, 1, &submit, fence);
}

int rg_swapchain_present(rg_swapchain *s, uint32_t i) {
	vk_present p = {.sType = ST_PRESENT, .nwait = 1, .wait = &s->copied[i], .n = 1, .swapchains = &s->handle, .images = &i};
	return s->vkQueuePresentKHR(s->d->queue, &p);
}
