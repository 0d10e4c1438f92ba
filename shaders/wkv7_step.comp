#version 450
// op.WKV7 whole, for passes of one token of each sequence: one workgroup per head and sequence. Its subgroups share the
// rows of the head's state, and the lanes of one share each row, as in wkv7_shared.comp, or stand side by side on
// several short ones, so that none idles; then the workgroup norms the head. For longer passes that would put the
// norms, which are parallel over tokens, into the chain of the recurrence.
#include "lib/reduce.glsl"
#include "lib/batch.glsl"
#include "lib/load.glsl"
#include "lib/across.glsl"

layout(constant_id = 2) const uint N = 64;
layout(constant_id = 3) const uint Lanes = 8;  // of a subgroup
layout(constant_id = 4) const uint Across = 8; // lanes that share a row: Lanes, or a power of 2 that divides it
layout(constant_id = 5) const uint Rows = 8;   // that these load before they work on them; divides Across
layout(constant_id = 6) const uint Exchange = 0; // 1: emulated lanes, where a load costs more than an exchange

const float MIN_NORM = 1e-12; // as model/op has it

layout(push_constant) uniform Push {
    uint stride;       // between tokens, in vec4
    uint state_stride; // between slots, in vec4
    uint kk;           // offsets into params, in vec4
    uint ka;
    uint rk;
    uint norm_w;
    uint norm_b;
    float eps;
} push;

layout(binding = 0) readonly buffer Spans { Span spans[]; };
VEC4S(1, R);
VEC4S(2, W);
VEC4S(3, K);
FLOATS(4, V);
VEC4S(5, A);
FLOATS(6, G);
VEC4S(7, Params);
ALIASED VEC4S(8, State);
ALIASED layout(binding = 9) writeonly buffer StateOut { vec4 state_out[]; };
layout(binding = 10) writeonly buffer Y { float y[]; };

const uint Groups = Local / Lanes, Part = (N + Groups - 1) / Groups; // rows of a subgroup
const uint Side = Lanes / Across;                                    // of them at once
const uint N4 = N / 4, C = (N4 + Across - 1) / Across;               // vec4 of a row that a lane has, Across apart
const uint Q = (Part + Lanes - 1) / Lanes;                           // results that a lane keeps
const bool AllColumns = N4 % Across == 0, AllRows = N % Groups + Part % (Rows * Side) == 0;
const uint MAX_C = 16, MAX_S = 16, MAX_Q = 64; // see lib/reduce.glsl

// row_sum adds what the lanes of a row have. A whole subgroup of a GPU may have an instruction for it.
float row_sum(float v) { return Across == Lanes && Exchange == 0 ? subgroupAdd(v) : across_sum(v, Across); }

float param(uint from, uint i) { return V4(Params, from + i / 4)[i % 4]; }

void main() {
    uint head = gl_WorkGroupID.x, lane = gl_SubgroupInvocationID % Across, side = gl_SubgroupInvocationID / Across;
    uint mine = lane * Side + side; // the row, of as many as there are lanes, whose result this one keeps
    Span span = spans[gl_WorkGroupID.y];
    if (span.len == 0) return; // it has ended within a submission of several steps
    uint first = gl_SubgroupID * Part, end = min(first + Part, N);
    uint channel = head * N4, at = span.start * push.stride + channel;
    uint state_at = span.slot * push.state_stride + head * N * N4;

    uint col[MAX_C];
    vec4 kk[MAX_C], b[MAX_C], key[MAX_C], w[MAX_C], q[MAX_C];
    float sq = 0.0, bonus = 0.0;
    [[unroll]] for (uint c = 0; c < C; c++) {
        bool inside = AllColumns || c * Across + lane < N4;
        col[c] = inside ? c * Across + lane : N4 - 1; // lanes past the end repeat the last column, and meet zeros
        vec4 k = V4(K, at + col[c]) * (inside ? 1.0 : 0.0);
        b[c] = V4(A, at + col[c]);
        kk[c] = k * V4(Params, push.kk + channel + col[c]);
        key[c] = k * (1.0 + (b[c] - 1.0) * V4(Params, push.ka + channel + col[c]));
        w[c] = V4(W, at + col[c]);
        q[c] = V4(R, at + col[c]) * (inside ? 1.0 : 0.0);
        sq += dot(kk[c], kk[c]);
        bonus += dot(q[c] * key[c], V4(Params, push.rk + channel + col[c]));
    }
    float inv = 1.0 / max(sqrt(row_sum(sq)), MIN_NORM);
    bonus = row_sum(bonus);
    [[unroll]] for (uint c = 0; c < C; c++) {
        kk[c] *= inv;
        b[c] *= kk[c];
    }

    float o[MAX_Q], sum = 0.0; // of the subgroup's rows mine, Lanes + mine, ...
    // With its test at the end, a compiler for GPUs spills; emulated lanes would run what is behind a test once more.
    for (uint j = 0; Exchange == 1 || j < Q; j++) {
        float kept = 0.0;
        // Of the rows of the loop below, each lane loads what V has for the one whose result it keeps.
        float v_mine = Exchange == 1 ? F(V, 4 * at + min(first + j * Lanes + mine, N - 1)) : 0.0;
        uint from = 0;
        do {
            uint begin = first + j * Lanes + from * Side, i = begin + side;
            if (begin >= end) break;
            vec4 s[MAX_S];
            [[unroll]] for (uint r = 0; r < Rows; r++) {
                uint row = AllRows ? i + r * Side : min(i + r * Side, N - 1);
                [[unroll]] for (uint c = 0; c < C; c++) s[r * C + c] = V4(State, state_at + row * N4 + col[c]);
            }
            [[unroll]] for (uint r = 0; r < Rows; r++) {
                uint row = AllRows ? i + r * Side : min(i + r * Side, N - 1);
                float sa = 0.0, dots = 0.0;
                float v = Exchange == 1 ? subgroupShuffle(v_mine, side * Across + from + r) : F(V, 4 * at + row);
                [[unroll]] for (uint c = 0; c < C; c++) sa -= dot(s[r * C + c], kk[c]);
                sa = row_sum(sa);
                [[unroll]] for (uint c = 0; c < C; c++) {
                    s[r * C + c] = s[r * C + c] * w[c] + sa * b[c] + v * key[c];
                    dots += dot(s[r * C + c], q[c]);
                }
                dots = row_sum(dots);
                if (lane == from + r && (AllRows || i + r * Side < end)) kept = dots;
            }
            [[unroll]] for (uint c = 0; c < C; c++)
                if (AllColumns || c * Across + lane < N4)
                    [[unroll]] for (uint r = 0; r < Rows; r++)
                        if (AllRows || i + r * Side < end) state_out[state_at + (i + r * Side) * N4 + col[c]] = s[r * C + c];
        } while ((from += Rows) < Across);
        o[j] = kept;
        sum += kept;
        if (Exchange == 1 && j + 1 == Q) break;
    }

    float mean = workgroup_sum(sum) / float(N), var = 0.0;
    for (uint j = 0; j < Q; j++) {
        float d = first + j * Lanes + mine < end ? o[j] - mean : 0.0;
        var += d * d;
    }
    float rstd = inversesqrt(workgroup_sum(var) / float(N) + push.eps);
    for (uint j = 0; j < Q; j++) {
        uint i = first + j * Lanes + mine, c = 4 * channel + i;
        if (i < end) {
            float normed = (o[j] - mean) * rstd * param(push.norm_w, c) + param(push.norm_b, c);
            y[4 * at + i] = (normed + bonus * F(V, 4 * at + i)) * F(G, 4 * at + i);
        }
    }
}
