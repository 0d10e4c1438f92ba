// NEON, which every processor of 64-bit ARM has.
#if defined(__aarch64__)

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

#include "common.h"

#include "vec_neon.h"

#include "level.h"

const struct rk_level rk_neon = LEVEL;

#endif
