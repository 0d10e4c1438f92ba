#version 450
// op.MatMul for many tokens, on devices with fast shared memory: a workgroup stages a tile of BM rows of weights and
// BT tokens, 32 elements deep, and each invocation keeps 4 x 4 sums in registers. Weights and tokens are read once per
// tile, coalesced, 8 elements at a time.
#extension GL_EXT_control_flow_attributes : require
layout(constant_id = 0) const uint Band = 1;
#include "lib/weights.glsl"
#include "lib/matmul.glsl"

layout(constant_id = 1) const uint Segments = 1; // or SEGMENTS (lib/matmul.glsl), which the sums of rows are made of

const uint BM = 64, BT = 32, DEPTH = 4; // rows, tokens, groups of 8 elements
const uint SHARE = min(GROUPS, 2);
const uint Local = BM / 4 * BT / 4;
layout(local_size_x = 128) in;

// Deepest index first, so that an invocation reads its 4 neighbours as one load. Neighbouring invocations fetch
// neighbouring groups, which are to be stored 8 depths apart, in the same of the 32 banks; so the place within a depth
// is turned by a number of the group, in a way that leaves 4 neighbours together.
shared float w_tile[DEPTH * 8 * BM];
shared float x_tile[DEPTH * 8 * BT];

uint w_at(uint g, uint j, uint m) { return (8 * g + j) * BM + (m ^ 8 * g); } // element j of a group of 8
uint x_at(uint v, uint j, uint t) { return (4 * v + j) * BT + (t ^ 4 * v); } // element j of a group of 4

void main() {
    uint row = gl_WorkGroupID.x * BM;
    Part p = part_of(row);
    uint m0 = row - p.row, rows = p.rows, groups = p.units * GROUPS;
    uint t0 = gl_WorkGroupID.y * BT;
    uint m_local = gl_LocalInvocationID.x % (BM / 4) * 4;
    uint t_local = gl_LocalInvocationID.x / (BM / 4) * 4;

    float acc[16];
    [[unroll]] for (uint i = 0; i < 16; i++) acc[i] = 0.0;
    float done[16]; // sums of the segments before
    [[unroll]] for (uint i = 0; i < 16; i++) done[i] = 0.0;
    uint per = segment_at(1, p.units) * GROUPS;
    for (uint g0 = 0; g0 < groups; g0 += DEPTH) {
        // An invocation takes so many groups of a unit that no other invocation is idle.
        for (uint i = gl_LocalInvocationID.x; i < BM * DEPTH / SHARE; i += Local) {
            uint m = i / (DEPTH / SHARE), first = i % (DEPTH / SHARE) * SHARE;
            Packed w;
            if (g0 + first < groups)
                w = fetch(row_at(p.weight, min(m0 + m, rows - 1), p.units), (g0 + first) / GROUPS);
            [[unroll]] for (uint s = 0; s < SHARE; s++) {
                uint g = first + s;
                vec4 lo = vec4(0.0), hi = vec4(0.0);
                if (g0 + g < groups) weight8(w, g % GROUPS, lo, hi);
                [[unroll]] for (uint j = 0; j < 4; j++) {
                    w_tile[w_at(g, j, m)] = lo[j];
                    w_tile[w_at(g, 4 + j, m)] = hi[j];
                }
            }
        }
        for (uint i = gl_LocalInvocationID.x; i < BT * DEPTH * 2; i += Local) {
            uint t = i / (DEPTH * 2), v = i % (DEPTH * 2);
            vec4 xv = vec4(0.0);
            if (2 * g0 + v < 2 * groups)
                xv = V4(X, p.x + min(t0 + t, push.tokens - 1) * p.x_stride + 2 * g0 + v);
            [[unroll]] for (uint j = 0; j < 4; j++) x_tile[x_at(v, j, t)] = xv[j];
        }
        barrier();
        for (uint k = 0; k < DEPTH * 8; k++) {
            uint w_first = w_at(k / 8, k % 8, m_local), x_first = x_at(k / 4, k % 4, t_local);
            float wv[4], xv[4];
            [[unroll]] for (uint j = 0; j < 4; j++) {
                wv[j] = w_tile[w_first + j];
                xv[j] = x_tile[x_first + j];
            }
            [[unroll]] for (uint i = 0; i < 4; i++)
                [[unroll]] for (uint j = 0; j < 4; j++) acc[4 * i + j] = fma(wv[i], xv[j], acc[4 * i + j]);
        }
        if (Segments > 1 && (g0 + DEPTH) % per == 0)
            [[unroll]] for (uint i = 0; i < 16; i++) {
                done[i] += acc[i];
                acc[i] = 0.0;
            }
        barrier();
    }
    if (Segments > 1)
        [[unroll]] for (uint i = 0; i < 16; i++) acc[i] += done[i];
    // One copy of finish, and sums picked by comparison instead of by index, keep the code small and the sums in
    // registers.
    [[dont_unroll]] for (uint mine = 0; mine < 16; mine++) {
        uint m = m0 + m_local + mine / 4, t = t0 + t_local + mine % 4;
        float sum = 0.0;
        [[unroll]] for (uint i = 0; i < 16; i++) sum = i == mine ? acc[i] : sum;
        if (m < rows && t < push.tokens) finish(p, m, t, sum);
    }
}
