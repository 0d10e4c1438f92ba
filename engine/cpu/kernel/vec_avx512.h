// Sixteen lanes as one register of AVX-512.
#include <immintrin.h>

typedef __m512 V;  // 16 float32
typedef __m512i VI; // 16 int32
typedef __m512 Levels; // the 16 values of four bits
typedef uint32_t uint32x16 __attribute__((vector_size(64)));
typedef __m256i VB; // 32 bytes
typedef uint16_t uint16x16 __attribute__((vector_size(32)));

#define TILE_ROWS 8
#define TILE_TOKENS 3
#define HAVE_SUM4

FN V v_zero(void) { return _mm512_setzero_ps(); }
FN V v_set(float f) { return _mm512_set1_ps(f); }
FN V v_halves(float a, float b) { return _mm512_insertf32x8(_mm512_set1_ps(a), _mm256_set1_ps(b), 1); }
FN V v_load(const float *p) { return _mm512_loadu_ps(p); }
FN V v_load_part(const float *p, int n) { return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p); }
FN void v_store(float *p, V v) { _mm512_storeu_ps(p, v); }
FN void v_store_part(float *p, V v, int n) { _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), v); }
FN V v_add(V a, V b) { return _mm512_add_ps(a, b); }
FN V v_sub(V a, V b) { return _mm512_sub_ps(a, b); }
FN V v_mul(V a, V b) { return _mm512_mul_ps(a, b); }
FN V v_fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
FN V v_fms(V a, V b, V c) { return _mm512_fmsub_ps(a, b, c); } // a * b - c

FN V v_f32(const uint8_t *p) { return _mm512_loadu_ps(p); }
FN V v_f16(const uint8_t *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)); }
FN V v_bf16(const uint8_t *p) {
	return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)), 16));
}

FN VI vi_u8(const uint8_t *p) { return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p)); }
FN VI vi_bytes(uint64_t lo, uint64_t hi) { return _mm512_cvtepu8_epi32(_mm_set_epi64x((int64_t)hi, (int64_t)lo)); }
FN VI vi_i8(const uint8_t *p) { return _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)); }
FN VI vi_set(int i) { return _mm512_set1_epi32(i); }
FN VI vi_and(VI a, int b) { return _mm512_and_si512(a, _mm512_set1_epi32(b)); }
FN VI vi_or(VI a, VI b) { return _mm512_or_si512(a, b); }
FN VI vi_sub(VI a, int b) { return _mm512_sub_epi32(a, _mm512_set1_epi32(b)); }
FN VI vi_shr(VI a, int n) { return (VI)((uint32x16)a >> n); }
FN VI vi_shl(VI a, int n) { return (VI)((uint32x16)a << n); }
// vi_bits16 returns bit i of bits in lane i, as 0 or 16.
FN VI vi_bits16(unsigned bits) { return _mm512_maskz_set1_epi32((__mmask16)bits, 16); }
FN V vi_float(VI a) { return _mm512_cvtepi32_ps(a); }

FN VB vb_load(const uint8_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
FN VB vb_shr(VB a, int n) { return (VB)((uint16x16)a >> n); }
FN VB vb_shl(VB a, int n) { return (VB)((uint16x16)a << n); }
FN VB vb_and(VB a, int b) { return _mm256_and_si256(a, _mm256_set1_epi8((char)b)); }
FN VB vb_or(VB a, VB b) { return _mm256_or_si256(a, b); }
FN VB vb_sub(VB a, int b) { return _mm256_sub_epi8(a, _mm256_set1_epi8((char)b)); }
FN VI vb_low(VB a) { return _mm512_cvtepi8_epi32(_mm256_castsi256_si128(a)); }
FN VI vb_high(VB a) { return _mm512_cvtepi8_epi32(_mm256_extracti128_si256(a, 1)); }

// levels returns the table of d * (q - zero) - m for q from 0 to 15.
FN Levels levels(float d, int zero, float m) {
	const VI q = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
	return v_fms(v_set(d), vi_float(vi_sub(q, zero)), v_set(m));
}
FN Levels levels_of(float d, const float *table) { return v_mul(v_set(d), v_load(table)); }
// level looks the low four bits of each lane up.
FN V level(Levels table, VI q) { return _mm512_permutexvar_ps(q, table); }

// v_sum4 writes the sum of each of four vectors: lane i is added to lane i+8, then i+4, i+2, i+1.
FN void v_sum4(float *out, V a, V b, V c, V d) {
	// halves: each of ab, cd has the 8 sums of two vectors
	V ab = v_add(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
	V cd = v_add(_mm512_shuffle_f32x4(c, d, 0x44), _mm512_shuffle_f32x4(c, d, 0xee));
	// quarters: each 128 bits have the 4 sums of one vector
	V q = v_add(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xdd));
	q = v_add(q, _mm512_shuffle_ps(q, q, 0x4e));
	q = v_add(q, _mm512_shuffle_ps(q, q, 0xb1));
	_mm_storeu_ps(out, _mm512_castps512_ps128(_mm512_maskz_compress_ps(0x1111, q)));
}
FN float v_sum(V a) {
	__m256 h = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
	__m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
	q = _mm_add_ps(q, _mm_movehl_ps(q, q));
	return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}
