#version 450
// op.MatMul for few tokens on a GPU, where the sum of a row must not depend on how many tokens there are: it is made of
// the segments of matmul_tile. A workgroup takes Local rows, a band, and all SEGMENTS of each: an invocation goes along
// one segment of one row for Tokens tokens, so that neighbours read neighbouring words. Their sums meet in shared
// memory.
#extension GL_EXT_control_flow_attributes : require
layout(constant_id = 0) const uint Band = 1;
#include "lib/weights.glsl"
#include "lib/matmul.glsl"

layout(constant_id = 1) const uint Local = 8; // rows, at most MAX_LOCAL
layout(constant_id = 2) const uint Tokens = 1;
layout(local_size_x_id = 1, local_size_y = 8) in; // SEGMENTS

const uint MAX_LOCAL = 8, MAX_TOKENS = 8; // see lib/reduce.glsl; what the constants leave unused costs nothing

shared float partial[MAX_LOCAL * SEGMENTS * MAX_TOKENS];

void main() {
    uint row = gl_WorkGroupID.x * Local;
    Part p = part_of(row);
    uint m0 = row - p.row, rows = p.rows, units = p.units;
    uint t0 = gl_WorkGroupID.y * Tokens;
    uint r = gl_LocalInvocationID.x, s = gl_LocalInvocationID.y;

    // Rows and tokens past the end repeat the last one, and are not stored.
    uint w_at = row_at(p.weight, min(m0 + r, rows - 1), units), x_at[MAX_TOKENS];
    [[unroll]] for (uint t = 0; t < Tokens; t++) x_at[t] = p.x + min(t0 + t, push.tokens - 1) * p.x_stride;

    float acc[MAX_TOKENS];
    [[unroll]] for (uint t = 0; t < Tokens; t++) acc[t] = 0.0;
    uint end = segment_at(s + 1, units);
    for (uint u = segment_at(s, units); u < end; u++) {
        Packed w = fetch(w_at, u);
        [[unroll]] for (uint c = 0; c < GROUPS; c++) {
            vec4 lo, hi;
            weight8(w, c, lo, hi);
            [[unroll]] for (uint t = 0; t < Tokens; t++)
                acc[t] = along(lo, hi, V4(X, x_at[t] + UNIT4 * u + 2 * c), V4(X, x_at[t] + UNIT4 * u + 2 * c + 1), acc[t]);
        }
    }
    [[unroll]] for (uint t = 0; t < Tokens; t++) partial[(t * SEGMENTS + s) * Local + r] = acc[t];
    barrier();
    for (uint i = gl_LocalInvocationIndex; i < Local * Tokens; i += Local * SEGMENTS) {
        uint m = m0 + i % Local, t = i / Local;
        float sum = 0.0;
        [[unroll]] for (uint k = 0; k < SEGMENTS; k++) sum += partial[(t * SEGMENTS + k) * Local + i % Local];
        if (m < rows && t0 + t < push.tokens) finish(p, m, t0 + t, sum);
    }
}
