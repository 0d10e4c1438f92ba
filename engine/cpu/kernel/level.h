// The kernels of a level, after its vectors: included once by the file of each level.

#include "blocks.h"

#include "elementwise.h"

#include "matmul.h"

#include "columns.h"

#include "wkv.h"

#include "finite.h"

#define LEVEL {TILE_ROWS * TILE_TOKENS, matmul, to_columns, sparse_matmul, decode, not_finite, layer_norm, shift_mix, deep_embed, wkv4, wkv6, wkv7, stream, multiply_add}
