#version 450
// op.MatMul for many tokens, on devices that share no fast memory between lanes: an invocation keeps a tile of
// TileRows x TileTokens sums in registers. Its rows lie Local apart, so that neighbours work on neighbouring rows.
#extension GL_EXT_control_flow_attributes : require
layout(constant_id = 0) const uint Band = 1;
#include "lib/weights.glsl"
#include "lib/matmul.glsl"

layout(constant_id = 1) const uint Local = 8;
layout(constant_id = 2) const uint TileRows = 4;
layout(constant_id = 3) const uint TileTokens = 8;
layout(local_size_x_id = 1) in;

const uint MAX_ROWS = 8, MAX_TOKENS = 16; // see lib/reduce.glsl; what the constants leave unused costs nothing

void main() {
    uint row = gl_WorkGroupID.x * Local * TileRows;
    Part p = part_of(row);
    uint m0 = row - p.row + gl_LocalInvocationID.x, rows = p.rows, units = p.units;
    uint t0 = gl_WorkGroupID.y * TileTokens;

    uint w_at[MAX_ROWS], x_at[MAX_TOKENS];
    [[unroll]] for (uint r = 0; r < TileRows; r++) 
        w_at[r] = row_at(p.weight, min(m0 + r * Local, rows - 1), units);
    [[unroll]] for (uint t = 0; t < TileTokens; t++)
        x_at[t] = p.x + min(t0 + t, push.tokens - 1) * p.x_stride;

    float acc[MAX_ROWS * MAX_TOKENS];
    [[unroll]] for (uint i = 0; i < TileRows * TileTokens; i++) acc[i] = 0.0;
    uint u = 0;
    do {
        Packed w[MAX_ROWS];
        [[unroll]] for (uint r = 0; r < TileRows; r++) w[r] = fetch(w_at[r], u);
        uint c = 0;
        do {
            vec4 lo[MAX_ROWS], hi[MAX_ROWS];
            [[unroll]] for (uint r = 0; r < TileRows; r++) weight8(w[r], c, lo[r], hi[r]);
            [[unroll]] for (uint t = 0; t < TileTokens; t++) {
                vec4 x_lo = V4(X, x_at[t] + UNIT4 * u + 2 * c), x_hi = V4(X, x_at[t] + UNIT4 * u + 2 * c + 1);
                [[unroll]] for (uint r = 0; r < TileRows; r++)
                    acc[r * TileTokens + t] = along(lo[r], hi[r], x_lo, x_hi, acc[r * TileTokens + t]);
            }
        } while (++c < GROUPS);
    } while (++u < units);
    // One copy of finish, and sums picked by comparison instead of by index, keep the code small and the sums in
    // registers.
    uint mine = 0;
    [[dont_unroll]] do {
        uint m = m0 + mine / TileTokens * Local, t = t0 + mine % TileTokens;
        float sum = 0.0;
        [[unroll]] for (uint i = 0; i < TileRows * TileTokens; i++) sum = i == mine ? acc[i] : sum;
        if (m < rows && t < push.tokens) finish(p, m, t, sum);
    } while (++mine < TileRows * TileTokens);
}
