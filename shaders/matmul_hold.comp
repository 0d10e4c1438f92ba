#version 450
// op.MatMul for many tokens on the devices of matmul_narrow.comp, whose driver makes single instructions only of loads
// at literal addresses of an array. So a quad of lanes holds the x of 32 tokens there, 8 to a lane, of 128 elements,
// and lets the rows of the weights pass: each lane brings a quarter of a row's elements, and adds to sums that wait for
// the next 128. A lane must meet what the others bring: weights are swapped within the quad, in three steps, and x lies
// in the order in which that brings their elements.
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_quad : require
#extension GL_EXT_control_flow_attributes : require
layout(constant_id = 0) const uint Band = 1;
#include "lib/weights.glsl"
#define PUSH_MORE uint rows; // of a workgroup, at most ROWS
#define ONE_PART
#include "lib/matmul.glsl"

layout(constant_id = 1) const uint Local = 4; // one subgroup, of which the first quad works
layout(local_size_x_id = 1) in;

const uint ROWS = 1024, TOKENS = 8, ELEMENTS = 32; // the last two of a lane
const uint T4 = TOKENS / 4, E4 = ELEMENTS / 4, UNITS = ELEMENTS / (8 * GROUPS);
const uint BROUGHT = 4 * ELEMENTS * T4; // where held has the weights of a row

vec4 held[BROUGHT + E4], sums[ROWS * T4];
uint lane;

// hold keeps the x of the lane's tokens t0, t0 + 4, ... from a unit on: element 32 q + e of what the quad brings at 4 e
// + (q ^ lane). Past the end of a row are zeros, which meet its last weights again.
void hold(Part p, uint t0, uint u0) {
    [[dont_unroll]] for (uint t = 0; t < T4; t++)
        [[dont_unroll]] for (uint c = 0; c < 4; c++) {
            uint at = p.x + min(t0 + 16 * t + 4 * c, push.tokens - 1) * p.x_stride;
            [[dont_unroll]] for (uint q = 0; q < 4; q++) {
                uint slot = (q ^ lane) * T4 + t, k = u0 * UNIT4 + q * E4;
                [[dont_unroll]] for (uint end = k + E4; k < end; k++) {
                    vec4 x = k < p.units * UNIT4 ? V4(X, at + k) : vec4(0.0);
                    [[unroll]] for (uint i = 0; i < 4; i++) held[slot + i * 4 * T4][c] = x[i];
                    slot += 16 * T4;
                }
            }
        }
}

// ADD adds the products of a row's element with the lane's tokens, of which slot has theirs.
#define ADD(weight, slot) { \
    vec4 same = vec4(weight); \
    [[unroll]] for (uint t = 0; t < T4; t++) acc[t] = fma(held[(slot) * T4 + t], same, acc[t]); \
}

// add adds the products of a row, of which the lane brings units, to its sums.
void add(uint at, uint unit[UNITS], uint sum, bool begun) {
#ifdef PLAIN
    [[unroll]] for (uint i = 0; i < UNITS; i++) weight8(fetch(at, unit[i]), 0, held[BROUGHT + 2 * i], held[BROUGHT + 2 * i + 1]);
#else
    Packed w = fetch(at, unit[0]);
    [[dont_unroll]] for (uint i = 0; i < GROUPS; i++) weight8(w, i, held[BROUGHT + 2 * i], held[BROUGHT + 2 * i + 1]);
#endif
    vec4 acc[T4];
    [[unroll]] for (uint t = 0; t < T4; t++) acc[t] = begun ? sums[sum + t] : vec4(0.0);
    [[unroll]] for (uint e = 0; e < ELEMENTS; e++) {
        float weight = held[BROUGHT + e / 4][e % 4]; // from there, for unpacked ones would keep the sums out of registers
        ADD(weight, 4 * e)
        ADD(subgroupQuadSwapHorizontal(weight), 4 * e + 1)
        ADD(subgroupQuadSwapVertical(weight), 4 * e + 2)
        ADD(subgroupQuadSwapDiagonal(weight), 4 * e + 3)
    }
    [[unroll]] for (uint t = 0; t < T4; t++) sums[sum + t] = acc[t];
}

// FINISH finishes the sums of some of the workgroup's rows.
#define FINISH(begin, end, by) \
    for (uint m = begin; m < end; m++) { \
        float bias = bias_of(p, m0 + m); \
        for (uint t = 0; t < T4; t++) \
            for (uint c = 0; c < 4; c++) { \
                uint token = t0 + 16 * t + 4 * c; \
                if (token < push.tokens) by(p, m0 + m, token, sums[m * T4 + t][c], bias); \
            } \
    }

void main() {
    lane = gl_SubgroupInvocationID;
    if (lane >= 4) return;
    Part p = part_at(push.part);
    uint m0 = gl_WorkGroupID.x * push.rows, rows = min(push.rows, p.rows - m0);
    uint t0 = gl_WorkGroupID.y * 4 * TOKENS + lane;

    uint next_band = Band * (words(p.units) - Line);
    for (uint u0 = 0; u0 < p.units; u0 += 4 * UNITS) {
        hold(p, t0, u0);
        uint unit[UNITS], at = row_at(p.weight, m0, p.units), left = Band - m0 % Band;
        [[unroll]] for (uint i = 0; i < UNITS; i++) unit[i] = min(u0 + lane * UNITS + i, p.units - 1);
        for (uint m = 0; m < rows; m++) {
            add(at, unit, m * T4, u0 > 0);
            at += Line; // as row_at has it, without its divisions
            left--;
            if (left == 0) {
                at += next_band;
                left = Band;
            }
        }
    }

    // Where every branch runs, what few parts need is work for all, but a loop that does not begin costs one round.
    uint plain = is_plain(p) ? rows : 0;
    FINISH(0, plain, finish_plain)
    FINISH(plain, rows, finish)
}
