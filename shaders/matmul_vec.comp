#version 450
// op.MatMul for few tokens: bound by reading the weights once. A subgroup takes Rows rows for Tokens tokens; its lanes
// stride along the rows together, so that loads coalesce, and meet in one subgroup sum each. No barrier, no shared
// memory, any subgroup size.
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_EXT_control_flow_attributes : require
#include "lib/weights.glsl"
#include "lib/matmul.glsl"

layout(constant_id = 0) const uint Local = 64;
layout(constant_id = 1) const uint Rows = 2;
layout(constant_id = 2) const uint Tokens = 1;
layout(local_size_x_id = 0) in;

const uint MAX_ROWS = 8, MAX_TOKENS = 8; // see lib/reduce.glsl; what the constants leave unused costs nothing

void main() {
    uint row = (gl_WorkGroupID.x * gl_NumSubgroups + gl_SubgroupID) * Rows;
    Part p = part_of(row);
    uint m0 = row - p.row, rows = p.rows, groups = p.groups;
    if (m0 >= rows) return;
    uint t0 = gl_WorkGroupID.y * Tokens;

    // Rows and tokens past the end repeat the last one, and are not stored.
    uint w_at[MAX_ROWS], x_at[MAX_TOKENS];
    [[unroll]] for (uint r = 0; r < Rows; r++) w_at[r] = p.weight + min(m0 + r, rows - 1) * groups;
    [[unroll]] for (uint t = 0; t < Tokens; t++)
        x_at[t] = p.x + min(t0 + t, push.tokens - 1) * p.x_stride;

    float acc[MAX_ROWS * MAX_TOKENS];
    [[unroll]] for (uint i = 0; i < Rows * Tokens; i++) acc[i] = 0.0;
    for (uint g = gl_SubgroupInvocationID; g < groups; g += gl_SubgroupSize) {
        vec4 x_lo[MAX_TOKENS], x_hi[MAX_TOKENS];
        [[unroll]] for (uint t = 0; t < Tokens; t++) {
            x_lo[t] = V4(X, x_at[t] + 2 * g);
            x_hi[t] = V4(X, x_at[t] + 2 * g + 1);
        }
        [[unroll]] for (uint r = 0; r < Rows; r++) {
            vec4 lo, hi;
            LOAD8(W, w_at[r] + g, lo, hi);
            [[unroll]] for (uint t = 0; t < Tokens; t++)
                acc[r * Tokens + t] += dot(lo, x_lo[t]) + dot(hi, x_hi[t]);
        }
    }

    // Lane i finishes sum base + i. One copy of finish, and sums picked by comparison instead of by index, keep the code
    // small and the sums in registers.
    [[unroll]] for (uint i = 0; i < Rows * Tokens; i++) acc[i] = subgroupAdd(acc[i]);
    [[dont_unroll]] for (uint base = 0; base < Rows * Tokens; base += gl_SubgroupSize) {
        uint mine = base + gl_SubgroupInvocationID;
        uint m = m0 + mine / Tokens, t = t0 + mine % Tokens;
        float sum = 0.0;
        [[unroll]] for (uint i = 0; i < Rows * Tokens; i++) sum = i == mine ? acc[i] : sum;
        if (mine < Rows * Tokens && m < rows && t < push.tokens) finish(p, m, t, sum);
    }
}
