// Matrices by columns, for products with vectors that are mostly zeros: only the columns that meet another number are
// read. A sum has the same terms in the same order as in a product by rows, but for those that are zero: they change
// no sum but perhaps the sign of one that is zero, which finish makes the same.
//
// A matrix by columns is a tile of p->tile rows after the other, the last one as wide as the multiple of 16 that the
// rest needs. A tile has its part of each column, one after the other.

#define COLUMNS_AHEAD 16 // columns

FN int tile_width(const struct rk_part *p, int first) { return min_int(p->tile, ((p->m + 15) & ~15) - first); }

// not_zero lists which of x's k elements are not zero, in their order, and returns how many they are. list has room for
// one more.
FN int not_zero(const float *x, int k, int32_t *list) {
	int n = 0;
	for (int i = 0; i < k; i++) {
		list[n] = i;
		n += x[i] != 0;
	}
	return n;
}

// For each plain type: adds the listed columns of a tile, times their elements of x, to the sums of its rows: of each
// lane those of all rows.
#define DEFINE_ADD(T, Opened) \
static void add_##T(const uint8_t *tile, int width, const float *x, const int32_t *list, int n, float *lanes) { \
	int64_t bytes = (int64_t)width / T##_BLOCK * T##_BYTES; \
	for (int i = 0; i < n; i++) { \
		const uint8_t *w = tile + list[i] * bytes, *ahead = tile + list[min_int(i + COLUMNS_AHEAD, n - 1)] * bytes; \
		for (int c = 0; c < bytes; c += 64) __builtin_prefetch(ahead + c); \
		V at = v_set(x[list[i]]); \
		float *sum = lanes + (list[i] & 15) * width; \
		for (int r = 0; r < width; r += 16, w += T##_BYTES) { \
			V v; \
			Opened o = T##_open(w); \
			T##_step(w, &o, 0, &v); \
			v_store(sum + r, v_fma(v, at, v_load(sum + r))); \
		} \
	} \
}
PLAIN_TYPES(DEFINE_ADD)

#define CASE_ADD(T, Opened) case RK_##T: add_##T(tile, width, x, list, count, lanes); break;
static void add_columns(int type, const uint8_t *tile, int width, const float *x, const int32_t *list, int count, float *lanes) {
	switch (type) { PLAIN_TYPES(CASE_ADD) }
}

// sum_lanes adds the lanes of each of width rows, as v_sum does.
static void sum_lanes(float *z, const float *lanes, int width) {
	for (int r = 0; r < width; r += 16) {
		V sum[16];
		for (int l = 0; l < 16; l++) sum[l] = v_load(lanes + l * width + r);
		for (int n = 8; n; n /= 2) {
			for (int l = 0; l < n; l++) sum[l] = v_add(sum[l], sum[l + n]);
		}
		v_store(z + r, sum[0]);
	}
}

// sparse_matmul does the rows [first, last) for n vectors, from the matrix by columns. first is a multiple of p->tile,
// and so is last, or all rows end there.
static void sparse_matmul(const struct rk_part *p, int first, int last, int n, float *work) {
	int64_t size = p->row_bytes / p->k; // of an element
	float *lanes = work;
	int32_t *list = (int32_t *)(lanes + 16 * p->tile);
	for (; first < last; first += p->tile) {
		int width = tile_width(p, first);
		const uint8_t *tile = p->columns + (int64_t)first * p->k * size;
		for (int t = 0; t < n; t++) {
			const float *x = p->x + t * p->x_stride;
			float z[RK_TILE];
			memset(lanes, 0, (size_t)16 * width * sizeof *lanes);
			add_columns(p->type, tile, width, x, list, not_zero(x, p->k, list), lanes);
			sum_lanes(z, lanes, width);
			finish(p, z, first, min_int(width, last - first), t);
		}
	}
}

// For each size of an element: writes the rows from first on, no more than a tile, by columns.
#define DEFINE_TO_COLUMNS(bits) \
static void to_columns_##bits(const struct rk_part *p, int first) { \
	int width = tile_width(p, first), rows = min_int(width, p->m - first); \
	uint##bits##_t *dst = (uint##bits##_t *)p->columns + (int64_t)first * p->k; \
	const uint8_t *src = p->w + first * p->row_bytes; \
	for (int from = 0; from < p->k; from += 32) { /* a line of the cache of each row, or two */ \
		int to = min_int(from + 32, p->k); \
		for (int r = 0; r < rows; r++) { \
			uint##bits##_t line[32]; \
			memcpy(line, src + r * p->row_bytes + (int64_t)from * (bits / 8), (size_t)(to - from) * (bits / 8)); \
			for (int k = from; k < to; k++) dst[(int64_t)k * width + r] = line[k - from]; \
		} \
	} \
}
DEFINE_TO_COLUMNS(16)
DEFINE_TO_COLUMNS(32)

// to_columns writes the tiles of the rows [first, last) by columns.
static void to_columns(const struct rk_part *p, int first, int last) {
	for (; first < last; first += p->tile) {
		if (p->type == RK_F32) to_columns_32(p, first);
		else to_columns_16(p, first);
	}
}
