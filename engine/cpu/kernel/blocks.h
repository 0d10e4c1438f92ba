// The storage types. Each has, under its name T: T_BLOCK elements in T_BYTES, worked through in steps of T_STEP
// elements; T_open, which reads a block's scales; and T_step, which gives the elements from at on as vectors. The
// layouts and the order of the arithmetic are those of model/tensor (block.go), to the bit. Where something is added to
// a product, a scale has at most 17 bits and a code 5: the product is exact, and so it may be fused with the sum.

typedef struct { char none; } Open0;
typedef struct { float d[16]; } OpenK;

// vb_move moves the bits of each byte right, or left where n is negative. Bits of neighbours come in: mask them.
FN VB vb_move(VB a, int n) { return n < 0 ? vb_shl(a, -n) : vb_shr(a, n); }

#define F32_BLOCK 16
#define F32_BYTES 64
#define F32_STEP 16
FN Open0 F32_open(const uint8_t *b) { (void)b; return (Open0){0}; }
FN void F32_step(const uint8_t *b, const Open0 *o, int at, V *out) { (void)o; (void)at; out[0] = v_f32(b); }

#define F16_BLOCK 16
#define F16_BYTES 32
#define F16_STEP 16
FN Open0 F16_open(const uint8_t *b) { (void)b; return (Open0){0}; }
FN void F16_step(const uint8_t *b, const Open0 *o, int at, V *out) { (void)o; (void)at; out[0] = v_f16(b); }

#define BF16_BLOCK 16
#define BF16_BYTES 32
#define BF16_STEP 16
FN Open0 BF16_open(const uint8_t *b) { (void)b; return (Open0){0}; }
FN void BF16_step(const uint8_t *b, const Open0 *o, int at, V *out) { (void)o; (void)at; out[0] = v_bf16(b); }

#define Q4_0_BLOCK 32
#define Q4_0_BYTES 18
#define Q4_0_STEP 32
FN Levels Q4_0_open(const uint8_t *b) { return levels(half(b), 8, 0); }
FN void Q4_0_step(const uint8_t *b, const Levels *o, int at, V *out) {
	(void)at;
	VI q = vi_u8(b + 2);
	out[0] = level(*o, q);
	out[1] = level(*o, vi_shr(q, 4));
}

#define Q4_1_BLOCK 32
#define Q4_1_BYTES 20
#define Q4_1_STEP 32
FN Levels Q4_1_open(const uint8_t *b) { return levels(half(b), 0, -half(b + 2)); }
FN void Q4_1_step(const uint8_t *b, const Levels *o, int at, V *out) { Q4_0_step(b + 2, o, at, out); }

#define IQ4_NL_BLOCK 32
#define IQ4_NL_BYTES 18
#define IQ4_NL_STEP 32
static const float non_linear[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
FN Levels IQ4_NL_open(const uint8_t *b) { return levels_of(half(b), non_linear); }
FN void IQ4_NL_step(const uint8_t *b, const Levels *o, int at, V *out) { Q4_0_step(b, o, at, out); }

#define Q5_0_BLOCK 32
#define Q5_0_BYTES 22
#define Q5_0_STEP 32
FN V Q5_0_open(const uint8_t *b) { return v_set(half(b)); }
FN void Q5_0_step(const uint8_t *b, const V *o, int at, V *out) {
	(void)at;
	unsigned high = u32(b + 2);
	VI q = vi_u8(b + 6);
	out[0] = v_mul(*o, vi_float(vi_sub(vi_or(vi_and(q, 15), vi_bits16(high & 0xffff)), 16)));
	out[1] = v_mul(*o, vi_float(vi_sub(vi_or(vi_shr(q, 4), vi_bits16(high >> 16)), 16)));
}

#define Q5_1_BLOCK 32
#define Q5_1_BYTES 24
#define Q5_1_STEP 32
typedef struct { V d, m; } OpenV;
FN OpenV Q5_1_open(const uint8_t *b) { return (OpenV){v_set(half(b)), v_set(half(b + 2))}; }
FN void Q5_1_step(const uint8_t *b, const OpenV *o, int at, V *out) {
	(void)at;
	unsigned high = u32(b + 4);
	VI q = vi_u8(b + 8);
	out[0] = v_fma(o->d, vi_float(vi_or(vi_and(q, 15), vi_bits16(high & 0xffff))), o->m);
	out[1] = v_fma(o->d, vi_float(vi_or(vi_shr(q, 4), vi_bits16(high >> 16))), o->m);
}

#define Q8_0_BLOCK 32
#define Q8_0_BYTES 34
#define Q8_0_STEP 32
FN V Q8_0_open(const uint8_t *b) { return v_set(half(b)); }
FN void Q8_0_step(const uint8_t *b, const V *o, int at, V *out) {
	(void)at;
	out[0] = v_mul(*o, vi_float(vi_i8(b + 2)));
	out[1] = v_mul(*o, vi_float(vi_i8(b + 18)));
}

#define Q3_K_BLOCK 256
#define Q3_K_BYTES 110
#define Q3_K_STEP 32
FN OpenK Q3_K_open(const uint8_t *b) {
	OpenK o;
	uint32_t a = u32(b + 96), c = u32(b + 100), high = u32(b + 104); // four low bits of 16 scales, and two high ones
	uint32_t first = (a & 0x0f0f0f0f) | (high & 0x03030303) << 4, second = (c & 0x0f0f0f0f) | (high >> 2 & 0x03030303) << 4;
	uint32_t third = (a >> 4 & 0x0f0f0f0f) | (high >> 4 & 0x03030303) << 4;
	uint32_t fourth = (c >> 4 & 0x0f0f0f0f) | (high >> 6 & 0x03030303) << 4;
	VI codes = vi_bytes(first | (uint64_t)second << 32, third | (uint64_t)fourth << 32);
	v_store(o.d, v_mul(v_set(half(b + 108)), vi_float(vi_sub(codes, 32))));
	return o;
}
FN void Q3_K_step(const uint8_t *b, const OpenK *o, int at, V *out) {
	int row = at / 32;
	VB low = vb_and(vb_shr(vb_load(b + 32 + row / 4 * 32), row % 4 * 2), 3);
	VB q = vb_sub(vb_or(low, vb_and(vb_move(vb_load(b), row - 2), 4)), 4);
	out[0] = v_mul(v_set(o->d[2 * row]), vi_float(vb_low(q)));
	out[1] = v_mul(v_set(o->d[2 * row + 1]), vi_float(vb_high(q)));
}

// scales_mins reads the 8 scales and then the 8 minima, of six bits each, of Q4_K and Q5_K.
FN OpenK scales_mins(const uint8_t *b) {
	OpenK o;
	uint32_t a = u32(b + 4), c = u32(b + 8), e = u32(b + 12);
	uint32_t scales = (e & 0x0f0f0f0f) | (a >> 6 & 0x03030303) << 4; // the last four; so with the minima
	uint32_t mins = (e >> 4 & 0x0f0f0f0f) | (c >> 6 & 0x03030303) << 4;
	VI codes = vi_bytes((a & 0x3f3f3f3f) | (uint64_t)scales << 32, (c & 0x3f3f3f3f) | (uint64_t)mins << 32);
	v_store(o.d, v_mul(v_halves(half(b), half(b + 2)), vi_float(codes)));
	return o;
}

#define Q4_K_BLOCK 256
#define Q4_K_BYTES 144
#define Q4_K_STEP 64
FN OpenK Q4_K_open(const uint8_t *b) { return scales_mins(b); }
FN void Q4_K_step(const uint8_t *b, const OpenK *o, int at, V *out) {
	int j = at / 32;
	Levels low = levels(o->d[j], 0, o->d[8 + j]), high = levels(o->d[j + 1], 0, o->d[9 + j]);
	for (int part = 0; part < 2; part++) {
		VI q = vi_u8(b + 16 + at / 2 + 16 * part);
		out[part] = level(low, q);
		out[2 + part] = level(high, vi_shr(q, 4));
	}
}

#define Q5_K_BLOCK 256
#define Q5_K_BYTES 176
#define Q5_K_STEP 32
FN OpenK Q5_K_open(const uint8_t *b) { return scales_mins(b); }
FN void Q5_K_step(const uint8_t *b, const OpenK *o, int at, V *out) {
	int j = at / 32;
	VB low = vb_and(vb_shr(vb_load(b + 48 + j / 2 * 32), j % 2 * 4), 15);
	VB q = vb_or(low, vb_and(vb_move(vb_load(b + 16), j - 4), 16));
	out[0] = v_fms(v_set(o->d[j]), vi_float(vb_low(q)), v_set(o->d[8 + j]));
	out[1] = v_fms(v_set(o->d[j]), vi_float(vb_high(q)), v_set(o->d[8 + j]));
}

#define Q6_K_BLOCK 256
#define Q6_K_BYTES 210
#define Q6_K_STEP 32
FN OpenK Q6_K_open(const uint8_t *b) {
	OpenK o;
	v_store(o.d, v_mul(v_set(half(b + 208)), vi_float(vi_i8(b + 192))));
	return o;
}
FN void Q6_K_step(const uint8_t *b, const OpenK *o, int at, V *out) {
	int row = at / 32;
	VB low = vb_and(vb_shr(vb_load(b + row / 4 * 64 + row % 2 * 32), row % 4 / 2 * 4), 15);
	VB q = vb_sub(vb_or(low, vb_and(vb_move(vb_load(b + 128 + row / 4 * 32), row % 4 * 2 - 4), 48)), 32);
	out[0] = v_mul(v_set(o->d[2 * row]), vi_float(vb_low(q)));
	out[1] = v_mul(v_set(o->d[2 * row + 1]), vi_float(vb_high(q)));
}

// For each type, with the type of what its T_open returns.
#define PLAIN_TYPES(DO) DO(F32, Open0) DO(F16, Open0) DO(BF16, Open0)
#define BLOCK_TYPES(DO) DO(Q4_0, Levels) DO(Q4_1, Levels) DO(IQ4_NL, Levels) DO(Q5_0, V) DO(Q5_1, OpenV) DO(Q8_0, V) \
	DO(Q3_K, OpenK) DO(Q4_K, OpenK) DO(Q5_K, OpenK) DO(Q6_K, OpenK)
