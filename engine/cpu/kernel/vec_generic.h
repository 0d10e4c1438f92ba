// Sixteen lanes as an array, for every processor. A product and a sum round by themselves.

typedef struct { float q[16]; } V;
typedef struct { int32_t q[16]; } VI;
typedef struct { uint8_t q[32]; } VB;
typedef struct { float q[16]; } Levels;

#define TILE_ROWS 1
#define TILE_TOKENS 1
#define MAP_BYTES(expression) VB r_; for (int i = 0; i < 32; i++) r_.q[i] = (uint8_t)(expression); return r_
#define MAP(type, expression) type r_; for (int i = 0; i < 16; i++) r_.q[i] = (expression); return r_

FN V v_zero(void) { MAP(V, 0); }
FN V v_set(float f) { MAP(V, f); }
FN V v_halves(float a, float b) { MAP(V, i < 8 ? a : b); }
FN V v_load(const float *p) { MAP(V, p[i]); }
FN V v_load_part(const float *p, int n) { MAP(V, i < n ? p[i] : 0); }
FN void v_store(float *p, V v) { for (int i = 0; i < 16; i++) p[i] = v.q[i]; }
FN void v_store_part(float *p, V v, int n) { for (int i = 0; i < n; i++) p[i] = v.q[i]; }
FN V v_add(V a, V b) { MAP(V, a.q[i] + b.q[i]); }
FN V v_sub(V a, V b) { MAP(V, a.q[i] - b.q[i]); }
FN V v_mul(V a, V b) { MAP(V, a.q[i] * b.q[i]); }
FN V v_fma(V a, V b, V c) { MAP(V, a.q[i] * b.q[i] + c.q[i]); }
FN V v_fms(V a, V b, V c) { MAP(V, a.q[i] * b.q[i] - c.q[i]); } // a * b - c
FN V v_f32(const uint8_t *p) { MAP(V, bits_float(u32(p + 4 * i))); }
FN V v_f16(const uint8_t *p) { MAP(V, half(p + 2 * i)); }
FN V v_bf16(const uint8_t *p) { MAP(V, bits_float((uint32_t)p[2 * i] << 16 | (uint32_t)p[2 * i + 1] << 24)); }
FN VI vi_u8(const uint8_t *p) { MAP(VI, p[i]); }
FN VI vi_bytes(uint64_t lo, uint64_t hi) { MAP(VI, (int32_t)((i < 8 ? lo : hi) >> (i % 8 * 8) & 255)); }
FN VI vi_i8(const uint8_t *p) { MAP(VI, (int8_t)p[i]); }
FN VI vi_and(VI a, int b) { MAP(VI, a.q[i] & b); }
FN VI vi_or(VI a, VI b) { MAP(VI, a.q[i] | b.q[i]); }
FN VI vi_sub(VI a, int b) { MAP(VI, a.q[i] - b); }
FN VI vi_shr(VI a, int n) { MAP(VI, (int32_t)((uint32_t)a.q[i] >> n)); }
FN VI vi_shl(VI a, int n) { MAP(VI, (int32_t)((uint32_t)a.q[i] << n)); }
FN VI vi_bits16(unsigned bits) { MAP(VI, (int32_t)(bits >> i & 1) << 4); }
FN V vi_float(VI a) { MAP(V, (float)a.q[i]); }
FN VB vb_load(const uint8_t *p) { MAP_BYTES(p[i]); }
FN VB vb_shr(VB a, int n) { MAP_BYTES(a.q[i] >> n); }
FN VB vb_shl(VB a, int n) { MAP_BYTES(a.q[i] << n); }
FN VB vb_and(VB a, int b) { MAP_BYTES(a.q[i] & b); }
FN VB vb_or(VB a, VB b) { MAP_BYTES(a.q[i] | b.q[i]); }
FN VB vb_sub(VB a, int b) { MAP_BYTES(a.q[i] - b); }
FN VI vb_low(VB a) { MAP(VI, (int8_t)a.q[i]); }
FN VI vb_high(VB a) { MAP(VI, (int8_t)a.q[16 + i]); }

FN Levels levels(float d, int zero, float m) { MAP(Levels, d * (float)(i - zero) - m); }
FN Levels levels_of(float d, const float *table) { MAP(Levels, d * table[i]); }
FN V level(Levels t, VI a) { MAP(V, t.q[a.q[i] & 15]); }

FN float v_sum(V v) {
	for (int n = 8; n; n /= 2) {
		for (int i = 0; i < n; i++) v.q[i] += v.q[i + n];
	}
	return v.q[0];
}
