#version 450
// op.WKV7, the recurrence, for heads of 64 where four lanes are emulated by a compiler as simple as matmul_narrow.comp says:
// wkv7_shared.comp with literals for all sizes, so that the state is values and no array to search, and with workgroups of
// four lanes, for whose sums swaps within a quad do. Texels of 16 bytes are a single load there, but few can be bound at once.
// wkv7_norm.comp does the rest.
#extension GL_KHR_shader_subgroup_ballot : require
#extension GL_EXT_control_flow_attributes : require
#include "lib/batch.glsl"
#include "lib/load.glsl"
#include "lib/quad.glsl"

layout(local_size_x = 4) in;

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
layout(binding = 4) readonly buffer V { float v[]; };
VEC4S(5, A);
layout(binding = 6) readonly buffer Params { vec4 params[]; };
VEC4S(7, State);
layout(binding = 8) writeonly buffer StateOut { vec4 state_out[]; }; // the same memory
layout(binding = 9) writeonly buffer Y { float y[]; };

// Of more rows each load serves more arithmetic: 16 were up to a fifth faster, but took more than twice as long to compile.
const uint N = 64, ROWS = 8, PARTS = N / ROWS;
const uint LANES = 4, C = N / 4 / LANES; // vec4 of a row that a lane has, LANES apart

void main() {
    uint lane = gl_SubgroupInvocationID, head = gl_WorkGroupID.x / PARTS, part = gl_WorkGroupID.x % PARTS;
    Span span = spans[gl_WorkGroupID.y];
    uint column = head * (N / 4) + lane;
    uint state_at = span.slot * push.state_stride + (head * N + part * ROWS) * (N / 4) + lane;

    vec4 mix_k[C], mix_a[C], s[ROWS * C];
    [[unroll]] for (uint c = 0; c < C; c++) {
        mix_k[c] = params[push.kk + column + LANES * c];
        mix_a[c] = params[push.ka + column + LANES * c];
    }
    [[unroll]] for (uint i = 0; i < ROWS * C; i++) s[i] = V4(State, state_at + LANES * i);

    for (uint t = span.start; t < span.start + span.len; t++) {
        uint at = t * push.stride + column;
        vec4 a[C], b[C], key[C], w[C], q[C];
        float sq = 0.0;
        [[unroll]] for (uint c = 0; c < C; c++) {
            vec4 k = V4(K, at + LANES * c);
            b[c] = V4(A, at + LANES * c);
            a[c] = k * mix_k[c];
            key[c] = k * (1.0 + (b[c] - 1.0) * mix_a[c]);
            w[c] = V4(W, at + LANES * c);
            q[c] = V4(R, at + LANES * c);
            sq += dot(a[c], a[c]);
        }
        float inv = 1.0 / max(sqrt(quad_sum(sq)), MIN_NORM);
        [[unroll]] for (uint c = 0; c < C; c++) {
            a[c] *= inv;
            b[c] *= a[c];
        }

        // Values and results are spread over the lanes: lane l has those of rows 2*l and 2*l + 1.
        uint mine = 4 * t * push.stride + head * N + part * ROWS + 2 * lane;
        vec2 values = vec2(v[mine], v[mine + 1]), o = vec2(0.0);
        vec2 of_lane[LANES] = {subgroupBroadcast(values, 0), subgroupBroadcast(values, 1),
                               subgroupBroadcast(values, 2), subgroupBroadcast(values, 3)};
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            float sa = 0.0, dots = 0.0, value = of_lane[r / 2][r % 2];
            [[unroll]] for (uint c = 0; c < C; c++) sa -= dot(s[r * C + c], a[c]);
            sa = quad_sum(sa);
            [[unroll]] for (uint c = 0; c < C; c++) {
                s[r * C + c] = s[r * C + c] * w[c] + sa * b[c] + value * key[c];
                dots += dot(s[r * C + c], q[c]);
            }
            dots = quad_sum(dots);
            o[r % 2] = lane == r / 2 ? dots : o[r % 2];
        }
        y[mine] = o[0];
        y[mine + 1] = o[1];
    }
    [[unroll]] for (uint i = 0; i < ROWS * C; i++) state_out[state_at + LANES * i] = s[i];
}
