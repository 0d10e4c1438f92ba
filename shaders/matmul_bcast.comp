#version 450
// op.MatMul on devices that share no fast memory between lanes, where a load costs more than arithmetic. A subgroup of
// Local lanes takes Local * TileRows rows for TileTokens tokens, all sums in registers; its rows lie Local apart, so that
// neighbours work on neighbouring rows. A block of 4 * Local elements of each token is loaded once, 4 to a lane, and
// handed round by subgroupBroadcast.
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_ballot : require
#extension GL_EXT_control_flow_attributes : require
layout(constant_id = 0) const uint Band = 1;
#include "lib/weights.glsl"
#include "lib/matmul.glsl"

layout(constant_id = 1) const uint Local = 8; // at most 16, and the subgroup is no smaller
layout(constant_id = 2) const uint TileRows = 4;
layout(constant_id = 3) const uint TileTokens = 8;
layout(local_size_x_id = 1) in;

const uint MAX_ROWS = 8, MAX_TOKENS = 16; // see lib/reduce.glsl; what the constants leave unused costs nothing

// The lane that broadcasts has to be a literal.
#define STEP(c)                                                                                       \
    if (c < Local / 2) {                                                                              \
        vec4 lo[MAX_ROWS], hi[MAX_ROWS];                                                              \
        [[unroll]] for (uint r = 0; r < TileRows; r++) {                                              \
            if (c % GROUPS == 0) w[r] = fetch(w_at[r], (g0 + c) / GROUPS);                            \
            weight8(w[r], (g0 + c) % GROUPS, lo[r], hi[r]);                                           \
        }                                                                                             \
        [[unroll]] for (uint t = 0; t < TileTokens; t++) {                                            \
            vec4 x_lo = subgroupBroadcast(x[t], 2 * c), x_hi = subgroupBroadcast(x[t], 2 * c + 1);    \
            [[unroll]] for (uint r = 0; r < TileRows; r++)                                            \
                acc[r * TileTokens + t] += dot(lo[r], x_lo) + dot(hi[r], x_hi);                       \
        }                                                                                             \
    }

void main() {
    uint row = gl_WorkGroupID.x * Local * TileRows;
    Part p = part_of(row);
    uint m0 = row - p.row + gl_LocalInvocationID.x, rows = p.rows, groups = p.units * GROUPS;
    uint t0 = gl_WorkGroupID.y * TileTokens;

    uint w_at[MAX_ROWS], x_at[MAX_TOKENS];
    [[unroll]] for (uint r = 0; r < TileRows; r++)
        w_at[r] = row_at(p.weight, min(m0 + r * Local, rows - 1), p.units);
    [[unroll]] for (uint t = 0; t < TileTokens; t++)
        x_at[t] = p.x + min(t0 + t, push.tokens - 1) * p.x_stride;

    float acc[MAX_ROWS * MAX_TOKENS];
    [[unroll]] for (uint i = 0; i < TileRows * TileTokens; i++) acc[i] = 0.0;
    for (uint g0 = 0; g0 < groups; g0 += Local / 2) {
        // Past the end of a row of weights lies something finite, and meets zeros.
        uint at = 2 * g0 + gl_SubgroupInvocationID;
        float inside = at < 2 * groups ? 1.0 : 0.0;
        vec4 x[MAX_TOKENS];
        [[unroll]] for (uint t = 0; t < TileTokens; t++) x[t] = V4(X, x_at[t] + min(at, 2 * groups - 1)) * inside;
        Packed w[MAX_ROWS];
        STEP(0) STEP(1) STEP(2) STEP(3) STEP(4) STEP(5) STEP(6) STEP(7)
    }
    // One copy of finish, and sums picked by comparison instead of by index, keep the code small and the sums in registers.
    [[dont_unroll]] for (uint mine = 0; mine < TileRows * TileTokens; mine++) {
        uint m = m0 + mine / TileTokens * Local, t = t0 + mine % TileTokens;
        float sum = 0.0;
        [[unroll]] for (uint i = 0; i < TileRows * TileTokens; i++) sum = i == mine ? acc[i] : sum;
        if (m < rows && t < push.tokens) finish(p, m, t, sum);
    }
}
