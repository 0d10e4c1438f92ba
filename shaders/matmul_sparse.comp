#version 450
// op.MatMul for one token whose input is mostly zeros, as behind ReLU^2: weights that meet a zero are not read. They
// lie in panels (matmul_panels.comp): for each k the elements of 8 * Wide * Units rows, side by side. A workgroup takes
// a panel; its subgroups take turns at 4 k to a lane, list those that are not zero, and read Wide lanes to an entry of
// the list.
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_ballot : require
#extension GL_EXT_control_flow_attributes : require
const uint Band = 1;
#include "lib/weights.glsl"
#define ONE_PART
#include "lib/matmul.glsl"

layout(constant_id = 0) const uint Local = 64;
layout(constant_id = 1) const uint Wide = 8;  // lanes to an entry; Local, where that is one subgroup: then nothing waits
layout(constant_id = 2) const uint Units = 1; // of 8 rows to a lane
layout(constant_id = 3) const uint Ahead = 4; // entries that a lane loads at once
layout(local_size_x_id = 0) in;

const uint MAX_UNITS = 8, MAX_AHEAD = 4; // see lib/reduce.glsl; what the constants leave unused costs nothing

shared uint list_k[1024]; // 4 entries to an invocation, of at most 256
shared float list_x[1024];
shared float sums[2048]; // 8 to an invocation

void main() {
    Part p = part_at(push.part);
    uint panel = gl_WorkGroupID.x * 8 * Wide * Units; // first row
    uvec4 all = subgroupBallot(true);
    uint lanes = subgroupBallotBitCount(all), lane = subgroupBallotExclusiveBitCount(all);
    uint slots = max(lanes / Wide, 1), slot = lane / Wide;
    uint w_at = SIZE * (panel / 8 * 8 * p.units + lane % Wide);
    uint mine = gl_SubgroupID * lanes * 4, quads = 2 * p.units;

    vec4 lo[MAX_UNITS], hi[MAX_UNITS];
    [[unroll]] for (uint u = 0; u < Units; u++) lo[u] = hi[u] = vec4(0.0);
    // Each subgroup takes as many turns, the last perhaps with an empty list. For lavapipe of Mesa 26.2 lets a whole
    // workgroup wait at subgroupBarrier(): subgroups that came there less often would pass barrier() before the others.
    for (uint turn = 0; turn < quads; turn += gl_NumSubgroups * lanes) {
        uint c = turn + gl_SubgroupID * lanes;
        vec4 x = c + lane < quads ? V4(X, p.x + c + lane) : vec4(0.0);
        uint n = 0;
        subgroupBarrier(); // before the list is written again
        [[unroll]] for (uint j = 0; j < 4; j++) {
            uvec4 some = subgroupBallot(x[j] != 0.0);
            if (x[j] != 0.0) {
                uint at = mine + n + subgroupBallotExclusiveBitCount(some);
                list_k[at] = 4 * (c + lane) + j;
                list_x[at] = x[j];
            }
            n += subgroupBallotBitCount(some);
        }
        subgroupBarrier();
        for (uint i = slot < slots ? slot : n; i < n; i += slots * Ahead) {
            Packed w[MAX_AHEAD * MAX_UNITS];
            float xs[MAX_AHEAD];
            [[unroll]] for (uint a = 0; a < Ahead; a++) {
                uint at = mine + min(i + a * slots, n - 1);
                xs[a] = i + a * slots < n ? list_x[at] : 0.0;
                [[unroll]] for (uint u = 0; u < Units; u++)
                    w[a * Units + u] = fetch(w_at + SIZE * (list_k[at] * Units + u) * Wide, 0);
            }
            [[unroll]] for (uint a = 0; a < Ahead; a++)
                [[unroll]] for (uint u = 0; u < Units; u++) {
                    vec4 w_lo, w_hi;
                    weight8(w[a * Units + u], 0, w_lo, w_hi);
                    lo[u] += w_lo * xs[a];
                    hi[u] += w_hi * xs[a];
                }
        }
    }

    [[unroll]] for (uint u = 0; u < Units; u++) {
        uint m0 = panel + 8 * (u * Wide + lane % Wide);
        if (Wide == Local) {
            [[dont_unroll]] for (uint i = 0; i < 8; i++) {
                float sum = 0.0;
                [[unroll]] for (uint j = 0; j < 4; j++) sum = j == i ? lo[u][j] : j + 4 == i ? hi[u][j] : sum;
                if (m0 + i < p.rows) finish(p, m0 + i, 0, sum);
            }
            continue;
        }
        // Each entry's place sums apart, always in the same order.
        if (slot < slots)
            [[unroll]] for (uint j = 0; j < 4; j++) {
                uint at = (gl_SubgroupID * slots + slot) * 8 * Wide + 8 * (lane % Wide) + j;
                sums[at] = lo[u][j];
                sums[at + 4] = hi[u][j];
            }
        barrier();
        for (uint m = gl_LocalInvocationID.x; m < 8 * Wide; m += Local) {
            float sum = 0.0;
            for (uint s = 0; s < gl_NumSubgroups * slots; s++) sum += sums[s * 8 * Wide + m];
            if (panel + 8 * u * Wide + m < p.rows) finish(p, panel + 8 * u * Wide + m, 0, sum);
        }
        barrier(); // before the next unit's sums
    }
}
