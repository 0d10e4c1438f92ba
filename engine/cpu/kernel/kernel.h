// The kernels of one level of processor features, and what they work on. All counts are of elements, all strides too
// but row_bytes. Vectors of float32 may lie anywhere that is a multiple of 4.
#ifndef RWKV_KERNEL_H
#define RWKV_KERNEL_H

#include <stddef.h>
#include <stdint.h>

// The storage types, numbered as in model/tensor.
enum rk_type { RK_F32 = 1, RK_F16, RK_BF16, RK_Q4_0, RK_Q4_1, RK_Q5_0, RK_Q5_1, RK_Q8_0, RK_Q3_K, RK_Q4_K, RK_Q5_K, RK_Q6_K, RK_IQ4_NL };

// The activations and combinations, numbered as in model/op.
enum rk_act { RK_IDENTITY, RK_TANH, RK_SIGMOID, RK_RELU2, RK_DECAY, RK_SILU, RK_EXP_DECAY };
enum rk_combine { RK_SET, RK_ADD, RK_LERP, RK_GATE, RK_MUL };

// One product of op.MatMul: y[t] = combine(act(scale * w x[t] + bias), from[t], to[t]).
struct rk_part {
	const uint8_t *w; // m rows of k elements
	uint8_t *columns; // the same by columns, see columns.h, for vectors that are mostly zeros; null for others
	const float *x, *bias, *from, *to;
	float *y;
	int64_t row_bytes, x_stride, from_stride, to_stride, y_stride;
	int32_t type, m, k, act, combine;
	int32_t tile; // rows of columns that are kept together: a multiple of 16, RK_TILE at most
	float scale;
};

// op.ShiftMix for rows of one sequence that follow each other.
struct rk_shift {
	const float *x, *norm_w, *norm_b; // x: the first row
	const float *prev, *before;       // what stands before the first row, normalised, or else as it is
	const float *mix[6];
	float *y[6];
	float *last; // takes the last row, normalised; may be null
	int64_t x_stride, y_stride;
	int32_t width, rows, mixes;
	float eps;
};

// op.WKV4 for channels of one sequence.
struct rk_wkv4 {
	const float *r, *k, *v, *w, *u;
	float *aa, *bb, *pp, *y;
	int64_t stride;
	int32_t channels, rows;
};

// op.WKV6 for one head of one sequence. A stride of w that is 0 is that of a weight.
struct rk_wkv6 {
	const float *r, *k, *v, *w, *u, *g, *norm_w, *norm_b;
	float *state, *y;
	int64_t stride, w_stride;
	int32_t n, rows;
	float eps;
};

// op.WKV7 for one head of one sequence.
struct rk_wkv7 {
	const float *r, *w, *k, *v, *a, *g, *kk, *ka, *rk, *norm_w, *norm_b;
	float *state, *y;
	int64_t stride;
	int32_t n, rows;
	float eps;
};

struct rk_level {
	int32_t sums; // of 16 lanes, of a tile of products
	// matmul does the output rows [first, last) of n vectors. work has rk_work(p, last - first, n) elements.
	void (*matmul)(const struct rk_part *p, int first, int last, int n, float *work);
	// to_columns writes the rows [first, last) by columns. sparse_matmul is matmul that reads columns, for a plain type.
	// first is a multiple of p->tile, and so is last, or all rows end there. work has rk_sparse_work(k) elements.
	void (*to_columns)(const struct rk_part *p, int first, int last);
	void (*sparse_matmul)(const struct rk_part *p, int first, int last, int n, float *work);
	// decode converts n elements, whole blocks.
	void (*decode)(int type, float *dst, const uint8_t *src, int64_t n);
	// not_finite returns the index of an element that is NaN or infinite, the first of its block in a block type, or
	// -1.
	int64_t (*not_finite)(int type, const uint8_t *src, int64_t n);
	void (*layer_norm)(float *y, const float *x, const float *w, const float *b, int n, float eps);
	void (*shift_mix)(const struct rk_shift *p, float *work); // work: 2 * width
	void (*deep_embed)(float *y, const float *h, const float *matrix, int inner, int width);
	void (*wkv4)(const struct rk_wkv4 *p);
	void (*wkv6)(const struct rk_wkv6 *p, float *work); // work: n
	void (*wkv7)(const struct rk_wkv7 *p, float *work); // work: 4 * n
	float (*stream)(const uint8_t *src, int64_t n);
	float (*multiply_add)(int64_t n);
};

#define RK_LANES (64 * 8 * 16) // sums of lanes of the largest tile with as many vectors as stay in a cache

#define RK_FEW 32 // most vectors of a product that multiplies elements where it decodes them, a few vectors at a time

// rk_few returns RK_FEW for types that are decoded in a few instructions, and less for others.
static inline int rk_few(int type) { return type <= RK_BF16 || type == RK_Q8_0 ? RK_FEW : 8; }

// rk_panel returns how many rows of k elements are decoded at once: as many as stay in the second cache.
static inline int rk_panel(int k) {
	int rows = 65536 / ((k + 15) & ~15) / 8 * 8;
	return rows < 8 ? 8 : rows > 64 ? 64 : rows;
}

// rk_work returns how many elements of memory matmul needs for so many rows of k elements and n vectors.
static inline int64_t rk_work(int rows, int k, int n) {
	int64_t panel = rk_panel(k), few = n <= RK_FEW ? (int64_t)rows * n : 0;
	if (n == 1) return few;
	int64_t many = panel * n + RK_LANES + panel * ((k + 15) & ~15); // some levels take two for many
	return few > many ? few : many;
}

#define RK_TILE 192 // most rows of a tile of columns

// rk_columns returns how many elements m rows of k elements take by columns.
static inline int64_t rk_columns(int m, int k) { return (int64_t)((m + 15) & ~15) * k; }

// rk_sparse_work returns how many elements of memory sparse_matmul needs.
static inline int64_t rk_sparse_work(int k) { return 16 * RK_TILE + (int64_t)k + 1; }

// Numbered as kernel.Level.
enum { RK_GENERIC, RK_NEON, RK_AVX2, RK_AVX512 };

#endif
