// Matrix products. A row's product with a vector is one sum per lane, over the elements of that lane in their order,
// and then the sum of the lanes: the same for every number of rows and vectors.

#define ROWS 4     // of a product with few vectors, side by side, if there are registers for their sums
#define AHEAD 4096 // bytes of a row, about which memory is told what comes
#define CHUNK 768  // elements of a row that stay in the first cache with those of its tile
#define TOKENS 64  // vectors that stay in the second cache

#define BLOCK_ROWS 16 // rows that stay in a near cache for the next vectors
#if TILE_TOKENS > 1
#define SIDE 4 // vectors side by side
#define FOR_FEW(F, T) F(T, 1) F(T, 2) F(T, 3) F(T, 4)
#else
#define SIDE 1 // for several vectors have no registers
#define FOR_FEW(F, T) F(T, 1)
#endif

// rows_for returns how many rows stand side by side in a product with n vectors: no more sums than a tile has.
FN int rows_for(int n) { return n == 1 || TILE_ROWS * TILE_TOKENS >= ROWS * n ? ROWS : TILE_ROWS * TILE_TOKENS >= 2 * n ? 2 : 1; }

// For each type: the sums of R rows that stand row_bytes apart, of many rows, with N vectors; the rows [first, last) with
// few vectors; and the decoded elements.
#define DEFINE_DOT(T, Opened) \
FN void dot_##T(const struct rk_part *p, const uint8_t *w, const float *x, const int R, const int N, float *z, int64_t z_stride) { \
	V sum[ROWS][SIDE]; \
	for (int r = 0; r < R; r++) { \
		for (int t = 0; t < N; t++) sum[r][t] = v_zero(); \
	} \
	int64_t row_bytes = p->row_bytes, x_stride = p->x_stride; \
	int n = p->k / T##_BLOCK, ends = n - AHEAD / T##_BYTES; \
	bool brief = 2 * row_bytes < AHEAD; /* rows after these and the next ones are what comes, else more of these */ \
	for (int b = 0; b < n; b++, w += T##_BYTES, x += T##_BLOCK) { \
		const uint8_t *ahead = w + (brief ? 2 * R * row_bytes : b < ends ? AHEAD : AHEAD + (R - 1) * row_bytes); \
		Opened o[ROWS]; \
		for (int r = 0; r < R; r++) { \
			o[r] = T##_open(w + r * row_bytes); \
			for (int c = 0; c < T##_BYTES; c += 64) __builtin_prefetch(ahead + r * row_bytes + c); \
		} \
		_Pragma("GCC unroll 8") \
		for (int at = 0; at < T##_BLOCK; at += T##_STEP) { \
			for (int r = 0; r < R; r++) { \
				V v[T##_STEP / 16]; \
				T##_step(w + r * row_bytes, &o[r], at, v); \
				for (int i = 0; i < T##_STEP / 16; i++) { \
					for (int t = 0; t < N; t++) sum[r][t] = v_fma(v[i], v_load(x + t * x_stride + at + 16 * i), sum[r][t]); \
				} \
			} \
		} \
	} \
	int rest = p->k - n * T##_BLOCK; /* of a plain type */ \
	if (T##_STEP == 16 && rest) { \
		for (int r = 0; r < R; r++) { \
			V v[T##_STEP / 16]; \
			uint8_t last[T##_BYTES] = {0}; \
			memcpy(last, w + r * row_bytes, (size_t)(rest * T##_BYTES / T##_BLOCK)); \
			Opened o = T##_open(last); \
			T##_step(last, &o, 0, v); \
			for (int t = 0; t < N; t++) sum[r][t] = v_fma(v[0], v_load_part(x + t * x_stride, rest), sum[r][t]); \
		} \
	} \
	for (int r = 0; r < R; r++) { \
		for (int t = 0; t < N; t++) z[t * z_stride + r] = v_sum(sum[r][t]); \
	} \
} \
FOR_FEW(DEFINE_FEW, T) \
static __attribute__((noinline)) void decode_##T(float *dst, const uint8_t *src, int64_t k) { \
	int64_t n = k / T##_BLOCK; \
	for (int64_t b = 0; b < n; b++, src += T##_BYTES, dst += T##_BLOCK) { \
		Opened o = T##_open(src); \
		_Pragma("GCC unroll 8") \
		for (int at = 0; at < T##_BLOCK; at += T##_STEP) { \
			V v[T##_STEP / 16]; \
			T##_step(src, &o, at, v); \
			for (int i = 0; i < T##_STEP / 16; i++) v_store(dst + at + 16 * i, v[i]); \
		} \
	} \
	int rest = (int)(k - n * T##_BLOCK); \
	if (T##_STEP == 16 && rest) { \
		V v[T##_STEP / 16]; \
		uint8_t last[T##_BYTES] = {0}; \
		memcpy(last, src, (size_t)(rest * T##_BYTES / T##_BLOCK)); \
		Opened o = T##_open(last); \
		T##_step(last, &o, 0, v); \
		v_store_part(dst, v[0], rest); \
	} \
}
#define DEFINE_FEW(T, N) \
static __attribute__((noinline)) void few_##T##_##N(const struct rk_part *p, int first, int last, const float *x, float *z, int64_t z_stride) { \
	const uint8_t *w = p->w + first * p->row_bytes; \
	const int R = rows_for(N); \
	int i = first; \
	for (; i + R <= last; i += R, w += R * p->row_bytes, z += R) dot_##T(p, w, x, R, N, z, z_stride); \
	for (; i < last; i++, w += p->row_bytes, z++) dot_##T(p, w, x, 1, N, z, z_stride); \
}
PLAIN_TYPES(DEFINE_DOT)
BLOCK_TYPES(DEFINE_DOT)

typedef void (*fewer)(const struct rk_part *, int, int, const float *, float *, int64_t);
#define NAME_FEW(T, N) few_##T##_##N,
#define CASE_FEW(T, Opened) case RK_##T: return (const fewer[]){FOR_FEW(NAME_FEW, T)}[n - 1];
static fewer few_for(int type, int n) {
	switch (type) { PLAIN_TYPES(CASE_FEW) BLOCK_TYPES(CASE_FEW) }
	return 0;
}

// few does the rows [first, last) with n vectors, rk_few(p->type) at most. z has n vectors of these rows.
static void few(const struct rk_part *p, int first, int last, int n, float *z) {
	int rows = n <= SIDE ? last - first : BLOCK_ROWS;
	for (int i = first; i < last; i += rows) {
		for (int t = 0; t < n; t += SIDE) {
			few_for(p->type, min_int(SIDE, n - t))(p, i, min_int(i + rows, last), p->x + t * p->x_stride,
				z + (int64_t)t * (last - first) + i - first, last - first);
		}
	}
}

#define CASE_DECODE(T, Opened) case RK_##T: decode_##T(dst, src, n); break;
static void decode(int type, float *dst, const uint8_t *src, int64_t n) {
	switch (type) { PLAIN_TYPES(CASE_DECODE) BLOCK_TYPES(CASE_DECODE) }
}

// tile adds the products of R rows with T vectors over n elements, n a multiple of 16, to sums of lanes.
FN void tile(const float *w, int64_t w_stride, const int R, const float *x, int64_t x_stride, const int T, int n,
	V sum[TILE_ROWS][TILE_TOKENS]) {
	for (int i = 0; i < n; i += 16) {
		V v[TILE_TOKENS];
		for (int t = 0; t < T; t++) v[t] = v_load(x + t * x_stride + i);
		for (int r = 0; r < R; r++) {
			V a = v_load(w + r * w_stride + i);
			for (int t = 0; t < T; t++) sum[r][t] = v_fma(a, v[t], sum[r][t]);
		}
	}
}

// Where a tile stands: rows of decoded weights, vectors, and what comes of them.
struct place {
	const float *w, *x;
	float *z, *lanes; // lanes: sums that another chunk of the elements goes on with
	int64_t w_stride, x_stride, z_stride;
	int n;           // elements
	int first, last; // whether it is the first chunk of the elements, and the last
};

FN void tile_at(const struct place *p, const int R, const int T) {
	V sum[TILE_ROWS][TILE_TOKENS];
	for (int r = 0; r < R; r++) {
		for (int t = 0; t < T; t++) sum[r][t] = p->first ? v_zero() : v_load(p->lanes + 16 * (r * T + t));
	}
	int whole = p->n & ~15, rest = p->n & 15;
	tile(p->w, p->w_stride, R, p->x, p->x_stride, T, whole, sum);
	for (int t = 0; rest && t < T; t++) {
		V v = v_load_part(p->x + t * p->x_stride + whole, rest);
		for (int r = 0; r < R; r++) sum[r][t] = v_fma(v_load_part(p->w + r * p->w_stride + whole, rest), v, sum[r][t]);
	}
	if (!p->last) {
		for (int r = 0; r < R; r++) {
			for (int t = 0; t < T; t++) v_store(p->lanes + 16 * (r * T + t), sum[r][t]);
		}
		return;
	}
	for (int t = 0; t < T; t++) {
		float *z = p->z + t * p->z_stride;
		int r = 0;
#ifdef HAVE_SUM4
		for (; r + 4 <= R; r += 4) v_sum4(z + r, sum[r][t], sum[r + 1][t], sum[r + 2][t], sum[r + 3][t]);
#endif
		for (; r < R; r++) z[r] = v_sum(sum[r][t]);
	}
}

#define DEFINE_TILE(R, T) static __attribute__((noinline)) void tile_##R##_##T(const struct place *p) { tile_at(p, R, T); }
#define TILE_NAME(R, T) tile_##R##_##T
#define TILE(R, T) TILE_NAME(R, T)
#define DEFINE_TILES(R, T) DEFINE_TILE(R, T)
#if TILE_ROWS > 1
DEFINE_TILES(TILE_ROWS, 1)
#if TILE_TOKENS > 1
DEFINE_TILES(TILE_ROWS, 2)
#endif
#if TILE_TOKENS > 2
DEFINE_TILES(TILE_ROWS, 3)
#endif
#endif
DEFINE_TILES(1, 1)
#if TILE_TOKENS > 1
DEFINE_TILES(1, 2)
#endif
#if TILE_TOKENS > 2
DEFINE_TILES(1, 3)
#endif

typedef void (*tiler)(const struct place *);

// tilers are the functions for a number of vectors from 1 to TILE_TOKENS, of one row and of TILE_ROWS.
static const tiler tilers[2][3] = {
	{TILE(1, 1),
#if TILE_TOKENS > 1
		TILE(1, 2),
#endif
#if TILE_TOKENS > 2
		TILE(1, 3),
#endif
	},
	{TILE(TILE_ROWS, 1),
#if TILE_TOKENS > 1
		TILE(TILE_ROWS, 2),
#endif
#if TILE_TOKENS > 2
		TILE(TILE_ROWS, 3),
#endif
	},
};

// group does R rows, 1 or TILE_ROWS, with n vectors, no more than TOKENS.
static void group(const struct rk_part *p, const float *w, int64_t w_stride, int R, const float *x, int n,
	float *z, int64_t z_stride, float *lanes) {
	for (int from = 0; from < p->k; from += CHUNK) {
		struct place at = {.w = w + from, .w_stride = w_stride, .x_stride = p->x_stride, .z_stride = z_stride,
			.n = min_int(CHUNK, p->k - from), .first = from == 0, .last = from + CHUNK >= p->k};
		for (int t = 0; t < n; t += TILE_TOKENS) {
			at.x = x + t * p->x_stride + from;
			at.z = z + t * z_stride;
			at.lanes = lanes + 16 * R * t;
			tilers[R > 1][min_int(TILE_TOKENS, n - t) - 1](&at);
		}
	}
}

// many does the rows [first, last), no more than rk_panel(k), with n vectors. z has n vectors of these rows.
static void many(const struct rk_part *p, int first, int last, int n, float *z, float *work) {
	int rows = last - first;
	int64_t stride = (p->k + 15) & ~15;
	float *lanes = work, *w = work + RK_LANES;
	for (int r = 0; r < rows; r++) decode(p->type, w + r * stride, p->w + (first + r) * p->row_bytes, p->k);
	for (int t = 0; t < n; t += TOKENS) {
		for (int r = 0; r < rows;) {
			int R = TILE_ROWS > 1 && r + TILE_ROWS <= rows ? TILE_ROWS : 1;
			group(p, w + r * stride, stride, R, p->x + t * p->x_stride, min_int(TOKENS, n - t), z + (int64_t)t * rows + r, rows, lanes);
			r += R;
		}
	}
}

// finish makes the output of a vector's products z with the rows from first on.
static void finish(const struct rk_part *p, float *z, int first, int count, int t) {
	const float *from = p->from + t * p->from_stride + first, *to = p->to + t * p->to_stride + first;
	float *y = p->y + t * p->y_stride + first;
	if (p->scale != 1) {
		for (int i = 0; i < count; i++) z[i] *= p->scale;
	}
	if (p->columns) {
		for (int i = 0; i < count; i++) z[i] += 0; // a zero that is left out may change the sign of a zero: it is +0
	}
	if (p->bias) {
		for (int i = 0; i < count; i++) z[i] += p->bias[first + i];
	}
	activate(p->act, z, count);
	switch (p->combine) {
	case RK_SET:
		memcpy(y, z, (size_t)count * sizeof *y);
		break;
	case RK_ADD:
		for (int i = 0; i < count; i++) y[i] = from[i] + z[i];
		break;
	case RK_LERP:
		for (int i = 0; i < count; i++) y[i] = from[i] + (to[i] - from[i]) * z[i];
		break;
	case RK_GATE:
		for (int i = 0; i < count; i++) y[i] = from[i] + to[i] * z[i];
		break;
	case RK_MUL:
		for (int i = 0; i < count; i++) y[i] = from[i] * z[i];
		break;
	}
}

static void matmul(const struct rk_part *p, int first, int last, int n, float *work) {
	if (n <= (SIDE > 1 ? rk_few(p->type) : 1)) {
		few(p, first, last, n, work);
		for (int t = 0; t < n; t++) finish(p, work + (int64_t)t * (last - first), first, last - first, t);
		return;
	}
	for (int step = rk_panel(p->k); first < last; first += step) {
		int end = min_int(first + step, last);
		float *z = work;
		many(p, first, end, n, z, work + (int64_t)step * n);
		for (int t = 0; t < n; t++) finish(p, z + (int64_t)t * (end - first), first, end - first, t);
	}
}
