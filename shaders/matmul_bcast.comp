#version 450
// op.MatMul on devices that share no fast memory between lanes, where a load costs more than arithmetic. A subgroup of
// Local lanes takes Local * TileRows rows for TileTokens tokens, all sums in registers; its rows lie Local apart, so
// that neighbours work on neighbouring rows. Each lane loads a token's elements, and they are handed round by shuffles
// from constant lanes: where lanes are emulated, an instruction or two, when a broadcast is a loop and a load a call.
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#extension GL_EXT_control_flow_attributes : require
layout(constant_id = 0) const uint Band = 1;
#define HEADS
#include "lib/weights.glsl"
#include "lib/matmul.glsl"

layout(constant_id = 1) const uint Local = 8; // at most 16, a power of 2, and the subgroup is no smaller
layout(constant_id = 2) const uint TileRows = 4;
layout(constant_id = 3) const uint TileTokens = 8; // a power of 2
layout(local_size_x_id = 1) in;

// See lib/reduce.glsl; what the constants leave unused costs nothing.
const uint MAX_ROWS = 8, MAX_TOKENS = 16;

// Lane l loads 4 elements of token l % Tokens, with fewer tokens than lanes those that are l / Tokens * 4 further on. A
// span is the groups of 8 elements that the lanes load together, or that two loads make up: one, or of blocks all.
const uint Tokens = TileTokens < Local ? TileTokens : Local;
const uint Loads = Tokens == Local ? 2 : 1;
#ifdef PLAIN
const uint Span = 1; // a row may end with any group
#else
const uint Span = Local < 8 * Tokens ? 1 : GROUPS;
#endif

uint x_at[MAX_TOKENS];
Packed w[MAX_ROWS];
vec4 x[2 * MAX_TOKENS];
float acc[MAX_ROWS * MAX_TOKENS];

// group adds the products of group c of the units w with group s of the span.
void group(uint c, uint s) {
    vec4 lo[MAX_ROWS], hi[MAX_ROWS];
    [[unroll]] for (uint r = 0; r < TileRows; r++) weight8(w[r], c, lo[r], hi[r]);
    [[unroll]] for (uint t = 0; t < TileTokens; t++) {
        uint i = t / Tokens * Loads, lane = 2 * s * Tokens + t % Tokens;
        vec4 x_lo = subgroupShuffle(x[i], lane);
        vec4 x_hi = subgroupShuffle(x[i + Loads - 1], Loads == 2 ? lane : lane + Tokens);
        [[unroll]] for (uint r = 0; r < TileRows; r++)
            acc[r * TileTokens + t] = along(lo[r], hi[r], x_lo, x_hi, acc[r * TileTokens + t]);
    }
}

// load loads a span of the tokens, from group c of unit u on.
void load(uint u, uint c) {
    [[unroll]] for (uint i = 0; i < TileTokens / Tokens * Loads; i++)
        x[i] = V4(X, x_at[i / Loads] + UNIT4 * u + 2 * c + i % Loads);
}

void main() {
    uint row = gl_WorkGroupID.x * Local * TileRows;
    Part p = part_of(row);
    uint m0 = row - p.row + gl_LocalInvocationID.x, rows = p.rows, units = p.units;
    uint t0 = gl_WorkGroupID.y * TileTokens;

    uint w_at[MAX_ROWS];
    [[unroll]] for (uint r = 0; r < TileRows; r++)
        w_at[r] = row_at(p.weight, min(m0 + r * Local, rows - 1), units);
    [[unroll]] for (uint i = 0; i < TileTokens / Tokens; i++) {
        uint t = t0 + i * Tokens + gl_SubgroupInvocationID % Tokens;
        x_at[i] = p.x + min(t, push.tokens - 1) * p.x_stride + gl_SubgroupInvocationID / Tokens % (2 * Span);
    }

    [[unroll]] for (uint r = 0; r < TileRows; r++)
        [[unroll]] for (uint t = 0; t < TileTokens; t++) acc[r * TileTokens + t] = 0.0;
#ifdef PLAIN
    uint u = 0;
    do {
        [[unroll]] for (uint r = 0; r < TileRows; r++) w[r] = fetch(w_at[r], u);
        load(u, 0);
        group(0, 0);
    } while (++u < units);
#else
    uint u = 0;
    do { // a superblock
        Head h[MAX_ROWS];
        [[unroll]] for (uint r = 0; r < TileRows; r++) h[r] = head(w_at[r], u / 8);
        uint end = min(u + 8, units);
        do {
            [[unroll]] for (uint r = 0; r < TileRows; r++) w[r] = fetch(h[r], w_at[r], u);
            if (Span == GROUPS) { // a loop would not be unrolled by every driver, and lanes would not be constant then
                load(u, 0);
                group(0, 0);
                group(1, 1);
                group(2, 2);
                group(3, 3);
            } else {
                uint c = 0;
                do {
                    load(u, c);
                    group(c, 0);
                } while (++c < GROUPS);
            }
        } while (++u < end);
    } while (u < units);
#endif
    // One copy of finish, and sums picked by comparison instead of by index, keep the code small and the sums in
    // registers.
    uint mine_r = 0;
    [[dont_unroll]] do {
        float of_r[MAX_TOKENS];
        [[unroll]] for (uint t = 0; t < TileTokens; t++) {
            of_r[t] = 0.0;
            [[unroll]] for (uint r = 0; r < TileRows; r++) of_r[t] = r == mine_r ? acc[r * TileTokens + t] : of_r[t];
        }
        uint m = m0 + mine_r * Local;
        float bias = bias_of(p, min(m, rows - 1));
        uint mine = 0;
        [[dont_unroll]] do {
            uint t = t0 + mine;
            float sum = 0.0;
            [[unroll]] for (uint i = 0; i < TileTokens; i++) sum = i == mine ? of_r[i] : sum;
            if (m < rows && t < push.tokens) finish(p, m, t, sum, bias);
        } while (++mine < TileTokens);
    } while (++mine_r < TileRows);
}
