#version 450
// op.MatMul for many tokens, on devices that share no fast memory between lanes: an invocation keeps a tile of
// TileRows x TileTokens sums in registers. Its rows lie Local apart, so that neighbours work on neighbouring rows.
#extension GL_EXT_control_flow_attributes : require
layout(constant_id = 0) const uint Band = 1;
#define EMULATED // lib/blocks.glsl
#include "lib/weights.glsl"
#include "lib/matmul.glsl"

layout(constant_id = 1) const uint Local = 8;
layout(constant_id = 2) const uint TileRows = 4;
layout(constant_id = 3) const uint TileTokens = 8;
layout(local_size_x_id = 1) in;

const uint MAX_ROWS = 8, MAX_TOKENS = 16; // see lib/reduce.glsl; what the constants leave unused costs nothing
const uint TURN = 2;                      // units of a plain type in a turn of the loop, whose masks are instructions too

float acc[MAX_ROWS * MAX_TOKENS];

// finish_tile finishes what a lane has from sum number mine on. One copy of finish, and sums picked by comparison instead
// of by index, keep the code small and the sums in registers.
void finish_tile(Part p, uint m0, uint t0, bool plain, uint mine) {
    [[dont_unroll]] while (mine < TileRows * TileTokens) {
        uint m = m0 + mine / TileTokens * Local, t = t0 + mine % TileTokens;
        float sum = 0.0;
        [[unroll]] for (uint i = 0; i < TileRows * TileTokens; i++) sum = i == mine ? acc[i] : sum;
        if (m < p.rows && t < push.tokens) {
            if (plain) finish_plain(p, m, t, sum, bias_of(p, m));
            else finish(p, m, t, sum);
        }
        mine++;
    }
}

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

    [[unroll]] for (uint i = 0; i < TileRows * TileTokens; i++) acc[i] = 0.0;
#ifdef PLAIN
    // A row is multiplied as it is fetched: where lanes are emulated a fetch is a call, which leaves nothing in registers.
    uint u = 0;
    do {
        uint at[TURN];
        vec4 x_lo[TURN * MAX_TOKENS], x_hi[TURN * MAX_TOKENS];
        [[unroll]] for (uint k = 0; k < TURN; k++) {
            at[k] = min(u + k, units - 1);
            [[unroll]] for (uint t = 0; t < TileTokens; t++) {
                vec4 lo = V4(X, x_at[t] + UNIT4 * at[k]), hi = V4(X, x_at[t] + UNIT4 * at[k] + 1);
                bool inside = k == 0 || u + k < units; // what is repeated past the end of a row meets zeros
                x_lo[k * TileTokens + t] = inside ? lo : vec4(0.0);
                x_hi[k * TileTokens + t] = inside ? hi : vec4(0.0);
            }
        }
        [[unroll]] for (uint r = 0; r < TileRows; r++)
            [[unroll]] for (uint k = 0; k < TURN; k++) {
                vec4 lo, hi;
                weight8(fetch(w_at[r], at[k]), 0, lo, hi);
                [[unroll]] for (uint t = 0; t < TileTokens; t++)
                    acc[r * TileTokens + t] =
                        along(lo, hi, x_lo[k * TileTokens + t], x_hi[k * TileTokens + t], acc[r * TileTokens + t]);
            }
    } while ((u += TURN) < units);
#else
    uint u = 0;
    do {
        Packed w[MAX_ROWS];
        [[unroll]] for (uint r = 0; r < TileRows; r++) w[r] = fetch(w_at[r], u);
        uint c = 0;
        do { // the groups of a scale
            uint h = c * SCALES / GROUPS, end = c + GROUPS / SCALES;
            float sums[MAX_ROWS * MAX_TOKENS], x_sum[MAX_TOKENS];
            [[unroll]] for (uint i = 0; i < TileRows * TileTokens; i++) sums[i] = 0.0;
            [[unroll]] for (uint t = 0; t < TileTokens; t++) x_sum[t] = 0.0;
            do {
                vec4 lo[MAX_ROWS], hi[MAX_ROWS];
                [[unroll]] for (uint r = 0; r < TileRows; r++) unpack8_fast(w[r], c, lo[r], hi[r]);
                [[unroll]] for (uint t = 0; t < TileTokens; t++) {
                    vec4 x_lo = V4(X, x_at[t] + UNIT4 * u + 2 * c), x_hi = V4(X, x_at[t] + UNIT4 * u + 2 * c + 1);
                    x_sum[t] = x_sum[t] + sum4(x_lo) + sum4(x_hi);
                    [[unroll]] for (uint r = 0; r < TileRows; r++)
                        sums[r * TileTokens + t] += dot8(lo[r], hi[r], x_lo, x_hi);
                }
            } while (++c < end);
            [[unroll]] for (uint r = 0; r < TileRows; r++)
                [[unroll]] for (uint t = 0; t < TileTokens; t++)
                    acc[r * TileTokens + t] = scaled(w[r], h, sums[r * TileTokens + t], x_sum[t], acc[r * TileTokens + t]);
        } while (c < GROUPS);
    } while (++u < units);
#endif
    // All lanes finish a plain part, or none: a loop that none runs costs emulated lanes one turn, where a branch would cost
    // all.
    bool plain = is_plain(p);
    finish_tile(p, m0, t0, true, plain ? 0 : TileRows * TileTokens);
    finish_tile(p, m0, t0, false, plain ? TileRows * TileTokens : 0);
}
