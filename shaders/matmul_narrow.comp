#version 450
// op.MatMul where few lanes are emulated by a compiler that unrolls nothing, takes an indexed array for memory, runs
// every branch and keeps little in registers. A subgroup takes ROWS rows for TOKENS tokens, both literals; its lanes
// share the rows, 8 elements each, so that every load brings each of them something else. Rows come one after the
// other, so that little is alive at once. Weights are texels: 16 bytes of one are a single load, of a storage buffer
// one for each word.
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_EXT_control_flow_attributes : require
layout(constant_id = 0) const uint Band = 1;
#include "lib/weights.glsl"
#include "lib/matmul.glsl"

layout(constant_id = 1) const uint Local = 64; // whole subgroups, of 4 lanes or more
layout(local_size_x_id = 1) in;

void main() {
    uint lane = gl_SubgroupInvocationID;
    uint row = (gl_WorkGroupID.x * gl_NumSubgroups + gl_SubgroupID) * ROWS;
    Part p = part_of(row);
    uint m0 = row - p.row, rows = p.rows, units = p.units;
    uint t0 = gl_WorkGroupID.y * TOKENS;

    // Rows and tokens past the end repeat the last one, and are not stored.
    uint w_at[ROWS], x_at[TOKENS];
    [[unroll]] for (uint r = 0; r < ROWS; r++) w_at[r] = row_at(p.weight, min(m0 + r, rows - 1), units);
    [[unroll]] for (uint t = 0; t < TOKENS; t++) x_at[t] = p.x + min(t0 + t, push.tokens - 1) * p.x_stride;

    float acc[ROWS * TOKENS];
    [[unroll]] for (uint i = 0; i < ROWS * TOKENS; i++) acc[i] = 0.0;
    for (uint g = lane; g < GROUPS * units; g += gl_SubgroupSize) {
        vec4 x_lo[TOKENS], x_hi[TOKENS];
        [[unroll]] for (uint t = 0; t < TOKENS; t++) {
            x_lo[t] = V4(X, x_at[t] + 2 * g);
            x_hi[t] = V4(X, x_at[t] + 2 * g + 1);
        }
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            vec4 lo, hi;
            weight8(fetch(w_at[r], g / GROUPS), g % GROUPS, lo, hi);
            [[unroll]] for (uint t = 0; t < TOKENS; t++) acc[r * TOKENS + t] += dot(lo, x_lo[t]) + dot(hi, x_hi[t]);
        }
    }

    // Lane l finishes sum 4 j + l. They lie in memory, for one copy of finish.
    float sums[ROWS * TOKENS / 4];
    [[unroll]] for (uint i = 0; i < ROWS * TOKENS; i += 4) {
        float a = subgroupAdd(acc[i]), b = subgroupAdd(acc[i + 1]), c = subgroupAdd(acc[i + 2]), d = subgroupAdd(acc[i + 3]);
        sums[i / 4] = lane < 2 ? lane == 0 ? a : b : lane == 2 ? c : d;
    }
    [[dont_unroll]] for (uint j = 0; j < ROWS * TOKENS / 4; j++) {
        uint mine = 4 * j + lane, m = m0 + mine / TOKENS, t = t0 + mine % TOKENS;
        if (lane < 4 && m < rows && t < push.tokens) finish(p, m, t, sums[j], bias_of(p, m));
    }
}
