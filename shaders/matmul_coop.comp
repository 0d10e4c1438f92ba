#version 450
// op.MatMul for many tokens by cooperative matrices: a workgroup of 2 x 2 subgroups stages a tile of BM rows of weights
// and BT tokens, 32 elements deep, as float16, and each subgroup multiplies a quarter of it. Sums are float32, and so
// is what goes in: a number that float16 would round is staged in two, itself rounded and what is then missing, and the
// products of both are summed. Powers of two bring what is staged into float16's range.
//
// With Once = 1 a number that float16 rounds stays rounded. Then there is one product where there were two or three, and
// no sums but those of all tiles, so that a tile may be twice as wide.
//
// The compiler knows this extension and not its successor, which the devices have; internal/spirv turns one into the
// other.
#pragma use_vulkan_memory_model
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_NV_cooperative_matrix : require
layout(constant_id = 5) const uint Band = 1;
#include "lib/weights.glsl"
#include "lib/matmul.glsl"

const uint DEPTH = 4; // groups of 8 elements
const uint SHARE = min(GROUPS, 2);
layout(local_size_x_id = 0) in; // 4 subgroups

layout(constant_id = 0) const uint LOCAL = 128;
// The device's matrices: ROWS x DEEP by DEEP x TOKENS, divisors of SIDE; DEEP of 32.
layout(constant_id = 1) const uint ROWS = 16;
layout(constant_id = 2) const uint TOKENS = 16;
layout(constant_id = 3) const uint DEEP = 16;
layout(constant_id = 4) const uint SIDE = 32; // rows and tokens of a subgroup's quarter, up to MAX_SIDE, or MAX_ONCE
layout(constant_id = 6) const uint Once = 0;
const uint MAX_SIDE = 32, MAX_ONCE = 64, BM = 2 * SIDE, BT = 2 * SIDE;
const bool ONCE = Once == 1;

#ifdef W_F16
const bool EXACT_W = true; // weights are float16
#else
const bool EXACT_W = false;
#endif
#if defined(W_F16) || defined(W_BF16)
const bool SPLIT_W = false; // a scaled weight is a float16
#else
const bool SPLIT_W = Once == 0;
#endif

// A row or token of the tile takes PITCH uvec4, of 8 numbers each and one of padding, so that the loads of a matrix do
// not meet in a bank. The same memory takes the sums, SUMS uvec4 of 4 to a token, of SLICE tokens of each quarter at a
// time.
const uint PITCH = DEPTH + 1, SUMS = BM / 4 + 1, SLICE = SIDE <= MAX_SIDE ? SIDE : TOKENS;
const uint W_AT = 0, X_AT = BM * PITCH, X_REST = X_AT + BT * PITCH, W_REST = X_REST + BT * PITCH;
shared uvec4 tile[4 * MAX_ONCE * PITCH]; // 2 * MAX_ONCE rows and as many tokens, or each of 2 * MAX_SIDE in two
shared uint largest[2 * 4]; // of X and W, by subgroup

// An exponent as float32 has it.
float power(uint e) { return uintBitsToFloat(e << 23); }

uvec4 halves(vec4 a, vec4 b) {
    return uvec4(packHalf2x16(a.xy), packHalf2x16(a.zw), packHalf2x16(b.xy), packHalf2x16(b.zw));
}

// rest returns what 8 numbers lack as halves, in halves.
uvec4 rest(vec4 a, vec4 b, uvec4 h) {
    return halves(a - vec4(unpackHalf2x16(h.x), unpackHalf2x16(h.y)), b - vec4(unpackHalf2x16(h.z), unpackHalf2x16(h.w)));
}

// top returns the larger of a and the bits of the largest of 8 numbers, all of them finite: of others no scale makes
// anything else.
uint top(uint a, vec4 x, vec4 y) {
    vec4 m = max(abs(x), abs(y));
    uint bits = floatBitsToUint(max(max(m.x, m.y), max(m.z, m.w)));
    return bits < 0x7f800000u ? max(a, bits) : a;
}

// fitting returns the exponent of a scale that brings the largest number between 2^14 and 2^15, unless old does well:
// it leaves no number beyond float16's range, and makes the largest 1 or more, beside which float16's finest step,
// 2^-24, does not count.
uint fitting(uint bits, uint old) {
    uint e = (bits >> 23) + old;
    if (bits == 0 || e >= 2 * 127 && e <= 2 * 127 + 14) return old;
    return clamp(2 * 127 + 14 - (bits >> 23), 1, 253);
}

void main() {
    uint row = gl_WorkGroupID.x * BM;
    Part p = part_of(row);
    uint m0 = row - p.row, rows = p.rows, groups = p.units * GROUPS;
    uint t0 = gl_WorkGroupID.y * BT;
    uint m_mine = gl_SubgroupID % 2 * SIDE, t_mine = gl_SubgroupID / 2 * SIDE;

    // A tile's own sums are added to those of all tiles: that rounds less than to add each of its products.
    fcoopmatNV<32, gl_ScopeSubgroup, ROWS, TOKENS> acc[SIDE / ROWS * (SIDE / TOKENS)], sums[SIDE / ROWS * (SIDE / TOKENS)];
    uint ex = 127 + 2, ew = EXACT_W ? 127 : 127 + 6; // what suits most models
    // A second time, with other scales, if those turn out not to fit.
    for (uint pass = 0; pass < 2; pass++) {
        float scale_x = power(ex), scale_w = power(ew);
        uint top_x = 0, top_w = 0;
        [[unroll]] for (uint i = 0; i < SIDE / ROWS * (SIDE / TOKENS); i++)
            acc[i] = fcoopmatNV<32, gl_ScopeSubgroup, ROWS, TOKENS>(0.0);
        for (uint g0 = 0; g0 < groups; g0 += DEPTH) {
            for (uint i = gl_LocalInvocationID.x; i < BM * DEPTH / SHARE; i += LOCAL) {
                uint m = i / (DEPTH / SHARE), first = i % (DEPTH / SHARE) * SHARE;
                Packed w;
                if (g0 + first < groups)
                    w = fetch(row_at(p.weight, min(m0 + m, rows - 1), p.units), (g0 + first) / GROUPS);
                [[unroll]] for (uint s = 0; s < SHARE; s++) {
                    uint g = first + s, at = W_AT + m * PITCH + g;
                    vec4 lo = vec4(0.0), hi = vec4(0.0);
                    if (g0 + g < groups) weight8(w, g % GROUPS, lo, hi);
                    if (!EXACT_W) {
                        top_w = top(top_w, lo, hi);
                        lo *= scale_w;
                        hi *= scale_w;
                    }
                    tile[at] = halves(lo, hi);
                    if (SPLIT_W) tile[at + W_REST - W_AT] = rest(lo, hi, tile[at]);
                }
            }
            for (uint i = gl_LocalInvocationID.x; i < BT * DEPTH; i += LOCAL) {
                uint t = i / DEPTH, g = i % DEPTH, at = X_AT + t * PITCH + g;
                vec4 lo = vec4(0.0), hi = vec4(0.0);
                if (g0 + g < groups) {
                    uint from = p.x + min(t0 + t, push.tokens - 1) * p.x_stride + 2 * (g0 + g);
                    lo = V4(X, from);
                    hi = V4(X, from + 1);
                }
                top_x = top(top_x, lo, hi);
                lo *= scale_x;
                hi *= scale_x;
                tile[at] = halves(lo, hi);
                if (!ONCE) tile[at + X_REST - X_AT] = rest(lo, hi, tile[at]);
            }
            barrier();
            [[unroll]] for (uint i = 0; i < SIDE / ROWS * (SIDE / TOKENS); i++)
                sums[i] = fcoopmatNV<32, gl_ScopeSubgroup, ROWS, TOKENS>(0.0);
            for (uint k = 0; k < DEPTH * 8 / DEEP; k++) {
                fcoopmatNV<16, gl_ScopeSubgroup, ROWS, DEEP> w[SIDE / ROWS], w_rest[SIDE / ROWS];
                [[unroll]] for (uint i = 0; i < SIDE / ROWS; i++) {
                    uint at = (m_mine + i * ROWS) * PITCH + k * DEEP / 8;
                    coopMatLoadNV(w[i], tile, W_AT + at, PITCH, false);
                    if (SPLIT_W) coopMatLoadNV(w_rest[i], tile, W_REST + at, PITCH, false);
                }
                [[unroll]] for (uint j = 0; j < SIDE / TOKENS; j++) {
                    fcoopmatNV<16, gl_ScopeSubgroup, DEEP, TOKENS> x, x_rest;
                    uint at = (t_mine + j * TOKENS) * PITCH + k * DEEP / 8;
                    coopMatLoadNV(x, tile, X_AT + at, PITCH, true);
                    if (!ONCE) coopMatLoadNV(x_rest, tile, X_REST + at, PITCH, true);
                    [[unroll]] for (uint i = 0; i < SIDE / ROWS; i++) {
                        uint a = j * (SIDE / ROWS) + i;
                        if (ONCE) {
                            acc[a] = coopMatMulAddNV(w[i], x, acc[a]);
                            continue;
                        }
                        sums[a] = coopMatMulAddNV(w[i], x_rest, sums[a]);
                        if (SPLIT_W) sums[a] = coopMatMulAddNV(w_rest[i], x, sums[a]);
                        sums[a] = coopMatMulAddNV(w[i], x, sums[a]);
                    }
                }
            }
            if (!ONCE)
                [[unroll]] for (uint i = 0; i < SIDE / ROWS * (SIDE / TOKENS); i++)
                    [[unroll]] for (int e = 0; e < acc[i].length(); e++) acc[i][e] += sums[i][e]; // whole matrices crash the optimiser
            barrier();
        }
        top_x = subgroupMax(top_x);
        top_w = subgroupMax(top_w);
        if (subgroupElect()) {
            largest[2 * gl_SubgroupID] = top_x;
            largest[2 * gl_SubgroupID + 1] = top_w;
        }
        barrier();
        [[unroll]] for (uint s = 0; s < 4; s++) {
            top_x = max(top_x, largest[2 * s]);
            top_w = max(top_w, largest[2 * s + 1]);
        }
        uint fit_x = fitting(top_x, ex), fit_w = fitting(top_w, ew);
        if (fit_x == ex && fit_w == ew) break;
        if (pass == 0) {
            ex = fit_x;
            ew = fit_w;
        }
        barrier();
    }
    [[unroll]] for (uint first = 0; first < SIDE; first += SLICE) {
        if (first > 0) barrier(); // before the next sums are written
        [[unroll]] for (uint j = 0; j < SIDE / TOKENS; j++) // all of them, so that no compiler indexes sums by a variable
            if (j * TOKENS >= first && j * TOKENS < first + SLICE)
                [[unroll]] for (uint i = 0; i < SIDE / ROWS; i++)
                    coopMatStoreNV(acc[j * (SIDE / ROWS) + i], tile,
                        (gl_SubgroupID / 2 * SLICE + j * TOKENS - first) * SUMS + (m_mine + i * ROWS) / 4, SUMS, true);
        barrier();
        [[dont_unroll]] for (uint i = gl_LocalInvocationID.x; i < BM * 2 * SLICE; i += LOCAL) {
            uint m = i % BM, n = i / BM, t = n / SLICE * SIDE + first + n % SLICE;
            float sum = uintBitsToFloat(tile[n * SUMS + m / 4][m % 4]) * power(254 - ex) * power(254 - ew);
            if (m0 + m < rows && t0 + t < push.tokens) finish(p, m0 + m, t0 + t, sum);
        }
    }
}
