// Sixteen lanes as two registers of AVX2.
#include <immintrin.h>

typedef struct { __m256 a, b; } V;
typedef struct { __m256i a, b; } VI;
typedef uint32_t uint32x8 __attribute__((vector_size(32)));
typedef __m256i VB; // 32 bytes
typedef uint16_t uint16x16 __attribute__((vector_size(32)));
typedef struct { V d, m; const float *table; int zero; } Levels;

#define TILE_ROWS 3
#define TILE_TOKENS 2

FN __m256i part_mask(int n, int from) {
	return _mm256_cmpgt_epi32(_mm256_set1_epi32(n - from), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

FN V v_zero(void) { return (V){_mm256_setzero_ps(), _mm256_setzero_ps()}; }
FN V v_set(float f) { return (V){_mm256_set1_ps(f), _mm256_set1_ps(f)}; }
FN V v_halves(float a, float b) { return (V){_mm256_set1_ps(a), _mm256_set1_ps(b)}; }
FN V v_load(const float *p) { return (V){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
FN V v_load_part(const float *p, int n) {
	return (V){_mm256_maskload_ps(p, part_mask(n, 0)), _mm256_maskload_ps(p + 8, part_mask(n, 8))};
}
FN void v_store(float *p, V v) { _mm256_storeu_ps(p, v.a); _mm256_storeu_ps(p + 8, v.b); }
FN void v_store_part(float *p, V v, int n) {
	_mm256_maskstore_ps(p, part_mask(n, 0), v.a);
	_mm256_maskstore_ps(p + 8, part_mask(n, 8), v.b);
}
FN V v_add(V a, V b) { return (V){_mm256_add_ps(a.a, b.a), _mm256_add_ps(a.b, b.b)}; }
FN V v_sub(V a, V b) { return (V){_mm256_sub_ps(a.a, b.a), _mm256_sub_ps(a.b, b.b)}; }
FN V v_mul(V a, V b) { return (V){_mm256_mul_ps(a.a, b.a), _mm256_mul_ps(a.b, b.b)}; }
FN V v_fma(V a, V b, V c) { return (V){_mm256_fmadd_ps(a.a, b.a, c.a), _mm256_fmadd_ps(a.b, b.b, c.b)}; }
FN V v_fms(V a, V b, V c) { return (V){_mm256_fmsub_ps(a.a, b.a, c.a), _mm256_fmsub_ps(a.b, b.b, c.b)}; } // a * b - c

FN V v_f32(const uint8_t *p) { return v_load((const float *)p); }
FN V v_f16(const uint8_t *p) {
	return (V){_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)), _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(p + 16)))};
}
FN __m256 half_bf16(const uint8_t *p) {
	return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)), 16));
}
FN V v_bf16(const uint8_t *p) { return (V){half_bf16(p), half_bf16(p + 16)}; }

FN VI vi_u8(const uint8_t *p) {
	return (VI){_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p)), _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(p + 8)))};
}
FN VI vi_bytes(uint64_t lo, uint64_t hi) {
	return (VI){_mm256_cvtepu8_epi32(_mm_cvtsi64_si128((int64_t)lo)), _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((int64_t)hi))};
}
FN VI vi_i8(const uint8_t *p) {
	return (VI){_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)), _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(p + 8)))};
}
FN VI vi_and(VI a, int b) { __m256i m = _mm256_set1_epi32(b); return (VI){_mm256_and_si256(a.a, m), _mm256_and_si256(a.b, m)}; }
FN VI vi_or(VI a, VI b) { return (VI){_mm256_or_si256(a.a, b.a), _mm256_or_si256(a.b, b.b)}; }
FN VI vi_sub(VI a, int b) { __m256i m = _mm256_set1_epi32(b); return (VI){_mm256_sub_epi32(a.a, m), _mm256_sub_epi32(a.b, m)}; }
FN VI vi_shr(VI a, int n) { return (VI){(__m256i)((uint32x8)a.a >> n), (__m256i)((uint32x8)a.b >> n)}; }
FN VI vi_shl(VI a, int n) { return (VI){(__m256i)((uint32x8)a.a << n), (__m256i)((uint32x8)a.b << n)}; }
FN VI vi_bits16(unsigned bits) {
	__m256i b = _mm256_set1_epi32((int)bits), m = _mm256_set1_epi32(16);
	return (VI){_mm256_and_si256(_mm256_srlv_epi32(_mm256_slli_epi32(b, 4), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)), m),
		_mm256_and_si256(_mm256_srlv_epi32(_mm256_slli_epi32(b, 4), _mm256_setr_epi32(8, 9, 10, 11, 12, 13, 14, 15)), m)};
}
FN V vi_float(VI a) { return (V){_mm256_cvtepi32_ps(a.a), _mm256_cvtepi32_ps(a.b)}; }

FN VB vb_load(const uint8_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
FN VB vb_shr(VB a, int n) { return (VB)((uint16x16)a >> n); }
FN VB vb_shl(VB a, int n) { return (VB)((uint16x16)a << n); }
FN VB vb_and(VB a, int b) { return _mm256_and_si256(a, _mm256_set1_epi8((char)b)); }
FN VB vb_or(VB a, VB b) { return _mm256_or_si256(a, b); }
FN VB vb_sub(VB a, int b) { return _mm256_sub_epi8(a, _mm256_set1_epi8((char)b)); }
FN VI vb_extend(__m128i a) { return (VI){_mm256_cvtepi8_epi32(a), _mm256_cvtepi8_epi32(_mm_unpackhi_epi64(a, a))}; }
FN VI vb_low(VB a) { return vb_extend(_mm256_castsi256_si128(a)); }
FN VI vb_high(VB a) { return vb_extend(_mm256_extracti128_si256(a, 1)); }

FN Levels levels(float d, int zero, float m) { return (Levels){v_set(d), v_set(m), 0, zero}; }
FN Levels levels_of(float d, const float *table) { return (Levels){v_set(d), v_zero(), table, 0}; }
FN V level(Levels t, VI q) {
	q = vi_and(q, 15);
	if (t.table) {
		return v_mul(t.d, (V){_mm256_i32gather_ps(t.table, q.a, 4), _mm256_i32gather_ps(t.table, q.b, 4)});
	}
	if (t.zero) q = vi_sub(q, t.zero);
	return v_fms(t.d, vi_float(q), t.m);
}

FN float v_sum(V v) {
	__m256 h = _mm256_add_ps(v.a, v.b);
	__m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
	q = _mm_add_ps(q, _mm_movehl_ps(q, q));
	return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}
