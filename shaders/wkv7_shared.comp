#version 450
// op.WKV7, the recurrence, where lanes are emulated and a load costs more than arithmetic: a subgroup of Local lanes
// keeps Rows rows of a head's state, and its lanes share each row, so that every vector is loaded once and not by every
// lane. Two subgroup sums a row and token are what that costs. wkv7.comp is the form for GPUs; wkv7_norm.comp does the
// rest.
#extension GL_KHR_shader_subgroup_basic : require
#include "lib/across.glsl"
#include "lib/batch.glsl"
#include "lib/load.glsl"

layout(constant_id = 0) const uint Local = 8; // one subgroup
layout(constant_id = 1) const uint N = 64;
layout(constant_id = 2) const uint Rows = 16;
layout(local_size_x_id = 0) in;

const float MIN_NORM = 1e-12; // as model/op has it

layout(push_constant) uniform Push {
    uint stride;       // between tokens, in vec4
    uint state_stride; // between slots, in vec4
    uint kk;           // offsets into params, in vec4
    uint ka;
} push;

layout(binding = 0) readonly buffer Spans { Span spans[]; };
VEC4S(1, R);
VEC4S(2, W);
VEC4S(3, K);
FLOATS(4, V);
VEC4S(5, A);
VEC4S(6, Params);
ALIASED VEC4S(7, State);
ALIASED layout(binding = 8) writeonly buffer StateOut { vec4 state_out[]; };
layout(binding = 9) writeonly buffer Y { float y[]; };

const uint N4 = N / 4, C = (N4 + Local - 1) / Local; // vec4 of a row that a lane has, Local apart
const uint MAX_C = 16, MAX_S = 64; // see lib/reduce.glsl

void main() {
    uint lane = gl_SubgroupInvocationID;
    uint head = gl_WorkGroupID.x / (N / Rows), i0 = gl_WorkGroupID.x % (N / Rows) * Rows;
    Span span = spans[gl_WorkGroupID.y];
    if (span.len == 0) return; // it has ended within a submission of several steps
    uint state_at = span.slot * push.state_stride + (head * N + i0) * N4;
    uint col[MAX_C];
    vec4 s[MAX_S], mix_k[MAX_C], mix_a[MAX_C];
    [[unroll]] for (uint c = 0; c < C; c++) {
        col[c] = min(c * Local + lane, N4 - 1); // lanes past the end repeat the last column, and meet zeros
        mix_k[c] = c * Local + lane < N4 ? V4(Params, push.kk + head * N4 + col[c]) : vec4(0.0);
        mix_a[c] = V4(Params, push.ka + head * N4 + col[c]);
        [[unroll]] for (uint r = 0; r < Rows; r++) s[r * C + c] = V4(State, state_at + r * N4 + col[c]);
    }

    uint t = span.start;
    do {
        uint at = t * push.stride + head * N4;
        vec4 kk[MAX_C], b[MAX_C], key[MAX_C], w[MAX_C], q[MAX_C];
        float sq = 0.0;
        [[unroll]] for (uint c = 0; c < C; c++) {
            float inside = c * Local + lane < N4 ? 1.0 : 0.0;
            vec4 k = V4(K, at + col[c]) * inside, rate = V4(A, at + col[c]);
            kk[c] = k * mix_k[c];
            b[c] = rate;
            key[c] = k * (1.0 + (rate - 1.0) * mix_a[c]);
            w[c] = V4(W, at + col[c]);
            q[c] = V4(R, at + col[c]) * inside;
            sq += dot(kk[c], kk[c]);
        }
        float inv = 1.0 / max(sqrt(across_sum(sq, Local)), MIN_NORM);
        [[unroll]] for (uint c = 0; c < C; c++) {
            kk[c] *= inv;
            b[c] *= kk[c];
        }
        float mine = 0.0, values = 0.0; // of rows r / Local * Local + lane
        [[unroll]] for (uint r = 0; r < Rows; r++) {
            if (r % Local == 0) values = F(V, 4 * at + min(i0 + r + lane, N - 1));
            float sa = 0.0, o = 0.0, v = subgroupShuffle(values, r % Local);
            [[unroll]] for (uint c = 0; c < C; c++) sa -= dot(s[r * C + c], kk[c]);
            sa = across_sum(sa, Local);
            [[unroll]] for (uint c = 0; c < C; c++) {
                s[r * C + c] = s[r * C + c] * w[c] + sa * b[c] + v * key[c];
                o += dot(s[r * C + c], q[c]);
            }
            o = across_sum(o, Local);
            mine = lane == r % Local ? o : mine;
            if ((r + 1) % Local == 0 || r + 1 == Rows) { // lane l has row l of these
                uint i = r / Local * Local + lane;
                if (i <= r) y[4 * at + i0 + i] = mine;
            }
        }
    } while (++t < span.start + span.len);
    [[unroll]] for (uint c = 0; c < C; c++)
        if (c * Local + lane < N4)
            [[unroll]] for (uint r = 0; r < Rows; r++) state_out[state_at + r * N4 + col[c]] = s[r * C + c];
}
