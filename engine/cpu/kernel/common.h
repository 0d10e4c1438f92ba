// What every level's file has: its helpers are copies of its own, which its compiler options make.
#ifndef RWKV_COMMON_H
#define RWKV_COMMON_H

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "kernel.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "weights are little-endian, and are read as they are"
#endif

#define FN static inline __attribute__((always_inline, unused))

FN uint16_t u16(const uint8_t *p) {
	uint16_t u;
	memcpy(&u, p, 2);
	return u;
}

FN uint32_t u32(const uint8_t *p) {
	uint32_t u;
	memcpy(&u, p, 4);
	return u;
}

FN float bits_float(uint32_t u) {
	float f;
	memcpy(&f, &u, 4);
	return f;
}

// half converts an IEEE binary16 exactly. A subnormal one is its fraction times 2^-24.
FN float half(const uint8_t *p) {
	uint32_t h = u16(p), sign = (h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 0x3ff;
	if (exponent == 0) {
		float f = (float)fraction * 0x1p-24f;
		return sign ? -f : f;
	}
	return bits_float(sign | (exponent == 31 ? 255 : exponent + 112) << 23 | fraction << 13);
}

FN int min_int(int a, int b) { return a < b ? a : b; }

#endif
