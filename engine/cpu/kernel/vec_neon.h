// Sixteen lanes as four registers of NEON.
#include <arm_neon.h>

typedef struct { float32x4_t q[4]; } V;
typedef struct { uint32x4_t q[4]; } VI;
typedef struct { uint8x16_t a, b; } VB;
typedef struct { V d, m; const float *table; int zero; } Levels;

#define TILE_ROWS 2
#define TILE_TOKENS 2
#define MAP(type, expression) ({ type r_; for (int i = 0; i < 4; i++) r_.q[i] = (expression); r_; })

FN V v_zero(void) { return MAP(V, vdupq_n_f32(0)); }
FN V v_set(float f) { return MAP(V, vdupq_n_f32(f)); }
FN V v_halves(float a, float b) { return MAP(V, vdupq_n_f32(i < 2 ? a : b)); }
FN V v_load(const float *p) { return MAP(V, vld1q_f32(p + 4 * i)); }
FN void v_store(float *p, V v) { for (int i = 0; i < 4; i++) vst1q_f32(p + 4 * i, v.q[i]); }
FN V v_load_part(const float *p, int n) {
	float all[16] = {0};
	for (int i = 0; i < n; i++) all[i] = p[i];
	return v_load(all);
}
FN void v_store_part(float *p, V v, int n) {
	float all[16];
	v_store(all, v);
	for (int i = 0; i < n; i++) p[i] = all[i];
}
FN V v_add(V a, V b) { return MAP(V, vaddq_f32(a.q[i], b.q[i])); }
FN V v_sub(V a, V b) { return MAP(V, vsubq_f32(a.q[i], b.q[i])); }
FN V v_mul(V a, V b) { return MAP(V, vmulq_f32(a.q[i], b.q[i])); }
FN V v_fma(V a, V b, V c) { return MAP(V, vfmaq_f32(c.q[i], a.q[i], b.q[i])); }
FN V v_fms(V a, V b, V c) { return MAP(V, vfmaq_f32(vnegq_f32(c.q[i]), a.q[i], b.q[i])); } // a * b - c

FN V v_f32(const uint8_t *p) { return MAP(V, vreinterpretq_f32_u8(vld1q_u8(p + 16 * i))); }
FN V v_f16(const uint8_t *p) { return MAP(V, vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p + 8 * i)))); }
FN V v_bf16(const uint8_t *p) { return MAP(V, vreinterpretq_f32_u32(vshll_n_u16(vreinterpret_u16_u8(vld1_u8(p + 8 * i)), 16))); }

FN VI widen(uint8x16_t b) {
	uint16x8_t lo = vmovl_u8(vget_low_u8(b)), hi = vmovl_u8(vget_high_u8(b));
	return (VI){{vmovl_u16(vget_low_u16(lo)), vmovl_u16(vget_high_u16(lo)), vmovl_u16(vget_low_u16(hi)), vmovl_u16(vget_high_u16(hi))}};
}
FN VI vi_u8(const uint8_t *p) { return widen(vld1q_u8(p)); }
FN VI vi_bytes(uint64_t lo, uint64_t hi) { return widen(vcombine_u8(vcreate_u8(lo), vcreate_u8(hi))); }
FN VI extend(int8x16_t b) {
	int16x8_t lo = vmovl_s8(vget_low_s8(b)), hi = vmovl_s8(vget_high_s8(b));
	return (VI){{vreinterpretq_u32_s32(vmovl_s16(vget_low_s16(lo))), vreinterpretq_u32_s32(vmovl_s16(vget_high_s16(lo))),
		vreinterpretq_u32_s32(vmovl_s16(vget_low_s16(hi))), vreinterpretq_u32_s32(vmovl_s16(vget_high_s16(hi)))}};
}
FN VI vi_i8(const uint8_t *p) { return extend(vreinterpretq_s8_u8(vld1q_u8(p))); }
FN VB vb_load(const uint8_t *p) { return (VB){vld1q_u8(p), vld1q_u8(p + 16)}; }
FN VB vb_shl(VB a, int n) { return (VB){vshlq_u8(a.a, vdupq_n_s8((int8_t)n)), vshlq_u8(a.b, vdupq_n_s8((int8_t)n))}; }
FN VB vb_shr(VB a, int n) { return vb_shl(a, -n); }
FN VB vb_and(VB a, int b) { uint8x16_t m = vdupq_n_u8((uint8_t)b); return (VB){vandq_u8(a.a, m), vandq_u8(a.b, m)}; }
FN VB vb_or(VB a, VB b) { return (VB){vorrq_u8(a.a, b.a), vorrq_u8(a.b, b.b)}; }
FN VB vb_sub(VB a, int b) { uint8x16_t m = vdupq_n_u8((uint8_t)b); return (VB){vsubq_u8(a.a, m), vsubq_u8(a.b, m)}; }
FN VI vb_low(VB a) { return extend(vreinterpretq_s8_u8(a.a)); }
FN VI vb_high(VB a) { return extend(vreinterpretq_s8_u8(a.b)); }
FN VI vi_and(VI a, int b) { return MAP(VI, vandq_u32(a.q[i], vdupq_n_u32((uint32_t)b))); }
FN VI vi_or(VI a, VI b) { return MAP(VI, vorrq_u32(a.q[i], b.q[i])); }
FN VI vi_sub(VI a, int b) { return MAP(VI, vsubq_u32(a.q[i], vdupq_n_u32((uint32_t)b))); }
FN VI vi_shr(VI a, int n) { return MAP(VI, vshlq_u32(a.q[i], vdupq_n_s32(-n))); }
FN VI vi_shl(VI a, int n) { return MAP(VI, vshlq_u32(a.q[i], vdupq_n_s32(n))); }
FN VI vi_bits16(unsigned bits) {
	const int32_t lanes[16] = {4, 3, 2, 1, 0, -1, -2, -3, -4, -5, -6, -7, -8, -9, -10, -11};
	return MAP(VI, vandq_u32(vshlq_u32(vdupq_n_u32(bits), vld1q_s32(lanes + 4 * i)), vdupq_n_u32(16)));
}
FN V vi_float(VI a) { return MAP(V, vcvtq_f32_s32(vreinterpretq_s32_u32(a.q[i]))); }

FN Levels levels(float d, int zero, float m) { return (Levels){v_set(d), v_set(m), 0, zero}; }
FN Levels levels_of(float d, const float *table) { return (Levels){v_set(d), v_zero(), table, 0}; }
FN V level(Levels t, VI q) {
	q = vi_and(q, 15);
	if (t.table) {
		uint32_t at[16];
		float f[16];
		for (int i = 0; i < 4; i++) vst1q_u32(at + 4 * i, q.q[i]);
		for (int i = 0; i < 16; i++) f[i] = t.table[at[i]];
		return v_mul(t.d, v_load(f));
	}
	if (t.zero) q = vi_sub(q, t.zero);
	return v_fms(t.d, vi_float(q), t.m);
}

FN float v_sum(V v) {
	float32x4_t q = vaddq_f32(vaddq_f32(v.q[0], v.q[2]), vaddq_f32(v.q[1], v.q[3]));
	float32x2_t h = vadd_f32(vget_low_f32(q), vget_high_f32(q));
	return vget_lane_f32(h, 0) + vget_lane_f32(h, 1);
}
