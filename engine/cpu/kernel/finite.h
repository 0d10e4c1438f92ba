// The check of weights, and what a processor can do at best.

// A number is infinite or NaN if the bits of its exponent are all ones.
#define DEFINE_FINITE(bits) \
static int64_t finite_##bits(const uint8_t *src, int64_t n, uint##bits##_t mask) { \
	for (int64_t i = 0; i < n; i += 64) { \
		uint##bits##_t u[64] = {0}, bad = 0; \
		int m = n - i < 64 ? (int)(n - i) : 64; \
		memcpy(u, src + i * (bits / 8), (size_t)m * (bits / 8)); \
		for (int l = 0; l < 64; l++) bad |= (uint##bits##_t)((u[l] & mask) == mask); \
		for (int l = 0; bad && l < m; l++) { \
			if ((u[l] & mask) == mask) return i + l; \
		} \
	} \
	return -1; \
}
DEFINE_FINITE(16)
DEFINE_FINITE(32)

// finite_blocks looks at the halves at two places of each block.
static int64_t finite_blocks(const uint8_t *src, int64_t blocks, int elements, int bytes, int at, int also) {
	for (int64_t i = 0; i < blocks; i++, src += bytes) {
		if ((u16(src + at) & 0x7c00) == 0x7c00 || (u16(src + also) & 0x7c00) == 0x7c00) return i * elements;
	}
	return -1;
}

#define BLOCKS(T, at, also) case RK_##T: return finite_blocks(src, n / T##_BLOCK, T##_BLOCK, T##_BYTES, at, also);
static int64_t not_finite(int type, const uint8_t *src, int64_t n) {
	switch (type) {
	case RK_F32: return finite_32(src, n, 0x7f800000);
	case RK_F16: return finite_16(src, n, 0x7c00);
	case RK_BF16: return finite_16(src, n, 0x7f80);
	BLOCKS(Q4_0, 0, 0) BLOCKS(Q4_1, 0, 2) BLOCKS(Q5_0, 0, 0) BLOCKS(Q5_1, 0, 2) BLOCKS(Q8_0, 0, 0)
	BLOCKS(Q3_K, 108, 108) BLOCKS(Q4_K, 0, 2) BLOCKS(Q5_K, 0, 2) BLOCKS(Q6_K, 208, 208) BLOCKS(IQ4_NL, 0, 0)
	}
	return -1;
}

// stream reads n bytes, a multiple of 512, and returns a sum of them that nobody needs.
static float stream(const uint8_t *src, int64_t n) {
	V sum[8];
	for (int i = 0; i < 8; i++) sum[i] = v_zero();
	for (int64_t at = 0; at < n; at += 512) {
		for (int i = 0; i < 8; i++) sum[i] = v_add(sum[i], v_f32(src + at + 64 * i));
	}
	for (int i = 1; i < 8; i++) sum[0] = v_add(sum[0], sum[i]);
	return v_sum(sum[0]);
}

// multiply_add does n times as many multiply-adds as a tile of products has sums, of 16 lanes each.
static float multiply_add(int64_t n) {
	V sum[TILE_ROWS * TILE_TOKENS], a = v_set(0.5f), b = v_set(1);
	for (int i = 0; i < TILE_ROWS * TILE_TOKENS; i++) sum[i] = v_set((float)i);
	for (int64_t j = 0; j < n; j++) {
		for (int i = 0; i < TILE_ROWS * TILE_TOKENS; i++) sum[i] = v_fma(sum[i], a, b);
	}
	for (int i = 1; i < TILE_ROWS * TILE_TOKENS; i++) sum[0] = v_add(sum[0], sum[i]);
	return v_sum(sum[0]);
}
