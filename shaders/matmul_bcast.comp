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
#define EMULATED // lib/blocks.glsl
#include "lib/weights.glsl"
#include "lib/matmul.glsl"

layout(constant_id = 1) const uint Local = 8; // at most 16, a power of 2, and the subgroup is no smaller
layout(constant_id = 2) const uint TileRows = 4;
layout(constant_id = 3) const uint TileTokens = 8; // a power of 2
layout(local_size_x_id = 1) in;

// See lib/reduce.glsl; what the constants leave unused costs nothing.
const uint MAX_ROWS = 8, MAX_TOKENS = 16;

// Lane l loads 4 elements of token l % Tokens, with fewer tokens than lanes those that are l / Tokens * 4 further on. A
// span is the groups of 8 elements that the lanes load together, or that two loads make up. Of a plain type these are
// units. Of a block type it is one group, or a whole unit.
const uint Tokens = TileTokens < Local ? TileTokens : Local;
const uint Loads = Tokens == Local ? 2 : 1;
const uint Groups = Loads == 2 ? 1 : Local / (2 * Tokens);
#ifdef PLAIN
const uint Span = Groups < 4 ? Groups : 4;
// A turn of the loop takes several units, since its masks are instructions too, but no more code than processors keep decoded.
const uint Sums = TileRows * TileTokens;
const uint Turn = Span > 1 ? 1 : Sums > 32 ? 1 : 2; // spans
#else
const uint Span = Groups < GROUPS ? 1 : GROUPS;
const uint Turn = 1;
#endif

const uint Each = TileTokens / Tokens * Loads; // vectors of x that a lane has of a span

uint x_at[MAX_TOKENS];
vec4 x[4 * MAX_TOKENS];
float x_quad[4 * MAX_TOKENS]; // sums of the vectors of x, for minima
float acc[MAX_ROWS * MAX_TOKENS];

// load loads span k of the turn, from group c of unit u on. What is past the end of a row, of so many units, is zeros.
void load(uint k, uint u, uint c, uint units) {
    uint ahead = gl_SubgroupInvocationID / Tokens % (2 * Span);
    [[unroll]] for (uint i = 0; i < Each; i++) {
        uint at = UNIT4 * u + 2 * c + ahead + i % Loads;
#ifdef PLAIN
        vec4 v = V4(X, x_at[i / Loads] + min(at, UNIT4 * units - 1));
        x[k * Each + i] = Turn * Span == 1 || at < UNIT4 * units ? v : vec4(0.0);
#else
        x[k * Each + i] = V4(X, x_at[i / Loads] + at);
        x_quad[k * Each + i] = sum4(x[k * Each + i]);
#endif
    }
}

// vector_of and lane_of tell which lane has, in which of its vectors, the first (0) or last (1) 4 elements of group s of
// a span, of token t.
uint vector_of(uint t, uint last) { return t / Tokens * Loads + (Loads == 2 ? last : 0); }
uint lane_of(uint s, uint t, uint last) { return 2 * s * Tokens + t % Tokens + (Loads == 2 ? 0 : last * Tokens); }

vec4 x_of(uint k, uint s, uint t, uint last) {
    return subgroupShuffle(x[k * Each + vector_of(t, last)], lane_of(s, t, last));
}

#ifdef PLAIN
// rows_of_spans adds the products of a turn's units, from unit u on. A unit of all rows is fetched before the first is
// multiplied: a processor waits for many loads at once then, and fetches go along memory, which prefetches.
void rows_of_spans(uint w_at[MAX_ROWS], uint u, uint units) {
    vec4 x_lo[4 * MAX_TOKENS], x_hi[4 * MAX_TOKENS];
    [[unroll]] for (uint k = 0; k < Turn; k++) {
        load(k, u + k * Span, 0, units);
        [[unroll]] for (uint s = 0; s < Span; s++)
            [[unroll]] for (uint t = 0; t < TileTokens; t++) {
                x_lo[(k * Span + s) * TileTokens + t] = x_of(k, s, t, 0);
                x_hi[(k * Span + s) * TileTokens + t] = x_of(k, s, t, 1);
            }
    }
    [[unroll]] for (uint k = 0; k < Turn * Span; k++) {
        Packed w[MAX_ROWS];
        [[unroll]] for (uint r = 0; r < TileRows; r++) w[r] = fetch(w_at[r], min(u + k, units - 1));
        [[unroll]] for (uint r = 0; r < TileRows; r++) {
            vec4 lo, hi;
            weight8(w[r], 0, lo, hi);
            [[unroll]] for (uint t = 0; t < TileTokens; t++)
                acc[r * TileTokens + t] = along(lo, hi, x_lo[k * TileTokens + t], x_hi[k * TileTokens + t], acc[r * TileTokens + t]);
        }
    }
}

// tokens_of_spans does the same token after token, with all rows unpacked.
void tokens_of_spans(uint w_at[MAX_ROWS], uint u, uint units) {
    vec4 lo[4 * MAX_ROWS], hi[4 * MAX_ROWS];
    [[unroll]] for (uint k = 0; k < Turn * Span; k++) {
        Packed w[MAX_ROWS];
        [[unroll]] for (uint r = 0; r < TileRows; r++) w[r] = fetch(w_at[r], min(u + k, units - 1));
        [[unroll]] for (uint r = 0; r < TileRows; r++) weight8(w[r], 0, lo[k * TileRows + r], hi[k * TileRows + r]);
    }
    [[unroll]] for (uint k = 0; k < Turn; k++) load(k, u + k * Span, 0, units);
    [[unroll]] for (uint t = 0; t < TileTokens; t++) {
        vec4 x_lo[4], x_hi[4];
        [[unroll]] for (uint k = 0; k < Turn * Span; k++) {
            x_lo[k] = x_of(k / Span, k % Span, t, 0);
            x_hi[k] = x_of(k / Span, k % Span, t, 1);
        }
        [[unroll]] for (uint r = 0; r < TileRows; r++)
            [[unroll]] for (uint k = 0; k < Turn * Span; k++)
                acc[r * TileTokens + t] = along(lo[k * TileRows + r], hi[k * TileRows + r], x_lo[k], x_hi[k], acc[r * TileTokens + t]);
    }
}
#else
// x_sum_of adds the 8 elements of a group to a sum.
float x_sum_of(uint s, uint t, float sum) {
    return sum + subgroupShuffle(x_quad[vector_of(t, 0)], lane_of(s, t, 0)) + subgroupShuffle(x_quad[vector_of(t, 1)], lane_of(s, t, 1));
}

// whole_unit adds the products of unit u, of which the lanes have x at once. All rows are fetched before the first is
// multiplied, as in rows_of_spans.
void whole_unit(Head heads[MAX_ROWS], uint w_at[MAX_ROWS], uint u) {
    load(0, u, 0, 0);
    vec4 x_lo[GROUPS * MAX_TOKENS], x_hi[GROUPS * MAX_TOKENS];
    float x_sum[SCALES * MAX_TOKENS];
    [[unroll]] for (uint t = 0; t < TileTokens; t++) {
        [[unroll]] for (uint h = 0; h < SCALES; h++) x_sum[h * TileTokens + t] = 0.0;
        [[unroll]] for (uint c = 0; c < GROUPS; c++) {
            uint i = c * SCALES / GROUPS * TileTokens + t;
            x_sum[i] = x_sum_of(c, t, x_sum[i]);
            x_lo[c * TileTokens + t] = x_of(0, c, t, 0);
            x_hi[c * TileTokens + t] = x_of(0, c, t, 1);
        }
    }
    Packed fetched[MAX_ROWS];
    [[unroll]] for (uint r = 0; r < TileRows; r++) fetched[r] = fetch(heads[r], w_at[r], u);
    [[unroll]] for (uint r = 0; r < TileRows; r++) {
        Packed w = fetched[r];
        [[unroll]] for (uint h = 0; h < SCALES; h++) {
            float sums[MAX_TOKENS];
            [[unroll]] for (uint t = 0; t < TileTokens; t++) sums[t] = 0.0;
            [[unroll]] for (uint g = 0; g < GROUPS / SCALES; g++) {
                uint c = h * GROUPS / SCALES + g;
                vec4 lo, hi;
                unpack8_fast(w, c, lo, hi);
                [[unroll]] for (uint t = 0; t < TileTokens; t++)
                    sums[t] += dot8(lo, hi, x_lo[c * TileTokens + t], x_hi[c * TileTokens + t]);
            }
            [[unroll]] for (uint t = 0; t < TileTokens; t++)
                acc[r * TileTokens + t] = scaled(w, h, sums[t], x_sum[h * TileTokens + t], acc[r * TileTokens + t]);
        }
    }
}

// grouped_unit does the same group after group, each with x of its own.
void grouped_unit(Head heads[MAX_ROWS], uint w_at[MAX_ROWS], uint u) {
    Packed w[MAX_ROWS];
    [[unroll]] for (uint r = 0; r < TileRows; r++) w[r] = fetch(heads[r], w_at[r], u);
    uint c = 0;
    do { // the groups of a scale
        uint h = c * SCALES / GROUPS, end = c + GROUPS / SCALES;
        float sums[MAX_ROWS * MAX_TOKENS], x_sum[MAX_TOKENS];
        [[unroll]] for (uint i = 0; i < TileRows * TileTokens; i++) sums[i] = 0.0;
        [[unroll]] for (uint t = 0; t < TileTokens; t++) x_sum[t] = 0.0;
        do {
            load(0, u, c, 0);
            vec4 lo[MAX_ROWS], hi[MAX_ROWS];
            [[unroll]] for (uint r = 0; r < TileRows; r++) unpack8_fast(w[r], c, lo[r], hi[r]);
            [[unroll]] for (uint t = 0; t < TileTokens; t++) {
                vec4 x_lo = x_of(0, 0, t, 0), x_hi = x_of(0, 0, t, 1);
                x_sum[t] = x_sum_of(0, t, x_sum[t]);
                [[unroll]] for (uint r = 0; r < TileRows; r++)
                    sums[r * TileTokens + t] += dot8(lo[r], hi[r], x_lo, x_hi);
            }
        } while (++c < end);
        [[unroll]] for (uint r = 0; r < TileRows; r++)
            [[unroll]] for (uint t = 0; t < TileTokens; t++)
                acc[r * TileTokens + t] = scaled(w[r], h, sums[r * TileTokens + t], x_sum[t], acc[r * TileTokens + t]);
    } while (c < GROUPS);
}
#endif

// finish_tile finishes what a lane has of its rows from number mine_r on. One copy of finish, and sums picked by comparison
// instead of by index, keep the code small and the sums in registers.
void finish_tile(Part p, uint m0, uint t0, bool plain, uint mine_r) {
    [[dont_unroll]] while (mine_r < TileRows) {
        float of_r[MAX_TOKENS];
        [[unroll]] for (uint t = 0; t < TileTokens; t++) {
            of_r[t] = 0.0;
            [[unroll]] for (uint r = 0; r < TileRows; r++) of_r[t] = r == mine_r ? acc[r * TileTokens + t] : of_r[t];
        }
        uint m = m0 + mine_r * Local;
        float bias = bias_of(p, min(m, p.rows - 1));
        uint mine = 0;
        [[dont_unroll]] do {
            uint t = t0 + mine;
            float sum = 0.0;
            [[unroll]] for (uint i = 0; i < TileTokens; i++) sum = i == mine ? of_r[i] : sum;
            if (m < p.rows && t < push.tokens) {
                if (plain) finish_plain(p, m, t, sum, bias);
                else finish(p, m, t, sum, bias);
            }
        } while (++mine < TileTokens);
        mine_r++;
    }
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
        x_at[i] = p.x + min(t, push.tokens - 1) * p.x_stride;
    }

    [[unroll]] for (uint r = 0; r < TileRows; r++)
        [[unroll]] for (uint t = 0; t < TileTokens; t++) acc[r * TileTokens + t] = 0.0;
    uint u = 0;
#ifdef PLAIN
    do {
        if (TileTokens <= 2) rows_of_spans(w_at, u, units);
        else tokens_of_spans(w_at, u, units);
    } while ((u += Turn * Span) < units);
#else
    do { // a superblock
        Head heads[MAX_ROWS];
        [[unroll]] for (uint r = 0; r < TileRows; r++) heads[r] = head(w_at[r], u / 8);
        uint end = min(u + 8, units);
        do {
            if (Span == GROUPS) whole_unit(heads, w_at, u);
            else grouped_unit(heads, w_at, u);
        } while (++u < end);
    } while (u < units);
#endif
    // All lanes finish a plain part, or none: a loop that none runs costs emulated lanes one turn, where a branch would cost
    // all.
    bool plain = is_plain(p);
    finish_tile(p, m0, t0, true, plain ? 0 : TileRows);
    finish_tile(p, m0, t0, false, plain ? TileRows : 0);
}
