// The levels by number, and calls of their kernels for Go, which cannot call through a pointer.

#include "level_calls.h"

#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
#endif

#include "fault.h"
#include "kernel.h"

extern const struct rk_level rk_generic;
#if defined(__x86_64__)
extern const struct rk_level rk_avx2, rk_avx512;
#endif
#if defined(__aarch64__)
extern const struct rk_level rk_neon;
#endif

#if defined(__x86_64__)
static int avx2(void) {
	unsigned a, b, c, d; // older compilers have no name for the bit of F16C
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2") &&
		__get_cpuid(1, &a, &b, &c, &d) && c >> 29 & 1;
}
#endif

// built returns a level's kernels, null if this architecture has no such level.
static const struct rk_level *built(int level) {
	switch (level) {
	case RK_GENERIC: return &rk_generic;
#if defined(__x86_64__)
	case RK_AVX2: return &rk_avx2;
	case RK_AVX512: return &rk_avx512;
#endif
#if defined(__aarch64__)
	case RK_NEON: return &rk_neon;
#endif
	}
	return 0;
}

// runs says whether this processor has all that the kernels of a level of its architecture need.
static int runs(int level) {
	switch (level) {
#if defined(__x86_64__)
	case RK_AVX2: return avx2();
	case RK_AVX512:
		return avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
			__builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#endif
	}
	return 1;
}

static const struct rk_level *levels[4];

void rk_init(void) {
	rk_guard_init();
	for (int i = 0; i < 4; i++) levels[i] = runs(i) ? built(i) : 0;
}

int rk_built(int level) { return built(level) != 0; }

int rk_has(int level) { return levels[level] != 0; }

int rk_sums(int level) { return levels[level]->sums; }

// Memory of rk_alloc is zeros that the system gives page by page as they are used. What the system gave lies before it.
void *rk_alloc(size_t bytes, size_t align) {
	char *own = calloc(bytes + align + sizeof own, 1);
	if (!own) return 0;
	char *p = (char *)(((uintptr_t)own + sizeof own + align - 1) & ~(uintptr_t)(align - 1));
	memcpy(p - sizeof own, &own, sizeof own);
#if defined(__linux__)
	if (align >= 2 << 20) madvise(p, bytes, MADV_HUGEPAGE); // at worst pages are small
#endif
	return p;
}

void rk_free(void *p) {
	char *own;
	memcpy(&own, (char *)p - sizeof own, sizeof own);
	free(own);
}

struct matmul_call {
	const struct rk_level *level;
	const struct rk_part *p;
	int first, last, n;
	float *work;
};

static void do_matmul(void *with) {
	struct matmul_call *c = with;
	c->level->matmul(c->p, c->first, c->last, c->n, c->work);
}

uintptr_t rk_matmul(int level, const struct rk_part *p, int first, int last, int n, float *work) {
	struct matmul_call c = {levels[level], p, first, last, n, work};
	return rk_guard(do_matmul, &c);
}

void rk_sparse_matmul(int level, const struct rk_part *p, int first, int last, int n, float *work) {
	levels[level]->sparse_matmul(p, first, last, n, work);
}

static void do_to_columns(void *with) {
	struct matmul_call *c = with;
	c->level->to_columns(c->p, c->first, c->last);
}

uintptr_t rk_to_columns(int level, const struct rk_part *p, int first, int last) {
	struct matmul_call c = {.level = levels[level], .p = p, .first = first, .last = last};
	return rk_guard(do_to_columns, &c);
}

void rk_give_back(const uint8_t *from, size_t bytes) {
#if defined(__linux__) // elsewhere the system takes pages of a mapped file back when it needs memory
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), at = ((uintptr_t)from + page - 1) & ~(page - 1);
	uintptr_t end = ((uintptr_t)from + bytes) & ~(page - 1);
	if (at < end) madvise((void *)at, end - at, MADV_DONTNEED); // at worst they stay
#else
	(void)from, (void)bytes;
#endif
}

struct bytes_call {
	const struct rk_level *level;
	int type;
	float *dst;
	const uint8_t *src;
	int64_t n, found;
	float sum;
};

static void do_decode(void *with) {
	struct bytes_call *c = with;
	c->level->decode(c->type, c->dst, c->src, c->n);
}

uintptr_t rk_decode(int level, int type, float *dst, const uint8_t *src, int64_t n) {
	struct bytes_call c = {.level = levels[level], .type = type, .dst = dst, .src = src, .n = n};
	return rk_guard(do_decode, &c);
}

static void do_not_finite(void *with) {
	struct bytes_call *c = with;
	c->found = c->level->not_finite(c->type, c->src, c->n);
}

struct rk_found rk_not_finite(int level, int type, const uint8_t *src, int64_t n) {
	struct bytes_call c = {.level = levels[level], .type = type, .src = src, .n = n};
	uintptr_t at = rk_guard(do_not_finite, &c);
	return (struct rk_found){c.found, at};
}

static void do_stream(void *with) {
	struct bytes_call *c = with;
	c->sum = c->level->stream(c->src, c->n);
}

uintptr_t rk_stream(int level, const uint8_t *src, int64_t n) {
	struct bytes_call c = {.level = levels[level], .src = src, .n = n};
	return rk_guard(do_stream, &c);
}

float rk_multiply_add(int level, int64_t n) { return levels[level]->multiply_add(n); }

void rk_layer_norm(int level, float *y, const float *x, const float *w, const float *b, int n, float eps) {
	levels[level]->layer_norm(y, x, w, b, n, eps);
}

void rk_do_shift_mix(int level, const struct rk_shift *p, float *work) { levels[level]->shift_mix(p, work); }

void rk_deep_embed(int level, float *y, const float *h, const float *matrix, int inner, int width) {
	levels[level]->deep_embed(y, h, matrix, inner, width);
}

void rk_do_wkv4(int level, const struct rk_wkv4 *p) { levels[level]->wkv4(p); }

void rk_do_wkv6(int level, const struct rk_wkv6 *p, float *work) { levels[level]->wkv6(p, work); }

void rk_do_wkv7(int level, const struct rk_wkv7 *p, float *work) { levels[level]->wkv7(p, work); }
