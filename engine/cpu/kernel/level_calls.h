#ifndef RWKV_LEVEL_CALLS_H
#define RWKV_LEVEL_CALLS_H

#include "kernel.h"

// rk_init is to be called once, before anything else.
void rk_init(void);

// rk_built says whether the program holds a level's kernels.
int rk_built(int level);

// rk_has says whether this processor can run a level. Nothing below may be called for another one.
int rk_has(int level);

// rk_sums returns how many sums of 16 lanes rk_multiply_add adds to at once.
int rk_sums(int level);

// rk_alloc returns zeros that begin at a multiple of align bytes, a power of two from 64 on, null if there is no room.
// From 2 MiB on, the system is asked for large pages.
void *rk_alloc(size_t bytes, size_t align);
void rk_free(void *p);

struct rk_found {
	int64_t index;
	uintptr_t at;
};

// Those that read weights return the address at which a mapped file has no bytes, or 0.
uintptr_t rk_matmul(int level, const struct rk_part *p, int first, int last, int n, float *work);
uintptr_t rk_to_columns(int level, const struct rk_part *p, int first, int last);
uintptr_t rk_decode(int level, int type, float *dst, const uint8_t *src, int64_t n);
struct rk_found rk_not_finite(int level, int type, const uint8_t *src, int64_t n);
uintptr_t rk_stream(int level, const uint8_t *src, int64_t n);

// rk_give_back gives the whole pages of a mapped file's bytes back to the system, which has them in its cache.
void rk_give_back(const uint8_t *from, size_t bytes);

void rk_sparse_matmul(int level, const struct rk_part *p, int first, int last, int n, float *work);
float rk_multiply_add(int level, int64_t n);
void rk_layer_norm(int level, float *y, const float *x, const float *w, const float *b, int n, float eps);
void rk_do_shift_mix(int level, const struct rk_shift *p, float *work);
void rk_deep_embed(int level, float *y, const float *h, const float *matrix, int inner, int width);
void rk_do_wkv4(int level, const struct rk_wkv4 *p);
void rk_do_wkv6(int level, const struct rk_wkv6 *p, float *work);
void rk_do_wkv7(int level, const struct rk_wkv7 *p, float *work);

#endif
