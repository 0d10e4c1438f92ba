#version 450
// op.MatMul for few tokens: bound by reading the weights once. A subgroup takes Rows rows for Tokens tokens; its lanes
// stride along the rows together, so that loads coalesce, and meet in one subgroup sum each. No barrier, no shared
// memory, any subgroup size.
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_EXT_control_flow_attributes : require
layout(constant_id = 0) const uint Band = 1;
#include "lib/weights.glsl"
#include "lib/matmul.glsl"

layout(constant_id = 1) const uint Local = 64;
layout(constant_id = 2) const uint Rows = 2;
layout(constant_id = 3) const uint Tokens = 1;
layout(constant_id = 4) const uint Share = 1; // lanes that take a unit together: 1, or 4 of a block type, 8 elements each
layout(constant_id = 5) const uint Early = 1; // 1: lanes load what they will need later, and are no fewer than sums
layout(local_size_x_id = 1) in;

const uint MAX_ROWS = 8, MAX_TOKENS = 8; // see lib/reduce.glsl; what the constants leave unused costs nothing

// What a lane has of a unit: so many parts that have a scale each, of so many groups of 8 elements.
const uint Scales = Share == 1 ? SCALES : 1, Eights = Share == 1 ? GROUPS / SCALES : 1;

// What there is less of is held while the other passes: the x of all tokens, or the elements of all rows. Then it is
// also less work to add a type's minima to those than to sum up x for them.
const bool HOLD_W = Tokens > Rows;
#ifdef MINIMA
const bool SCALED = HOLD_W;
#else
const bool SCALED = false;
#endif

// A lane that takes one group of 8 elements at a time has registers for its next one too, which is on its way while the
// first is multiplied.
const bool AHEAD = Early == 1 && Scales * Eights == 1;

Packed fetch_of(uint row, uint u, uint lane) {
    if (Share == 1) return fetch(row, u);
    return fetch8(row, u, lane);
}

void main() {
    uint row = (gl_WorkGroupID.x * gl_NumSubgroups + gl_SubgroupID) * Rows;
    Part p = part_of(row);
    uint m0 = row - p.row, rows = p.rows, units = p.units;
    if (m0 >= rows) return;
    uint t0 = gl_WorkGroupID.y * Tokens;

    // Rows and tokens past the end repeat the last one, and are not stored.
    uint w_at[MAX_ROWS], x_at[MAX_TOKENS];
    [[unroll]] for (uint r = 0; r < Rows; r++) w_at[r] = row_at(p.weight, min(m0 + r, rows - 1), units);
    [[unroll]] for (uint t = 0; t < Tokens; t++)
        x_at[t] = p.x + min(t0 + t, push.tokens - 1) * p.x_stride;

    // Lane i finishes sum i.
    uint mine = gl_SubgroupInvocationID, m = m0 + mine / Tokens, t = t0 + mine % Tokens;
    bool finishes = mine < Rows * Tokens && m < rows && t < push.tokens;
    Ending ending = Ending(0.0, 0.0, 0.0);
    if (Early == 1 && finishes) ending = ending_of(p, m, t, bias_of(p, m));

    float acc[MAX_ROWS * MAX_TOKENS];
    [[unroll]] for (uint i = 0; i < Rows * Tokens; i++) acc[i] = 0.0;
    uint lane = gl_SubgroupInvocationID % Share; // of those that share a unit
    uint next = gl_SubgroupInvocationID / Share; // unit; behind the last there is none, and the last is loaded again
    Packed w_next[MAX_ROWS];
    if (AHEAD) [[unroll]] for (uint r = 0; r < Rows; r++) w_next[r] = fetch_of(w_at[r], min(next, units - 1), lane);
    for (uint u = next; u < units; u = next) {
        next += gl_SubgroupSize / Share;
        Packed w[MAX_ROWS];
        [[unroll]] for (uint r = 0; r < Rows; r++) {
            if (AHEAD) {
                w[r] = w_next[r];
                w_next[r] = fetch_of(w_at[r], min(next, units - 1), lane);
            } else {
                w[r] = fetch_of(w_at[r], u, lane);
            }
        }
        uint x_of = UNIT4 * u + 2 * lane;
        [[unroll]] for (uint h = 0; h < Scales; h++) {
            float codes[MAX_ROWS * MAX_TOKENS], x_sum[MAX_TOKENS]; // products of the codes; a unit's scale comes last
            [[unroll]] for (uint i = 0; i < Rows * Tokens; i++) codes[i] = 0.0;
            [[unroll]] for (uint t = 0; t < Tokens; t++) x_sum[t] = 0.0;
            [[unroll]] for (uint i = 0; i < Eights; i++) { // bounds that depend on h keep some drivers from unrolling
                uint c = h * Eights + i;
                if (HOLD_W) {
                    vec4 lo[MAX_ROWS], hi[MAX_ROWS];
                    [[unroll]] for (uint r = 0; r < Rows; r++) {
                        if (SCALED) weight8(w[r], c, lo[r], hi[r]);
                        else unpack8(w[r], c, lo[r], hi[r]);
                    }
                    [[unroll]] for (uint t = 0; t < Tokens; t++) {
                        vec4 x_lo = V4(X, x_at[t] + x_of + 2 * c), x_hi = V4(X, x_at[t] + x_of + 2 * c + 1);
                        [[unroll]] for (uint r = 0; r < Rows; r++) codes[r * Tokens + t] += dot(lo[r], x_lo) + dot(hi[r], x_hi);
                    }
                    continue;
                }
                vec4 x_lo[MAX_TOKENS], x_hi[MAX_TOKENS];
                [[unroll]] for (uint t = 0; t < Tokens; t++) {
                    x_lo[t] = V4(X, x_at[t] + x_of + 2 * c);
                    x_hi[t] = V4(X, x_at[t] + x_of + 2 * c + 1);
#ifdef MINIMA
                    vec4 x = x_lo[t] + x_hi[t];
                    x_sum[t] += x.x + x.y + x.z + x.w;
#endif
                }
                [[unroll]] for (uint r = 0; r < Rows; r++) {
                    vec4 lo, hi;
                    unpack8(w[r], c, lo, hi);
                    [[unroll]] for (uint t = 0; t < Tokens; t++)
                        codes[r * Tokens + t] += dot(lo, x_lo[t]) + dot(hi, x_hi[t]);
                }
            }
            [[unroll]] for (uint r = 0; r < Rows; r++)
                [[unroll]] for (uint t = 0; t < Tokens; t++)
                    acc[r * Tokens + t] += SCALED ? codes[r * Tokens + t]
                        : codes[r * Tokens + t] * scale(w[r], h) + x_sum[t] * minimum(w[r], h);
        }
    }

    // One copy of finish, and sums picked by comparison instead of by index, keep the code small and the sums in
    // registers. Where lanes are fewer than sums, a lane finishes several.
    [[unroll]] for (uint i = 0; i < Rows * Tokens; i++) acc[i] = subgroupAdd(acc[i]);
    float sum = 0.0;
    [[unroll]] for (uint i = 0; i < Rows * Tokens; i++) sum = i == mine ? acc[i] : sum;
    if (Early == 1) {
        if (finishes) finish(p, m, t, sum, ending);
        return;
    }
    [[dont_unroll]] for (uint base = 0; base < Rows * Tokens; base += gl_SubgroupSize) {
        mine = base + gl_SubgroupInvocationID;
        m = m0 + mine / Tokens;
        t = t0 + mine % Tokens;
        [[unroll]] for (uint i = 0; i < Rows * Tokens; i++) sum = i == mine ? acc[i] : sum;
        if (mine < Rows * Tokens && m < rows && t < push.tokens) finish(p, m, t, sum);
    }
}
