// AVX2, whatever processor the compiler makes code for otherwise.
#if defined(__x86_64__)

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,bmi2"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,f16c,bmi2")
#endif

#include "common.h"

#include "vec_avx2.h"

#include "level.h"

const struct rk_level rk_avx2 = LEVEL;

#if defined(__clang__)
#pragma clang attribute pop
#endif

#endif
