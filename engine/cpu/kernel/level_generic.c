// What every processor can do.
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

#include "common.h"

#include "vec_generic.h"

#include "level.h"

const struct rk_level rk_generic = LEVEL;
